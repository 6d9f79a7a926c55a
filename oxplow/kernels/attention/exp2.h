#pragma once

#include "oxplow/kernels/simd/math.h"

namespace oxplow::OXPLOW_ISA {

// (2^r - 1) / r for |r| <= 1/2: minimax fits of the relative error of 2^r, 1e-4 with degree 3, for weights that are rounded to bf16,
// and 2e-7 with degree 5.
template <int kDegree>
inline constexpr float kExp2Tail[] = {6.931469776e-01f, 2.402224208e-01f, 5.550733744e-02f, 9.671512688e-03f, 1.326472725e-03f};
template <>
inline constexpr float kExp2Tail<3>[] = {6.932829300e-01f, 2.422109600e-01f, 5.500893000e-02f};

// 2^x for x <= 0 or NaN; zero where it is not a normal number, which would be slow to compute with. 1 at zero.
template <int kDegree = 5>
OXPLOW_INLINE F32 exp2_of_negative(F32 x) {
  // Added, this leaves the nearest whole number, biased as an exponent, in the low bits.
  const F32 magic = F32::broadcast(12582912.0f + 127);
  const Mask tiny = x < F32::broadcast(-126);
  const F32 shifted = x + magic;
  const F32 r = x - (shifted - magic);
  const F32 e = fma(r, polynomial(r, kExp2Tail<kDegree>), F32::broadcast(1));
  return select(tiny, F32::zero(), e * from_bits(shift_left<23>(bits(shifted))));
}

}  // namespace oxplow::OXPLOW_ISA
