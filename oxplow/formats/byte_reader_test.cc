#include "oxplow/formats/byte_reader.h"

#include <gtest/gtest.h>

#include <vector>

namespace oxplow {
namespace {

std::span<const std::byte> bytes_of_text(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(ByteReader, ReadsNumbersInBothOrdersAndNeverPastTheEnd) {
  const std::string_view text("\x01\x02\x03\x04\x05\x06\x07", 7);
  ByteReader reader(bytes_of_text(text), 100);
  EXPECT_EQ(reader.little<uint16_t>(), 0x0201);
  EXPECT_EQ(reader.big<uint16_t>(), 0x0304);
  EXPECT_EQ(reader.offset(), 104u);
  EXPECT_EQ(reader.little<uint32_t>(), std::nullopt);
  EXPECT_EQ(reader.remaining(), 3u) << "a read that fails moves nothing";
  EXPECT_FALSE(reader.take(UINT64_MAX));
  EXPECT_EQ(reader.take(3)->size(), 3u);
  EXPECT_TRUE(reader.at_end());
  EXPECT_FALSE(reader.take_byte());
  EXPECT_TRUE(reader.take(0));
}

TEST(ByteReader, ElementsOfExtentsNeverWrap) {
  const auto elements = [](std::vector<int64_t> extents) { return checked_elements(extents); };
  EXPECT_EQ(elements({}), 1u);
  EXPECT_EQ(elements({2, 3, 4}), 24u);
  EXPECT_EQ(elements({0, 7}), 0u);
  EXPECT_EQ(elements({INT64_MAX}), uint64_t{INT64_MAX});
  EXPECT_EQ(elements({-1}), std::nullopt);
  EXPECT_EQ(elements({INT64_MAX, 2}), std::nullopt);
  EXPECT_EQ(elements({int64_t{1} << 32, int64_t{1} << 32}), std::nullopt);
  EXPECT_EQ(elements({0, int64_t{1} << 32, int64_t{1} << 32}), std::nullopt) << "an empty axis hides no overflow";
  EXPECT_EQ(elements({int64_t{1} << 32, int64_t{1} << 32, 0}), std::nullopt);
}

TEST(ByteReader, ABudgetIsSpentOnlyWhole) {
  Budget budget{.bytes = 100, .depth = 3, .steps = 2};
  EXPECT_FALSE(budget.spend_bytes(SIZE_MAX, 16));
  EXPECT_FALSE(budget.spend_bytes(101, 1));
  EXPECT_TRUE(budget.spend_bytes(10, 10));
  EXPECT_FALSE(budget.spend_bytes(1, 1));
  EXPECT_TRUE(budget.spend_steps(2));
  EXPECT_FALSE(budget.spend_steps(1));
}

TEST(ByteReader, TextOfAFileIsQuotedForPeople) {
  EXPECT_EQ(in_quotes("conv1"), "'conv1'");
  EXPECT_EQ(in_quotes(std::string_view("a\0\n\xff'\\", 6)), "'a\\x00\\x0a\\xff\\x27\\x5c'");
  EXPECT_EQ(in_quotes(std::string(1000, 'a')), "'" + std::string(80, 'a') + "'...");
}

}  // namespace
}  // namespace oxplow
