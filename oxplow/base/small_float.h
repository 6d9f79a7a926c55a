#pragma once
// Floating types of 8 bits and fewer: for storage, computed with as f32. Formats: OCP "8-bit floating point" and "Microscaling",
// and the FNUZ variants of ONNX.

#include <bit>
#include <cmath>
#include <cstdint>

namespace oxplow {

// What a format gives up bit patterns for besides finite numbers.
enum class SmallFloatKind {
  ieee,           // infinities and NaNs as IEEE 754 has them
  one_nan,        // no infinity; all ones is NaN
  unsigned_zero,  // no infinity; the pattern of -0 is NaN ("FNUZ")
  finite          // numbers only
};

// Sign, exponent and mantissa of a float, from the top. Conversion from f32 rounds to nearest even.
template <int kExponentBits, int kMantissaBits, int kBias, SmallFloatKind kKind>
struct SmallFloat {
  static constexpr uint32_t kSign = 1u << (kExponentBits + kMantissaBits);
  static constexpr bool kHasInfinity = kKind == SmallFloatKind::ieee;
  static constexpr bool kHasNan = kKind != SmallFloatKind::finite;
  static constexpr uint32_t kInfinity = ((1u << kExponentBits) - 1) << kMantissaBits;
  static constexpr uint32_t kNan = kKind == SmallFloatKind::unsigned_zero ? kSign : kSign - 1;
  // The largest finite number.
  static constexpr uint32_t kMost = kKind == SmallFloatKind::ieee      ? kInfinity - 1
                                    : kKind == SmallFloatKind::one_nan ? kSign - 2
                                                                       : kSign - 1;

  uint8_t bits = 0;

  SmallFloat() = default;
  // What lies beyond the largest number, infinity too, becomes the largest number, or without `saturate` infinity or NaN.
  explicit SmallFloat(float value, bool saturate = true) {
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (u >> 31) * kSign;
    const bool is_nan = value != value;
    if (is_nan && kHasNan) {
      bits = static_cast<uint8_t>(kKind == SmallFloatKind::unsigned_zero ? kNan : sign | kNan);
      return;
    }
    // Where a format has no NaN, the hardware's conversions give -0.
    uint32_t code = is_nan ? kSign : magnitude_code(u & 0x7fffffff);
    if (code > kMost && !is_nan) {
      code = saturate || !kHasNan ? kMost : kHasInfinity ? kInfinity : kNan;
      if (kKind == SmallFloatKind::unsigned_zero && code == kNan) {
        bits = static_cast<uint8_t>(kNan);
        return;
      }
    }
    const bool drop_sign = kKind == SmallFloatKind::unsigned_zero && code == 0;
    bits = static_cast<uint8_t>(code | (drop_sign ? 0 : sign));
  }
  explicit operator float() const {
    const uint32_t code = bits & (kSign - 1);
    const float sign = (bits & kSign) ? -1.0f : 1.0f;
    if (kKind == SmallFloatKind::ieee && code > kInfinity) return std::bit_cast<float>(0x7fc00000u);
    if (kKind == SmallFloatKind::ieee && code == kInfinity) return sign * INFINITY;
    if ((kKind == SmallFloatKind::one_nan && code == kNan) || (kKind == SmallFloatKind::unsigned_zero && bits == kNan))
      return std::bit_cast<float>(0x7fc00000u);
    const uint32_t exponent = code >> kMantissaBits, mantissa = code & ((1u << kMantissaBits) - 1);
    if (exponent == 0) return sign * static_cast<float>(mantissa) * power_of_two(1 - kBias - kMantissaBits);
    return sign * std::bit_cast<float>((exponent + 127 - kBias) << 23 | mantissa << (23 - kMantissaBits));
  }

 private:
  static constexpr float power_of_two(int exponent) { return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23); }

  // The rounded magnitude as a pattern that may exceed kMost.
  static uint32_t magnitude_code(uint32_t magnitude) {
    constexpr int kShift = 23 - kMantissaBits;
    constexpr uint32_t kLeastNormal = static_cast<uint32_t>(127 + 1 - kBias) << 23;
    if (magnitude < kLeastNormal) {  // the adder aligns and rounds
      constexpr float kAligned = power_of_two(1 - kBias - kMantissaBits + 23);
      return std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + kAligned) - std::bit_cast<uint32_t>(kAligned);
    }
    const uint32_t rounded = magnitude + (1u << (kShift - 1)) - 1 + (magnitude >> kShift & 1);
    return (rounded >> kShift) - (static_cast<uint32_t>(127 - kBias) << kMantissaBits);
  }
};

using Float8E4M3FN = SmallFloat<4, 3, 7, SmallFloatKind::one_nan>;
using Float8E4M3FNUZ = SmallFloat<4, 3, 8, SmallFloatKind::unsigned_zero>;
using Float8E5M2 = SmallFloat<5, 2, 15, SmallFloatKind::ieee>;
using Float8E5M2FNUZ = SmallFloat<5, 2, 16, SmallFloatKind::unsigned_zero>;
// In the low half of a byte.
using Float4E2M1 = SmallFloat<2, 1, 1, SmallFloatKind::finite>;

// Which power of two a number becomes that lies between two.
enum class PowerRounding { up, down, nearest };

// The power of two 2^(bits - 127); 255 is NaN. No sign: conversion from f32 drops it; infinity becomes NaN.
struct Float8E8M0 {
  uint8_t bits = 0;

  Float8E8M0() = default;
  // Beyond 2^127 is 2^127, or without `saturate` NaN.
  explicit Float8E8M0(float value, bool saturate = true, PowerRounding rounding = PowerRounding::up) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffff;
    uint32_t exponent = magnitude >> 23;
    const uint32_t fraction = magnitude & 0x7fffff;
    if (exponent == 255) {
      bits = 255;
      return;
    }
    // Half way rounds up, but not from the subnormal numbers.
    const bool past_half = fraction > 0x400000 || (fraction == 0x400000 && exponent > 0);
    if (rounding == PowerRounding::up ? fraction != 0 : rounding == PowerRounding::nearest && past_half) ++exponent;
    bits = static_cast<uint8_t>(exponent == 255 && saturate ? 254 : exponent);
  }
  explicit operator float() const {
    if (bits == 255) return std::bit_cast<float>(0x7fc00000u);
    return std::bit_cast<float>(bits == 0 ? 0x00400000u : uint32_t{bits} << 23);
  }
};

}  // namespace oxplow
