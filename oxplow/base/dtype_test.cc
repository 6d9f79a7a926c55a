#include "oxplow/base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace oxplow {
namespace {

// The oracle: the nearest value with `mantissa` stored bits and exponents from `min_exponent` up, by arithmetic in double (which
// holds any f32 exactly, so only this rounding happens; nearbyint rounds ties to even).
double rounded(float value, int mantissa, int min_exponent, double largest) {
  if (std::isnan(value) || std::isinf(value) || value == 0) return value;
  int exponent = 0;
  std::frexp(double{value}, &exponent);
  const int unit = std::max(exponent - 1, min_exponent) - mantissa;
  const double result = std::ldexp(std::nearbyint(std::ldexp(double{value}, -unit)), unit);
  return std::abs(result) > largest ? std::copysign(HUGE_VAL, result) : result;
}
double rounded_to_f16(float value) { return rounded(value, 10, -14, 65504); }
double rounded_to_bf16(float value) { return rounded(value, 7, -126, std::ldexp(255.0, 120)); }

bool same(double a, double b) { return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b)); }

float f32_of(uint32_t bits) { return std::bit_cast<float>(bits); }

// Every f32 whose low bits make a difference to rounding: all upper halves, with lower halves around the rounding boundaries.
template <typename Check>
void for_telling_f32(Check check) {
  constexpr uint32_t kLow[] = {0x0000, 0x0001, 0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2fff, 0x3000,
                               0x3001, 0x7fff, 0x8000, 0x8001, 0xefff, 0xf000, 0xf001, 0xffff};
  for (uint32_t high = 0; high <= 0xffff; ++high) {
    for (uint32_t low : kLow) {
      if (!check(f32_of(high << 16 | low))) return;
    }
  }
  std::mt19937 random(1);
  for (int i = 0; i < 2000000; ++i) {
    if (!check(f32_of(static_cast<uint32_t>(random())))) return;
  }
}

TEST(Float16, ToF32IsExactForAllBits) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    Float16 half;
    half.bits = static_cast<uint16_t>(bits);
    const int exponent = static_cast<int>(bits >> 10 & 0x1f);
    const double mantissa = bits & 0x3ff;
    double expected = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) expected = mantissa == 0 ? HUGE_VAL : NAN;
    if (bits & 0x8000) expected = -expected;
    ASSERT_TRUE(same(static_cast<float>(half), expected)) << std::hex << bits;
  }
}

TEST(Float16, RoundTripKeepsAllBits) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    Float16 half;
    half.bits = static_cast<uint16_t>(bits);
    const Float16 back(static_cast<float>(half));
    if (std::isnan(static_cast<float>(half))) {
      ASSERT_TRUE(std::isnan(static_cast<float>(back)));
    } else {
      ASSERT_EQ(back.bits, bits);
    }
  }
}

TEST(Float16, FromF32RoundsToNearestEven) {
  for_telling_f32([](float value) {
    const bool good = same(static_cast<float>(Float16(value)), rounded_to_f16(value));
    EXPECT_TRUE(good) << std::hexfloat << value << " became " << static_cast<float>(Float16(value));
    return good;
  });
}

TEST(BFloat16, ToF32IsTheUpperHalf) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    BFloat16 b;
    b.bits = static_cast<uint16_t>(bits);
    ASSERT_EQ(std::bit_cast<uint32_t>(static_cast<float>(b)), bits << 16);
    if (!std::isnan(static_cast<float>(b))) {
      ASSERT_EQ(BFloat16(static_cast<float>(b)).bits, bits);
    }
  }
}

TEST(BFloat16, FromF32RoundsToNearestEven) {
  for_telling_f32([](float value) {
    const bool good = same(static_cast<float>(BFloat16(value)), rounded_to_bf16(value));
    EXPECT_TRUE(good) << std::hexfloat << value << " became " << static_cast<float>(BFloat16(value));
    return good;
  });
}

#if defined(__aarch64__)
TEST(Float16, AgreesWithTheCompilersHalf) {
  for_telling_f32([](float value) {
    const bool good = same(static_cast<float>(Float16(value)), static_cast<float>(static_cast<__fp16>(value)));
    EXPECT_TRUE(good) << std::hexfloat << value;
    return good;
  });
}
#endif

#if defined(__x86_64__)
__attribute__((target("f16c"))) uint16_t hardware_half(float value) {
  return static_cast<uint16_t>(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT), 0));
}
__attribute__((target("f16c"))) float hardware_float(uint16_t half) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_set1_epi16(static_cast<short>(half))));
}

TEST(Float16, AgreesWithTheHardware) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "no F16C here";
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    Float16 half;
    half.bits = static_cast<uint16_t>(bits);
    ASSERT_TRUE(same(static_cast<float>(half), hardware_float(half.bits))) << std::hex << bits;
  }
  for_telling_f32([](float value) {
    const bool good =
        std::isnan(value) ? std::isnan(hardware_float(Float16(value).bits)) : Float16(value).bits == hardware_half(value);
    EXPECT_TRUE(good) << std::hexfloat << value;
    return good;
  });
}
#endif

constexpr DType kAllTypes[] = {
#define OXPLOW_DTYPE(name, bits, type) DType::name,
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
};

TEST(DType, NamesAreUniqueAndFoundAgain) {
  std::set<std::string> names;
  for (DType dtype : kAllTypes) {
    names.insert(std::string(name_of(dtype)));
    EXPECT_EQ(dtype_named(name_of(dtype)), dtype);
  }
  EXPECT_EQ(names.size(), std::size(kAllTypes));
  EXPECT_EQ(dtype_named("float32"), std::nullopt);
  EXPECT_EQ(dtype_named(""), std::nullopt);
}

TEST(DType, SizesAgreeWithTheCppTypes) {
  for (DType dtype : kAllTypes) {
    if (!is_arithmetic(dtype)) continue;
    visit(dtype, [&](auto value) {
      EXPECT_EQ(sizeof(value) * 8, static_cast<size_t>(bits_of(dtype))) << name_of(dtype);
      EXPECT_EQ(dtype_of<decltype(value)>(), dtype);
    });
  }
}

TEST(DType, FourBitTypesShareBytes) {
  EXPECT_EQ(bytes_of(DType::i4, 0), 0u);
  EXPECT_EQ(bytes_of(DType::i4, 1), 1u);
  EXPECT_EQ(bytes_of(DType::u4, 2), 1u);
  EXPECT_EQ(bytes_of(DType::u4, 3), 2u);
  EXPECT_EQ(bytes_of(DType::f64, 3), 24u);
  EXPECT_EQ(bytes_of(DType::u2, 5), 2u);
  EXPECT_DEATH(visit(DType::i4, [](auto) {}), "no arithmetic");
}

TEST(DType, FloatsAreFloats) {
  for (DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) EXPECT_TRUE(is_float(dtype));
  for (DType dtype : {DType::i64, DType::i4, DType::u8, DType::boolean, DType::f8e5m2}) EXPECT_FALSE(is_float(dtype));
}

}  // namespace
}  // namespace oxplow
