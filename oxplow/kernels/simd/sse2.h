#pragma once
// simd.h for the x86-64 baseline: SSE2 alone, no fused multiply-add.

#include <emmintrin.h>

#include <cstdint>

namespace oxplow::OXPLOW_ISA {

struct Mask {
  __m128 v;
  friend OXPLOW_INLINE Mask operator&(Mask a, Mask b) { return {_mm_and_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator|(Mask a, Mask b) { return {_mm_or_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator!(Mask a) { return {_mm_xor_ps(a.v, _mm_castsi128_ps(_mm_set1_epi32(-1)))}; }
};
OXPLOW_INLINE bool any(Mask m) { return _mm_movemask_ps(m.v) != 0; }
OXPLOW_INLINE bool all(Mask m) { return _mm_movemask_ps(m.v) == 0xf; }

struct I32 {
  static constexpr int kWidth = 4;
  __m128i v;
  static OXPLOW_INLINE I32 load(const int32_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
  static OXPLOW_INLINE I32 load(const int32_t* p, int64_t n) {
    alignas(16) int32_t lanes[4] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return {_mm_load_si128(reinterpret_cast<const __m128i*>(lanes))};
  }
  static OXPLOW_INLINE I32 broadcast(int32_t x) { return {_mm_set1_epi32(x)}; }
  OXPLOW_INLINE void store(int32_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
  OXPLOW_INLINE void store(int32_t* p, int64_t n) const {
    alignas(16) int32_t lanes[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(lanes), v);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  friend OXPLOW_INLINE I32 operator+(I32 a, I32 b) { return {_mm_add_epi32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator-(I32 a, I32 b) { return {_mm_sub_epi32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator&(I32 a, I32 b) { return {_mm_and_si128(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator|(I32 a, I32 b) { return {_mm_or_si128(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator^(I32 a, I32 b) { return {_mm_xor_si128(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator==(I32 a, I32 b) { return {_mm_castsi128_ps(_mm_cmpeq_epi32(a.v, b.v))}; }
  friend OXPLOW_INLINE Mask operator<(I32 a, I32 b) { return {_mm_castsi128_ps(_mm_cmplt_epi32(a.v, b.v))}; }
  friend OXPLOW_INLINE Mask operator>(I32 a, I32 b) { return {_mm_castsi128_ps(_mm_cmpgt_epi32(a.v, b.v))}; }
};
template <int kBits>
OXPLOW_INLINE I32 shift_left(I32 a) {
  return {_mm_slli_epi32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right(I32 a) {
  return {_mm_srai_epi32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right_logical(I32 a) {
  return {_mm_srli_epi32(a.v, kBits)};
}
OXPLOW_INLINE I32 select(Mask m, I32 a, I32 b) {
  const __m128i mask = _mm_castps_si128(m.v);
  return {_mm_or_si128(_mm_and_si128(mask, a.v), _mm_andnot_si128(mask, b.v))};
}

struct F32 {
  static constexpr int kWidth = 4;
  __m128 v;
  static OXPLOW_INLINE F32 load(const float* p) { return {_mm_loadu_ps(p)}; }
  static OXPLOW_INLINE F32 load(const float* p, int64_t n) {
    alignas(16) float lanes[4] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return {_mm_load_ps(lanes)};
  }
  static OXPLOW_INLINE F32 broadcast(float x) { return {_mm_set1_ps(x)}; }
  static OXPLOW_INLINE F32 zero() { return {_mm_setzero_ps()}; }
  OXPLOW_INLINE void store(float* p) const { _mm_storeu_ps(p, v); }
  OXPLOW_INLINE void store(float* p, int64_t n) const {
    alignas(16) float lanes[4];
    _mm_store_ps(lanes, v);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  friend OXPLOW_INLINE F32 operator+(F32 a, F32 b) { return {_mm_add_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator-(F32 a, F32 b) { return {_mm_sub_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator*(F32 a, F32 b) { return {_mm_mul_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator/(F32 a, F32 b) { return {_mm_div_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<(F32 a, F32 b) { return {_mm_cmplt_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<=(F32 a, F32 b) { return {_mm_cmple_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator>(F32 a, F32 b) { return {_mm_cmpgt_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator>=(F32 a, F32 b) { return {_mm_cmpge_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator==(F32 a, F32 b) { return {_mm_cmpeq_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator!=(F32 a, F32 b) { return {_mm_cmpneq_ps(a.v, b.v)}; }
};
OXPLOW_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)}; }
OXPLOW_INLINE F32 min(F32 a, F32 b) { return {_mm_min_ps(a.v, b.v)}; }
OXPLOW_INLINE F32 max(F32 a, F32 b) { return {_mm_max_ps(a.v, b.v)}; }
OXPLOW_INLINE F32 select(Mask m, F32 a, F32 b) { return {_mm_or_ps(_mm_and_ps(m.v, a.v), _mm_andnot_ps(m.v, b.v))}; }
OXPLOW_INLINE F32 abs(F32 a) { return {_mm_and_ps(a.v, _mm_castsi128_ps(_mm_set1_epi32(INT32_MAX)))}; }
OXPLOW_INLINE F32 sqrt(F32 a) { return {_mm_sqrt_ps(a.v)}; }
OXPLOW_INLINE I32 bits(F32 a) { return {_mm_castps_si128(a.v)}; }
OXPLOW_INLINE F32 from_bits(I32 a) { return {_mm_castsi128_ps(a.v)}; }
OXPLOW_INLINE I32 to_int(F32 a) { return {_mm_cvtps_epi32(a.v)}; }
OXPLOW_INLINE F32 to_float(I32 a) { return {_mm_cvtepi32_ps(a.v)}; }

// `whole`, an integer near a, with a's sign, or a itself where it is too large to have a fraction (or NaN).
OXPLOW_INLINE F32 finish_rounding(F32 a, F32 whole) {
  const F32 sign = {_mm_and_ps(a.v, _mm_set1_ps(-0.0f))};
  return select(abs(a) < F32::broadcast(8388608.0f), F32{_mm_or_ps(whole.v, sign.v)}, a);
}
OXPLOW_INLINE F32 round(F32 a) { return finish_rounding(a, abs(to_float(to_int(a)))); }
OXPLOW_INLINE F32 trunc(F32 a) { return finish_rounding(a, abs(F32{_mm_cvtepi32_ps(_mm_cvttps_epi32(a.v))})); }
OXPLOW_INLINE F32 floor(F32 a) {
  const F32 t = trunc(a);
  return select(t > a, t - F32::broadcast(1), t);
}
OXPLOW_INLINE F32 ceil(F32 a) {
  const F32 t = trunc(a);
  return finish_rounding(a, abs(select(t < a, t + F32::broadcast(1), t)));
}

OXPLOW_INLINE __m128 second_lane(__m128 v) { return _mm_shuffle_ps(v, v, 1); }
OXPLOW_INLINE float sum(F32 a) {
  const __m128 d = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_add_ss(d, second_lane(d)));
}
OXPLOW_INLINE float min_of(F32 a) {
  const __m128 d = _mm_min_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_min_ss(d, second_lane(d)));
}
OXPLOW_INLINE float max_of(F32 a) {
  const __m128 d = _mm_max_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_max_ss(d, second_lane(d)));
}

// Four 16-bit values widened to 32 bits with zeros, and the low halves of four 32-bit lanes.
OXPLOW_INLINE I32 load_halves(const uint16_t* p, int64_t n) {
  alignas(16) int32_t lanes[4] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return I32::load(lanes);
}
OXPLOW_INLINE I32 load_halves(const uint16_t* p) {
  return {_mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128())};
}
OXPLOW_INLINE void store_halves(I32 a, uint16_t* p, int64_t n) {
  alignas(16) int32_t lanes[4];
  a.store(lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = static_cast<uint16_t>(lanes[i]);
}

OXPLOW_INLINE I32 to_bf16(F32 a) {
  const I32 u = bits(a);
  const I32 rounded = u + (shift_right_logical<16>(u) & I32::broadcast(1)) + I32::broadcast(0x7fff);
  return shift_right_logical<16>(select(a != a, u | I32::broadcast(0x400000), rounded));
}
OXPLOW_INLINE F32 load_bf16(const uint16_t* p) { return from_bits(shift_left<16>(load_halves(p))); }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p, int64_t n) { return from_bits(shift_left<16>(load_halves(p, n))); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p) { store_halves(to_bf16(a), p, 4); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p, int64_t n) { store_halves(to_bf16(a), p, n); }

// Without F16C: the exponents move by multiplying with 2^112, which also makes subnormals normal.
OXPLOW_INLINE F32 from_f16(I32 h) {
  const I32 magnitude = shift_left<13>(h & I32::broadcast(0x7fff));
  const I32 sign = shift_left<16>(h & I32::broadcast(0x8000));
  const I32 scaled = bits(from_bits(magnitude) * from_bits(I32::broadcast(0x77800000)));
  const I32 special = select(magnitude > I32::broadcast(0x0f7fffff), I32::broadcast(0x7f800000), I32::broadcast(0));
  return from_bits(scaled | special | sign);
}
OXPLOW_INLINE I32 to_f16(F32 a) {
  const I32 u = bits(a);
  const I32 magnitude = u & I32::broadcast(INT32_MAX);
  const I32 sign = shift_right_logical<16>(u) & I32::broadcast(0x8000);
  const I32 nan = I32::broadcast(0x7e00) | (shift_right_logical<13>(magnitude) & I32::broadcast(0x3ff));
  const I32 subnormal = bits(from_bits(magnitude) + F32::broadcast(0.5f)) - I32::broadcast(0x3f000000);
  const I32 odd = shift_right_logical<13>(magnitude) & I32::broadcast(1);
  I32 r = shift_right_logical<13>(magnitude + I32::broadcast(static_cast<int32_t>(0xc8000fff)) + odd);
  r = select(magnitude < I32::broadcast(0x38800000), subnormal, r);
  r = select(magnitude > I32::broadcast(0x477fefff), I32::broadcast(0x7c00), r);
  return select(magnitude > I32::broadcast(0x7f800000), nan, r) | sign;
}
OXPLOW_INLINE F32 load_f16(const uint16_t* p) { return from_f16(load_halves(p)); }
OXPLOW_INLINE F32 load_f16(const uint16_t* p, int64_t n) { return from_f16(load_halves(p, n)); }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p) { store_halves(to_f16(a), p, 4); }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p, int64_t n) { store_halves(to_f16(a), p, n); }

}  // namespace oxplow::OXPLOW_ISA

#include "oxplow/kernels/simd/derived.h"
