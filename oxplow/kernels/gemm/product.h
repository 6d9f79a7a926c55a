#pragma once
// The products that register tiles (tile.h) add up: how a unit of 4 bytes of A (one f32, two bf16) is spread over a vector, and
// multiplied into a vector of sums.
//
//   kUnit                elements of A in a unit
//   four(row, offset)    the four units at row + offset, or the promise to load them
//   pick<i>(four)        unit i of them in all lanes
//   one(row, offset)     the unit at row + offset in all lanes
//   load<byte>(p)        kWidth columns of packed B at p + byte
//   add(sum, a, b)       sum + a * b

#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OXPLOW_PLAIN_LOADS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define OXPLOW_PLAIN_LOADS 1
#endif

namespace oxplow::OXPLOW_ISA {

#if defined(__AVX2__) && !defined(OXPLOW_PLAIN_LOADS)

// In assembly, to keep the order of instructions as written: left to itself the compiler loads far ahead, spills sums to make room,
// and repeats a broadcast in every multiply-add that uses it, where two loads a cycle are the limit. The memory is no operand, so
// that its address stays base + index: nobody writes A or B while a kernel runs.
struct F32Product {
  static constexpr int kUnit = 1;
  using Vector = F32;
  struct Four {
    const char* row;
    int64_t offset;
  };
  static OXPLOW_INLINE Four four(const char* row, int64_t offset) { return {row, offset}; }
  template <int kIndex>
  static OXPLOW_INLINE F32 pick(Four a) {
    F32 v;
    asm volatile("vbroadcastss %c3(%1,%2), %0" : "=v"(v.v) : "r"(a.row), "r"(a.offset), "i"(4 * kIndex));
    return v;
  }
  static OXPLOW_INLINE F32 one(const char* row, int64_t offset) { return pick<0>({row, offset}); }
  template <int kByte>
  static OXPLOW_INLINE F32 load(const char* p) {
    F32 v;
    asm volatile("vmovups %c2(%1), %0" : "=v"(v.v) : "r"(p), "i"(kByte));
    return v;
  }
  static OXPLOW_INLINE F32 add(F32 sum, F32 a, F32 b) {
    asm volatile("vfmadd231ps %1, %2, %0" : "+v"(sum.v) : "v"(a.v), "v"(b.v));
    return sum;
  }
};

#else

struct F32Product {
  static constexpr int kUnit = 1;
  using Vector = F32;
  static OXPLOW_INLINE F32 one(const char* row, int64_t offset) {
    return F32::broadcast(*reinterpret_cast<const float*>(row + offset));
  }
  template <int kByte>
  static OXPLOW_INLINE F32 load(const char* p) {
    return F32::load(reinterpret_cast<const float*>(p + kByte));
  }
  static OXPLOW_INLINE F32 add(F32 sum, F32 a, F32 b) { return fma(a, b, sum); }

#if defined(__ARM_NEON)
  using Four = float32x4_t;
  template <int kIndex>
  struct Lane {
    float32x4_t four;
  };
  static OXPLOW_INLINE Four four(const char* row, int64_t offset) {
    return vld1q_f32(reinterpret_cast<const float*>(row + offset));
  }
  template <int kIndex>
  static OXPLOW_INLINE Lane<kIndex> pick(Four a) {
    return {a};
  }
  template <int kIndex>
  static OXPLOW_INLINE F32 add(F32 sum, Lane<kIndex> a, F32 b) {
    return {vfmaq_laneq_f32(sum.v, b.v, a.four, kIndex)};
  }
#else
  struct Four {
    const char* row;
    int64_t offset;
  };
  static OXPLOW_INLINE Four four(const char* row, int64_t offset) { return {row, offset}; }
  template <int kIndex>
  static OXPLOW_INLINE F32 pick(Four a) {
    return one(a.row, a.offset + 4 * kIndex);
  }
#endif
};

#endif

#if defined(__AVX512BF16__)

// Pairs of bf16: vdpbf16ps multiplies both and adds both products to an f32. Columns of packed B are pairs too.
struct Bf16Product {
  static constexpr int kUnit = 2;
  using Vector = __m512i;
  struct Four {
    const char* row;
    int64_t offset;
  };
#if defined(OXPLOW_PLAIN_LOADS)
  template <int kIndex>
  static OXPLOW_INLINE __m512i pick(Four a) {
    int32_t pair;
    __builtin_memcpy(&pair, a.row + a.offset + 4 * kIndex, 4);
    return _mm512_set1_epi32(pair);
  }
  template <int kByte>
  static OXPLOW_INLINE __m512i load(const char* p) {
    return _mm512_loadu_si512(p + kByte);
  }
#else
  template <int kIndex>
  static OXPLOW_INLINE __m512i pick(Four a) {
    __m512i v;
    asm volatile("vpbroadcastd %c3(%1,%2), %0" : "=v"(v) : "r"(a.row), "r"(a.offset), "i"(4 * kIndex));
    return v;
  }
  template <int kByte>
  static OXPLOW_INLINE __m512i load(const char* p) {
    __m512i v;
    asm volatile("vmovdqu64 %c2(%1), %0" : "=v"(v) : "r"(p), "i"(kByte));
    return v;
  }
#endif
  static OXPLOW_INLINE Four four(const char* row, int64_t offset) { return {row, offset}; }
  static OXPLOW_INLINE __m512i one(const char* row, int64_t offset) { return pick<0>({row, offset}); }
  // In assembly: g++ 12 and clang 22 spell the operands' type differently.
  static OXPLOW_INLINE F32 add(F32 sum, __m512i a, __m512i b) {
    asm volatile("vdpbf16ps %2, %1, %0" : "+v"(sum.v) : "v"(a), "v"(b));
    return sum;
  }
};

#endif

}  // namespace oxplow::OXPLOW_ISA
