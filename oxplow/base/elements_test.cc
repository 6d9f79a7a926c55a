#include "oxplow/base/elements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace oxplow {
namespace {

constexpr DType kSmallFloats[] = {DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz, DType::f4e2m1};

template <typename Wide>
Wide stored(DType dtype, Wide value, const SmallFloatRounding& rounding = {}) {
  uint64_t memory = 0;
  store_elements(dtype, &memory, 0, 1, 1, &value, rounding);
  Wide back;
  load_elements(dtype, &memory, 0, 1, 1, &back);
  return back;
}

std::vector<double> values_of(DType dtype) {
  std::vector<double> values;
  for (unsigned code = 0; code < 1u << bits_of(dtype); ++code) {
    double value;
    load_elements(dtype, &code, 0, 1, 1, &value);
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

TEST(SmallFloats, LargestAndLeast) {
  const auto range = [](DType dtype) {
    const auto values = values_of(dtype);
    double least = INFINITY;
    for (double v : values) {
      if (v > 0) least = std::min(least, v);
    }
    return std::pair(*std::max_element(values.begin(), values.end()), least);
  };
  EXPECT_EQ(range(DType::f8e4m3fn), std::pair(448.0, 0x1p-9));
  EXPECT_EQ(range(DType::f8e4m3fnuz), std::pair(240.0, 0x1p-10));
  EXPECT_EQ(range(DType::f8e5m2), std::pair(57344.0, 0x1p-16));
  EXPECT_EQ(range(DType::f8e5m2fnuz), std::pair(57344.0, 0x1p-17));
  EXPECT_EQ(range(DType::f4e2m1), std::pair(6.0, 0.5));
  EXPECT_EQ(range(DType::f8e8m0), std::pair(0x1p127, 0x1p-127));
}

// The oracle: the nearest of all values there are; of two as near the one of an even pattern, which is the one with fewer bits set at
// the end, found as what both neighbours of the middle round to.
TEST(SmallFloats, RoundToTheNearest) {
  std::mt19937 random(1);
  for (DType dtype : kSmallFloats) {
    const auto values = values_of(dtype);
    for (int i = 0; i < 20000; ++i) {
      const auto x = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(random()) & 0x4fffffff));
      double best = INFINITY;
      for (double v : values) best = std::min(best, std::fabs(v - x));
      const double y = stored(dtype, x);
      ASSERT_EQ(std::fabs(y - x), best) << name_of(dtype) << " of " << x << " is " << y;
      ASSERT_EQ(stored(dtype, -x), -y);
    }
  }
}

TEST(SmallFloats, TiesGoToEven) {
  EXPECT_EQ(stored(DType::f8e4m3fn, 17.0), 16.0);
  EXPECT_EQ(stored(DType::f8e4m3fn, 19.0), 20.0);
  EXPECT_EQ(stored(DType::f8e4m3fn, std::nextafter(17.0, 18.0)), 18.0) << "rounds once, not by way of f32";
  EXPECT_EQ(stored(DType::f8e4m3fn, 0x1p-10), 0.0);
  EXPECT_EQ(stored(DType::f8e4m3fn, 0x3p-10), 0x1p-8);
  EXPECT_EQ(stored(DType::f4e2m1, 0.25), 0.0);
  EXPECT_EQ(stored(DType::f4e2m1, 2.5), 2.0);
  EXPECT_EQ(stored(DType::f4e2m1, 5.0), 4.0);
}

TEST(SmallFloats, BeyondTheLargest) {
  const SmallFloatRounding loose{.saturate = false, .power = PowerRounding::up};
  for (double x : {1e30, static_cast<double>(INFINITY)}) {
    EXPECT_EQ(stored(DType::f8e4m3fn, x), 448);
    EXPECT_EQ(stored(DType::f8e5m2fnuz, -x), -57344);
    EXPECT_TRUE(std::isnan(stored(DType::f8e4m3fn, x, loose)));
    EXPECT_TRUE(std::isnan(stored(DType::f8e4m3fnuz, x, loose)));
    EXPECT_EQ(stored(DType::f8e5m2, -x, loose), -INFINITY);
    EXPECT_EQ(stored(DType::f4e2m1, x, loose), 6);
  }
  for (DType dtype : {DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz, DType::f8e8m0})
    EXPECT_TRUE(std::isnan(stored(dtype, static_cast<double>(NAN)))) << name_of(dtype);
}

TEST(SmallFloats, PowersOfTwo) {
  const auto rounded = [](double x, PowerRounding power) { return stored(DType::f8e8m0, x, {.saturate = true, .power = power}); };
  EXPECT_EQ(rounded(5, PowerRounding::up), 8);
  EXPECT_EQ(rounded(5, PowerRounding::down), 4);
  EXPECT_EQ(rounded(5, PowerRounding::nearest), 4);
  EXPECT_EQ(rounded(6, PowerRounding::nearest), 8);
  EXPECT_EQ(rounded(0x1.8p127, PowerRounding::up), 0x1p127);
}

TEST(Elements, IntegersWrap) {
  EXPECT_EQ(stored<int64_t>(DType::i8, 300), 44);
  EXPECT_EQ(stored<int64_t>(DType::u8, -1), 255);
  EXPECT_EQ(stored<int64_t>(DType::i4, 9), -7);
  EXPECT_EQ(stored<int64_t>(DType::u4, -1), 15);
  EXPECT_EQ(stored<int64_t>(DType::i2, 2), -2);
  EXPECT_EQ(stored<uint64_t>(DType::u64, ~uint64_t{0}), ~uint64_t{0});
  EXPECT_EQ(stored<int64_t>(DType::boolean, 7), 1);
}

TEST(Elements, FloatsBecomeIntegersTowardZero) {
  EXPECT_EQ(stored(DType::i8, -3.9), -3);
  EXPECT_EQ(stored(DType::u8, 1e9), 255);
  EXPECT_EQ(stored(DType::i32, static_cast<double>(NAN)), 0);
  EXPECT_EQ(stored(DType::boolean, 0.25), 1);
  EXPECT_EQ(stored(DType::f16, 0x1.002000001p0), 0x1.004p0) << "rounds once";
}

TEST(Elements, NeighboursInAByteStay) {
  uint8_t memory[2] = {0xff, 0xff};
  const int64_t zeros[2] = {};
  store_elements(DType::u2, memory, 1, 2, 2, zeros);
  EXPECT_EQ(memory[0], 0x33);
  store_elements(DType::i4, memory, 2, 1, 1, zeros);
  EXPECT_EQ(memory[1], 0xf0);
}

}  // namespace
}  // namespace oxplow
