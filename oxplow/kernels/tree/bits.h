#pragma once
// A register as a set of rows, one bit a row.

#include <cstddef>
#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

#if defined(__AVX512F__)
struct Bits {
  static constexpr int kBytes = 64;
  __m512i v;
  static OXPLOW_INLINE Bits load(const void* p) { return {_mm512_loadu_si512(p)}; }
  static OXPLOW_INLINE Bits byte(int x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
  OXPLOW_INLINE void store(void* p) const { _mm512_storeu_si512(p, v); }
  friend OXPLOW_INLINE Bits operator^(Bits a, Bits b) { return {_mm512_xor_si512(a.v, b.v)}; }
};
// choose ? one : zero, bit by bit.
OXPLOW_INLINE Bits mux(Bits choose, Bits zero, Bits one) { return {_mm512_ternarylogic_epi64(choose.v, one.v, zero.v, 0xca)}; }
// a | (b & c)
OXPLOW_INLINE Bits or_and(Bits a, Bits b, Bits c) { return {_mm512_ternarylogic_epi64(a.v, b.v, c.v, 0xf8)}; }
template <int kCount>
OXPLOW_INLINE Bits shift_up(Bits a) {
  return {_mm512_slli_epi64(a.v, kCount)};
}
template <int kCount>
OXPLOW_INLINE Bits shift_down(Bits a) {
  return {_mm512_srli_epi64(a.v, kCount)};
}
#elif defined(__AVX2__)
struct Bits {
  static constexpr int kBytes = 32;
  __m256i v;
  static OXPLOW_INLINE Bits load(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
  static OXPLOW_INLINE Bits byte(int x) { return {_mm256_set1_epi8(static_cast<char>(x))}; }
  OXPLOW_INLINE void store(void* p) const { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
  friend OXPLOW_INLINE Bits operator^(Bits a, Bits b) { return {_mm256_xor_si256(a.v, b.v)}; }
};
OXPLOW_INLINE Bits mux(Bits choose, Bits zero, Bits one) {
  return {_mm256_xor_si256(zero.v, _mm256_and_si256(choose.v, _mm256_xor_si256(zero.v, one.v)))};
}
OXPLOW_INLINE Bits or_and(Bits a, Bits b, Bits c) { return {_mm256_or_si256(a.v, _mm256_and_si256(b.v, c.v))}; }
template <int kCount>
OXPLOW_INLINE Bits shift_up(Bits a) {
  return {_mm256_slli_epi64(a.v, kCount)};
}
template <int kCount>
OXPLOW_INLINE Bits shift_down(Bits a) {
  return {_mm256_srli_epi64(a.v, kCount)};
}
#elif defined(__SSE2__)
struct Bits {
  static constexpr int kBytes = 16;
  __m128i v;
  static OXPLOW_INLINE Bits load(const void* p) { return {_mm_loadu_si128(static_cast<const __m128i*>(p))}; }
  static OXPLOW_INLINE Bits byte(int x) { return {_mm_set1_epi8(static_cast<char>(x))}; }
  OXPLOW_INLINE void store(void* p) const { _mm_storeu_si128(static_cast<__m128i*>(p), v); }
  friend OXPLOW_INLINE Bits operator^(Bits a, Bits b) { return {_mm_xor_si128(a.v, b.v)}; }
};
OXPLOW_INLINE Bits mux(Bits choose, Bits zero, Bits one) {
  return {_mm_xor_si128(zero.v, _mm_and_si128(choose.v, _mm_xor_si128(zero.v, one.v)))};
}
OXPLOW_INLINE Bits or_and(Bits a, Bits b, Bits c) { return {_mm_or_si128(a.v, _mm_and_si128(b.v, c.v))}; }
template <int kCount>
OXPLOW_INLINE Bits shift_up(Bits a) {
  return {_mm_slli_epi64(a.v, kCount)};
}
template <int kCount>
OXPLOW_INLINE Bits shift_down(Bits a) {
  return {_mm_srli_epi64(a.v, kCount)};
}
#elif defined(__ARM_NEON)
struct Bits {
  static constexpr int kBytes = 16;
  uint64x2_t v;
  static OXPLOW_INLINE Bits load(const void* p) { return {vreinterpretq_u64_u8(vld1q_u8(static_cast<const uint8_t*>(p)))}; }
  static OXPLOW_INLINE Bits byte(int x) { return {vreinterpretq_u64_u8(vdupq_n_u8(static_cast<uint8_t>(x)))}; }
  OXPLOW_INLINE void store(void* p) const { vst1q_u8(static_cast<uint8_t*>(p), vreinterpretq_u8_u64(v)); }
  friend OXPLOW_INLINE Bits operator^(Bits a, Bits b) { return {veorq_u64(a.v, b.v)}; }
};
OXPLOW_INLINE Bits mux(Bits choose, Bits zero, Bits one) { return {vbslq_u64(choose.v, one.v, zero.v)}; }
OXPLOW_INLINE Bits or_and(Bits a, Bits b, Bits c) { return {vorrq_u64(a.v, vandq_u64(b.v, c.v))}; }
template <int kCount>
OXPLOW_INLINE Bits shift_up(Bits a) {
  return {vshlq_n_u64(a.v, kCount)};
}
template <int kCount>
OXPLOW_INLINE Bits shift_down(Bits a) {
  return {vshrq_n_u64(a.v, kCount)};
}
#endif

// Exchanges the upper kCount bits of each group of 2 * kCount in `a` with the lower ones in `b`.
template <int kCount>
OXPLOW_INLINE void exchange(Bits& a, Bits& b, Bits lower) {
  const Bits from_b = shift_up<kCount>(b), from_a = shift_down<kCount>(a);
  a = mux(lower, from_b, a);
  b = mux(lower, b, from_a);
}

// Transposes eight registers as 8 x 8 bits at each byte's place: bit i of a byte of v[j] and bit j of that byte of v[i] change places. So eight
// registers of bytes, a row each, become the planes of their bits, and planes become bytes.
OXPLOW_INLINE void transpose_bits(Bits (&v)[8]) {
  const Bits low1 = Bits::byte(0x55), low2 = Bits::byte(0x33), low4 = Bits::byte(0x0f);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) exchange<4>(v[i], v[i + 4], low4);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) exchange<2>(v[i / 2 * 4 + i % 2], v[i / 2 * 4 + i % 2 + 2], low2);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) exchange<1>(v[i * 2], v[i * 2 + 1], low1);
}

}  // namespace oxplow::OXPLOW_ISA
