#include "oxplow/graph/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace oxplow {
namespace {

bool alive_together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// Every rule of the contract; says which two lifetimes break one.
void expect_sound(const std::vector<Lifetime>& lives, const MemoryPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), lives.size());
  for (size_t i = 0; i < lives.size(); ++i) {
    ASSERT_EQ(plan.offsets[i] % 64, 0u);
    ASSERT_LE(plan.offsets[i] + lives[i].bytes, plan.bytes);
    for (size_t j = 0; j < i; ++j) {
      const bool overlap =
          plan.offsets[i] < plan.offsets[j] + lives[j].bytes && plan.offsets[j] < plan.offsets[i] + lives[i].bytes;
      if (!overlap) continue;
      ASSERT_FALSE(alive_together(lives[i], lives[j])) << i << " and " << j << " live at once";
      ASSERT_EQ(lives[i].bordered_layout, lives[j].bordered_layout)
          << "borders of " << i << " and " << j << " would be overwritten";
      if (!lives[i].bordered_layout.empty()) ASSERT_EQ(plan.offsets[i], plan.offsets[j]) << "the same layout, but shifted";
    }
  }
}

TEST(MemoryPlan, NothingTakesNothing) {
  EXPECT_EQ(plan_memory({}).bytes, 0u);
  EXPECT_TRUE(plan_memory({}).offsets.empty());
}

TEST(MemoryPlan, ChainOfStepsNeedsTwoBuffers) {
  std::vector<Lifetime> lives;
  for (int i = 0; i < 20; ++i) lives.push_back({.bytes = 1024, .first = i, .last = i + 1});
  const MemoryPlan plan = plan_memory(lives);
  expect_sound(lives, plan);
  EXPECT_EQ(plan.bytes, 2048u);
}

TEST(MemoryPlan, FirstAndLastStepBothCount) {
  const std::vector<Lifetime> lives{
      {.bytes = 64, .first = 0, .last = 1}, {.bytes = 64, .first = 1, .last = 2}, {.bytes = 64, .first = 2, .last = 3}};
  const MemoryPlan plan = plan_memory(lives);
  expect_sound(lives, plan);
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
  EXPECT_EQ(plan.offsets[0], plan.offsets[2]);
}

TEST(MemoryPlan, BorderedMemoryIsForOneLayoutForGood) {
  const std::vector<Lifetime> lives{
      {.bytes = 640, .first = 0, .last = 1, .bordered_layout = "a"},
      {.bytes = 640, .first = 2, .last = 3},                          // free by then, but would write a's border
      {.bytes = 640, .first = 4, .last = 5, .bordered_layout = "a"},  // the same memory again
      {.bytes = 640, .first = 4, .last = 5, .bordered_layout = "b"},
      {.bytes = 640, .first = 5, .last = 6, .bordered_layout = "a"},  // the first "a" memory is busy at 5
  };
  const MemoryPlan plan = plan_memory(lives);
  expect_sound(lives, plan);
  EXPECT_EQ(plan.offsets[0], plan.offsets[2]);
  EXPECT_NE(plan.offsets[0], plan.offsets[4]);
  EXPECT_EQ(plan.bytes, 4u * 640);
}

TEST(MemoryPlan, EmptyLifetimesHaveAPlaceToo) {
  const std::vector<Lifetime> lives{
      {.bytes = 0, .first = 0, .last = 9}, {.bytes = 128, .first = 0, .last = 9}, {.bytes = 0, .first = 5, .last = -1}};
  expect_sound(lives, plan_memory(lives));
}

TEST(MemoryPlan, RandomLifetimes) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    std::vector<Lifetime> lives;
    const int count = 1 + below(60), steps = 1 + below(40);
    size_t alive_at_most = 0;
    for (int i = 0; i < count; ++i) {
      const int first = below(static_cast<uint32_t>(steps));
      const size_t layout = static_cast<size_t>(below(6));
      Lifetime life{.bytes = static_cast<size_t>(below(5000)), .first = first, .last = first + below(8)};
      if (layout < 2) {
        life.bytes = 1000 * (layout + 1);
        life.bordered_layout = layout == 0 ? "a" : "b";
      }
      lives.push_back(life);
    }
    for (int step = 0; step < steps + 8; ++step) {
      size_t bytes = 0;
      for (const Lifetime& life : lives) bytes += life.first <= step && step <= life.last ? life.bytes : 0;
      alive_at_most = std::max(alive_at_most, bytes);
    }
    const MemoryPlan plan = plan_memory(lives);
    expect_sound(lives, plan);
    ASSERT_GE(plan.bytes, alive_at_most);
  }
}

}  // namespace
}  // namespace oxplow
