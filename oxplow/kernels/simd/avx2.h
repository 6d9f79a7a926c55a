#pragma once
// simd.h for AVX2 with FMA and F16C.

#include <immintrin.h>

#include <cstdint>

namespace oxplow::OXPLOW_ISA {

struct Mask {
  __m256 v;
  friend OXPLOW_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator!(Mask a) { return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
};
OXPLOW_INLINE bool any(Mask m) { return _mm256_movemask_ps(m.v) != 0; }
OXPLOW_INLINE bool all(Mask m) { return _mm256_movemask_ps(m.v) == 0xff; }

// All ones in the first n lanes.
OXPLOW_INLINE __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

struct I32 {
  static constexpr int kWidth = 8;
  __m256i v;
  static OXPLOW_INLINE I32 load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  static OXPLOW_INLINE I32 load(const int32_t* p, int64_t n) { return {_mm256_maskload_epi32(p, first_lanes(n))}; }
  static OXPLOW_INLINE I32 broadcast(int32_t x) { return {_mm256_set1_epi32(x)}; }
  OXPLOW_INLINE void store(int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  OXPLOW_INLINE void store(int32_t* p, int64_t n) const { _mm256_maskstore_epi32(p, first_lanes(n), v); }
  friend OXPLOW_INLINE I32 operator+(I32 a, I32 b) { return {_mm256_add_epi32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator-(I32 a, I32 b) { return {_mm256_sub_epi32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator&(I32 a, I32 b) { return {_mm256_and_si256(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator|(I32 a, I32 b) { return {_mm256_or_si256(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator^(I32 a, I32 b) { return {_mm256_xor_si256(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator==(I32 a, I32 b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }
  friend OXPLOW_INLINE Mask operator<(I32 a, I32 b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.v, a.v))}; }
  friend OXPLOW_INLINE Mask operator>(I32 a, I32 b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.v, b.v))}; }
};
template <int kBits>
OXPLOW_INLINE I32 shift_left(I32 a) {
  return {_mm256_slli_epi32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right(I32 a) {
  return {_mm256_srai_epi32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right_logical(I32 a) {
  return {_mm256_srli_epi32(a.v, kBits)};
}
OXPLOW_INLINE I32 select(Mask m, I32 a, I32 b) { return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.v))}; }

struct F32 {
  static constexpr int kWidth = 8;
  __m256 v;
  static OXPLOW_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static OXPLOW_INLINE F32 load(const float* p, int64_t n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
  static OXPLOW_INLINE F32 broadcast(float x) { return {_mm256_set1_ps(x)}; }
  static OXPLOW_INLINE F32 zero() { return {_mm256_setzero_ps()}; }
  OXPLOW_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  OXPLOW_INLINE void store(float* p, int64_t n) const { _mm256_maskstore_ps(p, first_lanes(n), v); }
  friend OXPLOW_INLINE F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
  friend OXPLOW_INLINE Mask operator<=(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
  friend OXPLOW_INLINE Mask operator>(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
  friend OXPLOW_INLINE Mask operator>=(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
  friend OXPLOW_INLINE Mask operator==(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
  friend OXPLOW_INLINE Mask operator!=(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
};
OXPLOW_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
OXPLOW_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
OXPLOW_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
OXPLOW_INLINE F32 select(Mask m, F32 a, F32 b) { return {_mm256_blendv_ps(b.v, a.v, m.v)}; }
OXPLOW_INLINE F32 abs(F32 a) { return {_mm256_and_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(INT32_MAX)))}; }
OXPLOW_INLINE F32 sqrt(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
OXPLOW_INLINE F32 floor(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE F32 ceil(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE F32 trunc(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE F32 round(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE I32 bits(F32 a) { return {_mm256_castps_si256(a.v)}; }
OXPLOW_INLINE F32 from_bits(I32 a) { return {_mm256_castsi256_ps(a.v)}; }
OXPLOW_INLINE I32 to_int(F32 a) { return {_mm256_cvtps_epi32(a.v)}; }
OXPLOW_INLINE F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }

OXPLOW_INLINE float sum(F32 a) {
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
OXPLOW_INLINE float min_of(F32 a) {
  const __m128 q = _mm_min_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 d = _mm_min_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_min_ss(d, _mm_movehdup_ps(d)));
}
OXPLOW_INLINE float max_of(F32 a) {
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

// n 16-bit values from p, zeros after them; to be followed by a 16-bit conversion.
OXPLOW_INLINE __m128i load_halves(const uint16_t* p, int64_t n) {
  if (n == 8) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  alignas(16) uint16_t lanes[8] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes));
}
OXPLOW_INLINE void store_halves(__m128i h, uint16_t* p, int64_t n) {
  alignas(16) uint16_t lanes[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(lanes), h);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

OXPLOW_INLINE __m128i to_bf16(F32 a) {
  const __m256i u = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  const __m256i r = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
}
OXPLOW_INLINE F32 from_bf16(__m128i h) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))}; }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p) { return from_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p, int64_t n) { return from_bf16(load_halves(p, n)); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), to_bf16(a)); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p, int64_t n) { store_halves(to_bf16(a), p, n); }

OXPLOW_INLINE __m128i to_f16(F32 a) { return _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
OXPLOW_INLINE F32 load_f16(const uint16_t* p) { return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
OXPLOW_INLINE F32 load_f16(const uint16_t* p, int64_t n) { return {_mm256_cvtph_ps(load_halves(p, n))}; }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), to_f16(a)); }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p, int64_t n) { store_halves(to_f16(a), p, n); }

}  // namespace oxplow::OXPLOW_ISA

#include "oxplow/kernels/simd/derived.h"
