#pragma once
// simd.h for AVX-512 (F BW DQ VL); with AVX512-BF16 its conversions.

#include <immintrin.h>

#include <cstdint>

namespace oxplow::OXPLOW_ISA {

struct Mask {
  __mmask16 v;
  friend OXPLOW_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
  friend OXPLOW_INLINE Mask operator|(Mask a, Mask b) { return {static_cast<__mmask16>(a.v | b.v)}; }
  friend OXPLOW_INLINE Mask operator!(Mask a) { return {static_cast<__mmask16>(~a.v)}; }
};
OXPLOW_INLINE bool any(Mask m) { return m.v != 0; }
OXPLOW_INLINE bool all(Mask m) { return m.v == 0xffff; }
OXPLOW_INLINE __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<uint32_t>(n))); }

struct I32 {
  static constexpr int kWidth = 16;
  __m512i v;
  static OXPLOW_INLINE I32 load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static OXPLOW_INLINE I32 load(const int32_t* p, int64_t n) { return {_mm512_maskz_loadu_epi32(first_lanes(n), p)}; }
  static OXPLOW_INLINE I32 broadcast(int32_t x) { return {_mm512_set1_epi32(x)}; }
  OXPLOW_INLINE void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  OXPLOW_INLINE void store(int32_t* p, int64_t n) const { _mm512_mask_storeu_epi32(p, first_lanes(n), v); }
  friend OXPLOW_INLINE I32 operator+(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator-(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator&(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator|(I32 a, I32 b) { return {_mm512_or_si512(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator^(I32 a, I32 b) { return {_mm512_xor_si512(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator==(I32 a, I32 b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<(I32 a, I32 b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator>(I32 a, I32 b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
};
template <int kBits>
OXPLOW_INLINE I32 shift_left(I32 a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right(I32 a) {
  return {_mm512_srai_epi32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right_logical(I32 a) {
  return {_mm512_srli_epi32(a.v, kBits)};
}
OXPLOW_INLINE I32 select(Mask m, I32 a, I32 b) { return {_mm512_mask_blend_epi32(m.v, b.v, a.v)}; }

struct F32 {
  static constexpr int kWidth = 16;
  __m512 v;
  static OXPLOW_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static OXPLOW_INLINE F32 load(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
  static OXPLOW_INLINE F32 broadcast(float x) { return {_mm512_set1_ps(x)}; }
  static OXPLOW_INLINE F32 zero() { return {_mm512_setzero_ps()}; }
  OXPLOW_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  OXPLOW_INLINE void store(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
  friend OXPLOW_INLINE F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
  friend OXPLOW_INLINE Mask operator<=(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
  friend OXPLOW_INLINE Mask operator>(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
  friend OXPLOW_INLINE Mask operator>=(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
  friend OXPLOW_INLINE Mask operator==(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
  friend OXPLOW_INLINE Mask operator!=(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
};
OXPLOW_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
OXPLOW_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
OXPLOW_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
OXPLOW_INLINE F32 select(Mask m, F32 a, F32 b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }
OXPLOW_INLINE F32 abs(F32 a) { return {_mm512_abs_ps(a.v)}; }
OXPLOW_INLINE F32 sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
OXPLOW_INLINE F32 floor(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE F32 ceil(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE F32 trunc(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE F32 round(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
OXPLOW_INLINE I32 bits(F32 a) { return {_mm512_castps_si512(a.v)}; }
OXPLOW_INLINE F32 from_bits(I32 a) { return {_mm512_castsi512_ps(a.v)}; }
OXPLOW_INLINE I32 to_int(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }
OXPLOW_INLINE F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }

OXPLOW_INLINE __m256 upper_half(__m512 v) { return _mm512_extractf32x8_ps(v, 1); }
OXPLOW_INLINE float sum(F32 a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
OXPLOW_INLINE float min_of(F32 a) {
  const __m256 h = _mm256_min_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
  const __m128 q = _mm_min_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_min_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_min_ss(d, _mm_movehdup_ps(d)));
}
OXPLOW_INLINE float max_of(F32 a) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

// The bf16 nearest to each lane, 16 of them.
OXPLOW_INLINE __m256i to_bf16(F32 a) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v));
#else
  const __m512i u = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
#endif
}
OXPLOW_INLINE F32 from_bf16(__m256i h) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))}; }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p) { return from_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p, int64_t n) { return from_bf16(_mm256_maskz_loadu_epi16(first_lanes(n), p)); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16(a)); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p, int64_t n) {
  uint32_t lanes = first_lanes(n);
#if defined(__clang__)
  // Where n is known to be 1, clang 22 stores the lane before it was narrowed: 32 bits of it.
  __asm__("" : "+r"(lanes));
#endif
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>(lanes), to_bf16(a));
}

OXPLOW_INLINE __m256i to_f16(F32 a) { return _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
OXPLOW_INLINE F32 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
OXPLOW_INLINE F32 load_f16(const uint16_t* p, int64_t n) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p))};
}
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_f16(a)); }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p, int64_t n) { _mm256_mask_storeu_epi16(p, first_lanes(n), to_f16(a)); }

}  // namespace oxplow::OXPLOW_ISA

#include "oxplow/kernels/simd/derived.h"
