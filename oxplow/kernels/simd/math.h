#pragma once
// exp, log, erf, erfc, tanh, sigmoid on simd.h's F32. Relative error <= 4e-7 where the result is normal (erfc 4e-6 in its far
// tail without fused multiply-add); NaN stays NaN, and infinities, zeros, overflow and underflow come out as IEEE 754 has them.
// The polynomials are minimax fits of this project (weighted least squares iterated to equal ripple).

#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

// c[0] + c[1] x + c[2] x^2 + ... by Horner's rule.
template <int kCount>
OXPLOW_INLINE F32 polynomial(F32 x, const float (&c)[kCount]) {
  F32 y = F32::broadcast(c[kCount - 1]);
#pragma GCC unroll 16
  for (int i = kCount - 2; i >= 0; --i) y = fma(y, x, F32::broadcast(c[i]));
  return y;
}

// x * 2^n for whole n in [-150, 128].
OXPLOW_INLINE F32 scale_by_power_of_two(F32 x, F32 n) {
#if defined(__AVX512F__)
  return {_mm512_scalef_ps(x.v, n.v)};
#else
  const I32 whole = to_int(n);
  const I32 half = shift_right<1>(whole);
  const I32 bias = I32::broadcast(127);
  return x * from_bits(shift_left<23>(half + bias)) * from_bits(shift_left<23>(whole - half + bias));
#endif
}

// e^x.
OXPLOW_INLINE F32 exp(F32 x) {
  constexpr float kTail[] = {4.999999343e-01f, 1.666652040e-01f, 4.166839080e-02f, 8.368745178e-03f, 1.381453936e-03f};
  x = min(F32::broadcast(89.0f), max(F32::broadcast(-104.0f), x));
  const F32 n = round(x * F32::broadcast(1.44269504f));
  F32 r = fma(n, F32::broadcast(-0.693359375f), x);  // ln 2 in two parts; the first has few bits, so n times it is exact
  r = fma(n, F32::broadcast(2.12194440e-4f), r);
  const F32 e = fma(r * r, polynomial(r, kTail), r) + F32::broadcast(1);
  return scale_by_power_of_two(e, n);
}

// Natural logarithm; of zero -infinity, of less NaN.
OXPLOW_INLINE F32 log(F32 x) {
  constexpr float kTail[] = {3.333333171e-01f, -2.500082105e-01f, 2.000122693e-01f, -1.662335671e-01f,
                             1.420175619e-01f, -1.316018706e-01f, 1.276159314e-01f, -7.634504605e-02f};
  const Mask tiny = x < F32::broadcast(1.17549435e-38f);
  const F32 scaled = select(tiny, x * F32::broadcast(8388608.0f), x);
  const I32 u = bits(scaled);
  const I32 exponent = shift_right<23>(u - I32::broadcast(0x3f3504f3));  // of the mantissa in [sqrt(1/2), sqrt(2))
  const F32 f = from_bits(u - shift_left<23>(exponent)) - F32::broadcast(1);
  const F32 e = to_float(exponent) - select(tiny, F32::broadcast(23), F32::zero());
  const F32 f2 = f * f;
  F32 y = f2 * f * polynomial(f, kTail);
  y = fma(e, F32::broadcast(-2.12194440e-4f), y);
  y = fma(f2, F32::broadcast(-0.5f), y) + f;
  y = fma(e, F32::broadcast(0.693359375f), y);
  const F32 infinity = F32::broadcast(__builtin_inff());
  y = select(x < infinity, y, x);  // infinity and NaN
  y = select(x == F32::zero(), neg(infinity), y);
  return select(x < F32::zero(), F32::broadcast(__builtin_nanf("")), y);
}

// erfc(z) = 1 - erf(z) for z >= 0, given z^2 = square + lost: exp magnifies the rounding of z^2.
OXPLOW_INLINE F32 erfc_positive(F32 z, F32 square, F32 lost) {
  // exp(z^2) erfc(z) / u as a polynomial in u = 1 / (1 + 0.4 z), fit for z <= 11.4, where erfc has long underflowed.
  constexpr float kScaled[] = {2.256989040e-01f,  2.251108001e-01f, 2.135761105e-01f,  1.360451629e-01f, 2.534008212e-01f,
                               -2.491795532e-01f, 5.046916692e-01f, -4.664720188e-01f, 1.841528940e-01f, -2.702477873e-02f};
  const F32 u = F32::broadcast(1) / fma(z, F32::broadcast(0.4f), F32::broadcast(1));
  const F32 e = exp(neg(square));
  return fma(neg(e), lost, e) * u * polynomial(u, kScaled);
}
OXPLOW_INLINE F32 erfc_positive(F32 z) {
  z = min(F32::broadcast(11), z);
  const F32 square = z * z;
  return erfc_positive(z, square, fma(z, z, neg(square)));
}
// erfc(z / sqrt(2)) for z >= 0.
OXPLOW_INLINE F32 erfc_positive_over_sqrt2(F32 z) {
  z = min(F32::broadcast(15), z);
  const F32 half = z * F32::broadcast(0.5f);
  const F32 square = z * half;
  return erfc_positive(z * F32::broadcast(0.707106781f), square, fma(z, half, neg(square)));
}

OXPLOW_INLINE F32 erfc(F32 x) {
  const F32 positive = erfc_positive(abs(x));
  return select(x < F32::zero(), F32::broadcast(2) - positive, positive);
}

OXPLOW_INLINE F32 erf(F32 x) {
  constexpr float kSmall[] = {1.128379166e+00f, -3.761262582e-01f, 1.128358515e-01f, -2.685381181e-02f,
                              5.188327444e-03f, -8.010191498e-04f, 7.853854332e-05f};
  const F32 z = abs(x);
  const F32 small = x * polynomial(x * x, kSmall);
  const F32 large = copysign(F32::broadcast(1) - erfc_positive(z), x);
  return select(z < F32::broadcast(1), small, large);
}

OXPLOW_INLINE F32 tanh(F32 x) {
  constexpr float kSmall[] = {-3.333328194e-01f, 1.333144216e-01f, -5.373971225e-02f, 2.063907902e-02f, -5.704978655e-03f};
  const F32 z = abs(x);
  const F32 square = x * x;
  const F32 small = x * fma(square, polynomial(square, kSmall), F32::broadcast(1));
  const F32 rest = F32::broadcast(2) / (exp(z + z) + F32::broadcast(1));
  const F32 large = copysign(F32::broadcast(1) - rest, x);
  return select(z < F32::broadcast(0.625f), small, large);
}

// 1 / (1 + e^-x).
OXPLOW_INLINE F32 sigmoid(F32 x) { return F32::broadcast(1) / (F32::broadcast(1) + exp(neg(x))); }

}  // namespace oxplow::OXPLOW_ISA
