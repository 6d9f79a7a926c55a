#pragma once
// The distribution function of the normal distribution, for GELU: by table where a register can be indexed by lanes, else by erfc.

#include "oxplow/kernels/simd/math.h"

namespace oxplow::OXPLOW_ISA {

#if defined(__AVX2__)

// Phi(a) - 1/2 over intervals of a, a polynomial of the distance to the interval's middle each, in units of an interval's width: entry
// [d][i] is the coefficient of degree d for the interval around i / kIntervals. The last one holds 1/2 for all that follows (the
// exact value is 3e-8 less). Least squares at Chebyshev nodes; error <= 5e-9 (AVX-512), 2e-8 (AVX2).
#if defined(__AVX512F__)
constexpr float kCdfIntervals = 8.0f / 3;  // per unit of a
alignas(64) constexpr float kCdfTable[6][16] = {
    {0, 1.461697668e-01f, 2.733726501e-01f, 3.697054684e-01f, 4.331927896e-01f, 4.696036279e-01f, 4.877755344e-01f,
     4.956675470e-01f, 4.986501038e-01f, 4.996309280e-01f, 4.999115765e-01f, 4.999814630e-01f, 4.999966025e-01f, 4.999994636e-01f,
     4.999999106e-01f, 5.000000000e-01f},
    {1.496033520e-01f, 1.394456625e-01f, 1.129265353e-01f, 7.945374399e-02f, 4.856909811e-02f, 2.579485439e-02f, 1.190236863e-02f,
     4.771567881e-03f, 1.661943039e-03f, 5.029196036e-04f, 1.322234311e-04f, 3.020270560e-05f, 5.993920240e-06f, 1.033484409e-06f,
     1.548192472e-07f, 0},
    {9.898331932e-09f, -9.804517031e-03f, -1.587999798e-02f, -1.675964706e-02f, -1.366012264e-02f, -9.068639018e-03f,
     -5.021408666e-03f, -2.348535461e-03f, -9.348324384e-04f, -3.182349319e-04f, -9.295661584e-05f, -2.335379031e-05f,
     -5.055165730e-06f, -9.440326494e-07f, -1.522495126e-07f, 0},
    {-3.506477224e-03f, -2.808621386e-03f, -1.157957478e-03f, 4.945985274e-04f, 1.422891044e-03f, 1.520862454e-03f,
     1.133297221e-03f, 6.587828975e-04f, 3.116191656e-04f, 1.224757289e-04f, 4.047878247e-05f, 1.133584556e-05f, 2.703726977e-06f,
     5.512437724e-07f, 9.633220799e-08f, 0},
    {7.397279660e-07f, 3.258051001e-04f, 4.504541575e-04f, 3.392762737e-04f, 1.207375390e-04f, -5.334636080e-05f,
     -1.203321444e-04f, -1.067633930e-04f, -6.584483344e-05f, -3.149457552e-05f, -1.219058413e-05f, -3.901603577e-06f,
     -1.045653448e-06f, -2.365957670e-07f, -4.545137244e-08f, 0},
    {7.269211346e-05f, 4.970417649e-05f, -9.350069377e-07f, -3.879425640e-05f, -4.326748603e-05f, -2.436651994e-05f,
     -3.544498441e-06f, 7.081247986e-06f, 8.177750715e-06f, 5.340999451e-06f, 2.549607643e-06f, 9.575819604e-07f,
     2.924190596e-07f, 7.392492307e-08f, 1.564517582e-08f, 0},
};
OXPLOW_INLINE F32 lookup(const float* table, I32 index) { return {_mm512_permutexvar_ps(index.v, _mm512_load_ps(table))}; }
#else
constexpr float kCdfIntervals = 1.2f;
alignas(64) constexpr float kCdfTable[7][8] = {
    {0, 2.976716161e-01f, 4.522096515e-01f, 4.937903285e-01f, 4.995709360e-01f, 4.999845326e-01f, 4.999997020e-01f,
     5.000000000e-01f},
    {3.324519098e-01f, 2.349268049e-01f, 8.289776742e-02f, 1.460679434e-02f, 1.285232021e-03f, 5.647866055e-05f, 1.240017014e-06f,
     0},
    {-3.268148419e-07f, -8.157150447e-02f, -5.756795406e-02f, -1.521551609e-02f, -1.785026514e-03f, -9.804059664e-05f,
     -2.581973831e-06f, 0},
    {-3.847054765e-02f, -8.315887302e-03f, 1.705237478e-02f, 8.879658766e-03f, 1.504077343e-03f, 1.066291879e-04f,
     3.406961468e-06f, 0},
    {-6.624530215e-05f, 1.087923069e-02f, 7.436744636e-04f, -2.862170804e-03f, -8.382606902e-04f, -8.139975398e-05f,
     -3.268913588e-06f, 0},
    {4.267640412e-03f, -5.842660321e-04f, -1.944491407e-03f, 2.362390223e-04f, 3.087956866e-04f, 4.786982754e-05f,
     2.653339607e-06f, 0},
    {-4.731622466e-04f, -9.050160297e-04f, 3.687712015e-04f, 1.749346993e-04f, -6.300941459e-05f, -1.924907338e-05f,
     -1.458051315e-06f, 0},
};
OXPLOW_INLINE F32 lookup(const float* table, I32 index) { return {_mm256_permutevar8x32_ps(_mm256_load_ps(table), index.v)}; }
#endif

// x Phi(x), within 1e-7 |x|.
OXPLOW_INLINE F32 times_normal_cdf(F32 x) {
  constexpr int kDegree = sizeof(kCdfTable) / sizeof(kCdfTable[0]) - 1;
  const F32 magic = F32::broadcast(12582912);  // 1.5 * 2^23: a sum with it is rounded to a whole number, which its low bits show
  const F32 a = abs(x);
  const F32 t = min(F32::broadcast(F32::kWidth - 1), a * F32::broadcast(kCdfIntervals));
  const F32 shifted = t + magic;
  const I32 index = bits(shifted);
  const F32 u = t - (shifted - magic);
  F32 y = lookup(kCdfTable[kDegree], index);
#pragma GCC unroll 8
  for (int d = kDegree - 1; d >= 0; --d) y = fma(y, u, lookup(kCdfTable[d], index));
  return fma(a, y, x * F32::broadcast(0.5f));
}

#else

OXPLOW_INLINE F32 times_normal_cdf(F32 x) {
  // For x < 0, 1 + erf is erfc of the positive side: no cancellation.
  const F32 tail = erfc_positive_over_sqrt2(abs(x));
  return x * F32::broadcast(0.5f) * select(x < F32::zero(), tail, F32::broadcast(2) - tail);
}

#endif

}  // namespace oxplow::OXPLOW_ISA
