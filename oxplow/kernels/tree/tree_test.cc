#include "oxplow/kernels/tree/tree.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/tree/pack.h"
#include "oxplow/kernels/tree/reference.h"

namespace oxplow {
namespace {

struct ForestShape {
  int trees = 40, features = 7, targets = 1;
  int depth = 6;             // at most
  double leaf_chance = 0.1;  // that a node is a leaf before
  int cuts = 30;             // to choose thresholds from
  bool sets = false;         // tests of equality and membership
  bool missing = false;      // some branches send NaN to true
  bool several_votes = false;
  TreeAggregate aggregate = TreeAggregate::sum;
  bool f64 = false;
};

class ForestMaker {
 public:
  ForestMaker(const ForestShape& shape, uint32_t seed) : shape_(shape), random_(seed) {
    forest_.targets = shape.targets;
    forest_.aggregate = shape.aggregate;
    forest_.f64 = shape.f64;
  }
  Forest make() {
    for (int t = 0; t < shape_.trees; ++t) forest_.roots.push_back(node(0));
    return std::move(forest_);
  }
  // What thresholds are made of, so that rows meet them exactly.
  static float number(std::mt19937& random, int cuts) {
    constexpr float kOdd[] = {0.0f,
                              -0.0f,
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::denorm_min()};
    if (random() % 40 == 0) return kOdd[random() % 6];
    return static_cast<float>(static_cast<int>(random() % static_cast<uint32_t>(cuts)) - cuts / 2) * 0.37f;
  }

 private:
  bool happens(double chance) { return static_cast<double>(random_()) < chance * 4294967296.0; }

  int32_t node(int depth) {
    if (depth == shape_.depth || (depth > 0 && happens(shape_.leaf_chance))) return ~leaf();
    TreeBranch b;
    b.test = static_cast<TreeTest>(random_() % (shape_.sets ? 7 : 4));
    b.feature = static_cast<int32_t>(random_() % static_cast<uint32_t>(shape_.features));
    b.threshold = static_cast<double>(number(random_, shape_.cuts));
    if (random_() % 200 == 0) b.threshold = std::nan("");
    b.missing_is_true = shape_.missing && random_() % 2 == 0;
    b.members_begin = static_cast<int32_t>(forest_.members.size());
    if (b.test == TreeTest::member) {
      for (auto i = random_() % 6; i > 0; --i) forest_.members.push_back(static_cast<double>(number(random_, shape_.cuts)));
    }
    b.members_end = static_cast<int32_t>(forest_.members.size());
    const auto at = forest_.branches.size();
    forest_.branches.push_back(b);
    const int32_t when_true = node(depth + 1), when_false = node(depth + 1);
    forest_.branches[at].when_true = when_true;
    forest_.branches[at].when_false = when_false;
    return static_cast<int32_t>(at);
  }

  int32_t leaf() {
    const uint32_t votes = shape_.several_votes ? random_() % 4 : 1;
    for (uint32_t v = 0; v < votes; ++v) {
      forest_.votes.push_back({static_cast<int32_t>(random_() % static_cast<uint32_t>(shape_.targets)),
                               static_cast<double>(static_cast<float>(std::normal_distribution<double>()(random_)))});
    }
    forest_.leaves.push_back(static_cast<int32_t>(forest_.votes.size()));
    return forest_.leaf_count() - 1;
  }

  ForestShape shape_;
  std::mt19937 random_;
  Forest forest_;
};

template <typename T>
std::vector<T> make_rows(const ForestShape& shape, int64_t rows, int64_t ldx) {
  std::mt19937 random(7);
  std::vector<T> x(static_cast<size_t>(rows * ldx));
  for (T& v : x) {
    v = random() % 2 ? static_cast<T>(ForestMaker::number(random, shape.cuts))
                     : static_cast<T>(std::normal_distribution<float>(0, 0.2f * static_cast<float>(shape.cuts))(random));
    if (random() % 20 == 0) v = static_cast<T>(std::nan(""));
  }
  return x;
}

template <typename T>
void expect_same(const Forest& forest, const std::vector<T>& x, int64_t ldx, const std::vector<T>& scores,
                 const std::string& how) {
  const auto targets = static_cast<size_t>(forest.targets);
  for (size_t r = 0; r < scores.size() / targets; ++r) {
    const std::vector<T> want = forest_reference(forest, x.data() + static_cast<int64_t>(r) * ldx);
    for (size_t t = 0; t < targets; ++t) ASSERT_EQ(scores[r * targets + t], want[t]) << how << ", row " << r << ", target " << t;
  }
}

void check(const ForestShape& shape, int64_t rows, uint32_t seed = 1) {
  const Forest forest = ForestMaker(shape, seed).make();
  ASSERT_TRUE(forest.verify().ok()) << forest.verify().error().message;
  const PackedForest packed(forest);
  const TreeArgs args = packed.args();
  const int64_t ldx = shape.features + 3;
  const auto x = make_rows<float>(shape, rows, ldx);
  for (Isa isa : available_isas()) {
    const TreeKernels& kernels = tree_kernels(isa);
    const std::string tier(name_of(isa));
    std::vector<float> scores(static_cast<size_t>(rows * shape.targets));
    Buffer workspace = Buffer::allocate(kernels.workspace_bytes(args)).take();
    for (int64_t r = 0; r < rows; r += kernels.block_rows) {
      kernels.block(args, x.data() + r * ldx, ldx, std::min(kernels.block_rows, rows - r), scores.data() + r * shape.targets,
                    workspace.data());
    }
    expect_same(forest, x, ldx, scores, "block on " + tier);
    std::vector<float> slots(2 * static_cast<size_t>(shape.features));
    std::fill(scores.begin(), scores.end(), -1.0f);
    kernels.rows(args, x.data(), ldx, rows, scores.data(), slots.data());
    expect_same(forest, x, ldx, scores, "rows on " + tier);
  }
}

TEST(Tree, EveryDepth) {
  for (int depth = 1; depth <= 10; ++depth) {
    check({.trees = 23, .depth = depth, .leaf_chance = 0}, 515);
    check({.trees = 37, .depth = depth, .leaf_chance = 0.3}, 70);
  }
}
TEST(Tree, LeavesAlone) { check({.trees = 5, .depth = 0}, 20); }
TEST(Tree, NoTree) { check({.trees = 0}, 3); }
TEST(Tree, MissingValues) { check({.missing = true}, 600); }
TEST(Tree, Sets) { check({.sets = true, .missing = true}, 600); }
TEST(Tree, SeveralTargets) {
  check({.targets = 5}, 600);
  check({.targets = 3, .several_votes = true}, 300, 3);
}
TEST(Tree, Average) { check({.aggregate = TreeAggregate::average}, 100); }
TEST(Tree, FewCuts) { check({.depth = 4, .cuts = 3}, 100); }
TEST(Tree, ManyCuts) {
  check({.trees = 60, .features = 2, .depth = 8, .leaf_chance = 0, .cuts = 200, .missing = true}, 1100);
  check({.trees = 60, .features = 2, .depth = 8, .leaf_chance = 0, .cuts = 3000, .sets = true, .missing = true}, 1100);
  check({.trees = 300, .features = 1, .depth = 8, .leaf_chance = 0, .cuts = 40000, .missing = true}, 1100);
}

// Votes of one leaf for one target twice are added one by one.
TEST(Tree, OneTargetTwice) {
  Forest forest;
  forest.votes = {{0, 1.0}, {0, 0x1p-24}, {0, 0x1p-24}};
  forest.leaves = {0, 3};
  forest.roots = {~0};
  const PackedForest packed(forest);
  EXPECT_FALSE(packed.sliced());
  const float x = 0;
  float score = -1, slots[2];
  tree_kernels(best_isa()).rows(packed.args(), &x, 1, 1, &score, slots);
  EXPECT_EQ(score, 1.0f);
}

// Sixty branches whose ways all meet again in the next: 2^60 ways, one answer.
TEST(Tree, WaysThatMeetAgain) {
  Forest forest;
  constexpr int32_t kLevels = 60;
  for (int32_t i = 0; i < kLevels; ++i) {
    const int32_t next = i + 1 < kLevels ? i + 1 : ~0;
    forest.branches.push_back({.when_true = next, .when_false = next});
  }
  forest.votes = {{0, 3.0}};
  forest.leaves = {0, 1};
  forest.roots = {0, kLevels - 3};
  ASSERT_TRUE(forest.verify().ok());
  EXPECT_EQ(forest.depth(0), kLevels);
  EXPECT_EQ(forest.depth(kLevels - 3), 3);
  const PackedForest packed(forest);
  EXPECT_EQ(packed.sliced_trees(), 1);
  const float x = 0;
  float score = -1, slots[2];
  tree_kernels(best_isa()).rows(packed.args(), &x, 1, 1, &score, slots);
  EXPECT_EQ(score, 6.0f);
}

template <typename T>
void check_walk(const ForestShape& shape) {
  const Forest forest = ForestMaker(shape, 5).make();
  const PackedForest packed(forest);
  EXPECT_FALSE(packed.sliced());
  const auto x = make_rows<T>(shape, 90, shape.features);
  for (Isa isa : available_isas()) {
    std::vector<T> scores(static_cast<size_t>(90 * shape.targets));
    if constexpr (std::is_same_v<T, float>) {
      tree_kernels(isa).walk_f32(packed.args(), x.data(), shape.features, 90, scores.data());
    } else {
      tree_kernels(isa).walk_f64(packed.args(), x.data(), shape.features, 90, scores.data());
    }
    expect_same(forest, x, shape.features, scores, "walk on " + std::string(name_of(isa)));
  }
}

TEST(Tree, Extremes) {
  check_walk<float>({.targets = 3, .aggregate = TreeAggregate::min});
  check_walk<float>({.targets = 3, .several_votes = true, .aggregate = TreeAggregate::max});
}
TEST(Tree, Doubles) {
  check_walk<double>({.sets = true, .missing = true, .f64 = true});
  check_walk<double>({.targets = 3, .aggregate = TreeAggregate::average, .f64 = true});
}

std::string complaint(const Forest& forest) {
  const Status status = forest.verify();
  return status.ok() ? "none" : status.error().message;
}

TEST(Forest, UnsoundOnesAreRefused) {
  const auto small = [] {
    Forest f;
    f.branches.resize(2);
    f.votes = {{0, 1.0}};
    f.leaves = {0, 1};
    f.roots = {0};
    f.branches[0].when_true = 1;
    f.branches[0].when_false = f.branches[1].when_true = f.branches[1].when_false = ~0;
    return f;
  };
  EXPECT_EQ(complaint(small()), "none");
  Forest f = small();
  f.branches[1].when_true = 0;
  EXPECT_NE(complaint(f).find("branch 0 is its own ancestor"), std::string::npos) << complaint(f);
  f = small();
  f.branches[1].when_true = 1;
  EXPECT_NE(complaint(f).find("branch 1 is its own ancestor"), std::string::npos) << complaint(f);
  f = small();
  f.branches[1].when_true = 2;
  EXPECT_NE(complaint(f).find("branch 2 of 2"), std::string::npos);
  f = small();
  f.branches[1].when_true = ~1;
  EXPECT_NE(complaint(f).find("leaf 1 of 1"), std::string::npos);
  f = small();
  f.branches[0].feature = -1;
  EXPECT_NE(complaint(f).find("feature -1"), std::string::npos);
  f = small();
  f.votes[0].target = 1;
  EXPECT_NE(complaint(f).find("target 1 of 1"), std::string::npos);
}

}  // namespace
}  // namespace oxplow
