#include "oxplow/base/memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

namespace oxplow {
namespace {

bool all_zero(const Buffer& buffer) {
  for (size_t i = 0; i < buffer.size(); ++i) {
    if (buffer.data()[i] != std::byte{0}) return false;
  }
  return true;
}

TEST(Buffer, IsZeroedAlignedAndWritable) {
  for (size_t bytes : {size_t{1}, size_t{4096}, size_t{4097}, kHugePage - 1, kHugePage, kHugePage + 1, 5 * kHugePage + 123,
                       17 * kHugePage - 5}) {
    auto buffer = Buffer::allocate(bytes);
    ASSERT_TRUE(buffer.ok()) << bytes;
    EXPECT_EQ(buffer->size(), bytes);
    EXPECT_TRUE(all_zero(*buffer));
    const auto address = reinterpret_cast<uintptr_t>(buffer->data());
    EXPECT_EQ(address % (bytes >= kHugePage ? kHugePage : 4096), 0u);
    std::memset(buffer->data(), 1, bytes);
  }
}

TEST(Buffer, OfNoBytesIsEmpty) {
  auto buffer = Buffer::allocate(0);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(buffer->data(), nullptr);
  EXPECT_EQ(buffer->size(), 0u);
}

TEST(Buffer, RefusesWhatCannotBe) {
  for (size_t bytes : {std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max() - kHugePage, size_t{1} << 60}) {
    const auto buffer = Buffer::allocate(bytes);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.error().code, ErrorCode::out_of_memory);
    EXPECT_NE(buffer.error().message.find(std::to_string(bytes)), std::string::npos);
  }
}

TEST(Buffer, MovesAndGivesItsPagesBack) {
  const size_t before = resident_bytes();
  {
    Buffer first = Buffer::allocate(64 << 20).take();
    std::memset(first.data(), 1, first.size());
    EXPECT_GE(resident_bytes(), before + (60 << 20));
    std::byte* const address = first.data();
    Buffer second = std::move(first);
    EXPECT_EQ(second.data(), address);
    EXPECT_EQ(first.data(), nullptr);
    first = std::move(second);
    EXPECT_EQ(first.data(), address);
  }
  EXPECT_LE(resident_bytes(), before + (8 << 20));
  EXPECT_GE(peak_resident_bytes(), before + (60 << 20));
}

TEST(Buffer, ManySmallOnesDoNotLeak) {
  const size_t before = resident_bytes();
  for (int i = 0; i < 2000; ++i) {
    Buffer buffer = Buffer::allocate(i % 2 == 0 ? 100000 : 3 << 20).take();
    buffer.data()[0] = std::byte{1};
  }
  EXPECT_LE(resident_bytes(), before + (8 << 20));
}

TEST(Memory, ResidentIsBelowItsPeak) {
  EXPECT_GT(resident_bytes(), 0u);
  EXPECT_GE(peak_resident_bytes() + (1 << 20), resident_bytes());
}

TEST(Memory, RoundsUp) {
  EXPECT_EQ(round_up(0, 64), 0u);
  EXPECT_EQ(round_up(1, 64), 64u);
  EXPECT_EQ(round_up(64, 64), 64u);
  EXPECT_EQ(round_up(65, 48), 96u);
}

}  // namespace
}  // namespace oxplow
