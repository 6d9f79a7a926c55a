#pragma once
// What follows from simd.h's primitives alike in every tier.

#include <cstdint>

namespace oxplow::OXPLOW_ISA {

OXPLOW_INLINE F32 neg(F32 a) { return from_bits(bits(a) ^ I32::broadcast(INT32_MIN)); }
OXPLOW_INLINE F32 copysign(F32 magnitude, F32 sign) {
  const I32 top = I32::broadcast(INT32_MIN);
  return from_bits(bits(abs(magnitude)) | (bits(sign) & top));
}
OXPLOW_INLINE Mask is_nan(F32 a) { return a != a; }

}  // namespace oxplow::OXPLOW_ISA
