#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace oxplow {

// The upper half of an f32. Conversion from f32 rounds to nearest even; NaN stays NaN.
struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const uint32_t u = std::bit_cast<uint32_t>(value);
    if (value != value) {
      bits = static_cast<uint16_t>((u >> 16) | 0x40);
      return;
    }
    bits = static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

// IEEE 754 binary16. Conversion from f32 rounds to nearest even, overflows to infinity, keeps subnormals.
struct Float16 {
  uint16_t bits = 0;

  Float16() = default;
  explicit Float16(float value) {
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (u >> 16) & 0x8000;
    const uint32_t magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      bits = static_cast<uint16_t>(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
    } else if (magnitude >= 0x477ff000) {  // rounds to 65520 or more
      bits = static_cast<uint16_t>(sign | 0x7c00);
    } else if (magnitude < 0x38800000) {  // subnormal: the adder aligns and rounds
      const float half = std::bit_cast<float>(magnitude) + std::bit_cast<float>(uint32_t{0x3f000000});
      bits = static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(half) - 0x3f000000));
    } else {
      const uint32_t rounded = magnitude + 0xc8000fff + ((magnitude >> 13) & 1);
      bits = static_cast<uint16_t>(sign | (rounded >> 13));
    }
  }
  explicit operator float() const {
    const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
    const uint32_t exponent = (bits >> 10) & 0x1f;
    const uint32_t mantissa = bits & 0x3ff;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
    if (exponent == 0) return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::ldexp(static_cast<float>(mantissa), -24)));
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }
};

}  // namespace oxplow
