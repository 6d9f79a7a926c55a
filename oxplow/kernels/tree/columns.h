#pragma once
// From a column of numbers to predicate words: a search among the cuts gives bins, transposed bits of bins give planes, and planes
// give the word of `bin >= k` for every k in one or two instructions each.

#include "oxplow/kernels/tree/bits.h"
#include "oxplow/kernels/tree/tree.h"

namespace oxplow::OXPLOW_ISA {

inline constexpr int64_t kBlockRows = Bits::kBytes * 8;

// The bins' low and high bytes, in the order of rows.
struct Bins {
  uint8_t* low;
  uint8_t* high;
};

#if defined(__AVX512F__)

// Levels 0 to 7 of the search tree in registers: level l has 2^l cuts.
template <int kLevels>
struct CutTree {
  static constexpr int kRegisters = kLevels <= 4 ? kLevels : 4 + (1 << (kLevels - 4)) - 1;
  __m512 level[kRegisters];

  OXPLOW_INLINE explicit CutTree(const float* cuts) {
    int at = 0;
#pragma GCC unroll 8
    for (int l = 0; l < kLevels; ++l) {
      if (l < 4) {
        level[at++] = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1 << (1 << l)) - 1), cuts + (1 << l) - 1);
      } else {
#pragma GCC unroll 8
        for (int part = 0; part < (1 << (l - 4)); ++part) level[at++] = _mm512_loadu_ps(cuts + (1 << l) - 1 + 16 * part);
      }
    }
  }

  // The number of cuts <= x in each lane.
  OXPLOW_INLINE __m512i bin(__m512 x) const {
    const __m512i one = _mm512_set1_epi32(1);
    __m512i j = _mm512_setzero_si512();
    __mmask16 went[8] = {};
#pragma GCC unroll 8
    for (int l = 0; l < kLevels; ++l) {
      went[l] = _mm512_cmp_ps_mask(x, cut(l, j, went), _CMP_GE_OQ);
      j = _mm512_add_epi32(j, j);
      j = _mm512_mask_add_epi32(j, went[l], j, one);
    }
    return j;
  }

 private:
  OXPLOW_INLINE __m512 cut(int l, __m512i j, const __mmask16* went) const {
    if constexpr (kLevels > 4) {
      if (l == 5) return pair(5, j);
      if (l == 6) return _mm512_mask_blend_ps(went[0], pair(7, j), pair(9, j));
      if (l == 7) {
        return _mm512_mask_blend_ps(went[0], _mm512_mask_blend_ps(went[1], pair(11, j), pair(13, j)),
                                    _mm512_mask_blend_ps(went[1], pair(15, j), pair(17, j)));
      }
    }
    return _mm512_permutexvar_ps(j, level[l]);
  }
  OXPLOW_INLINE __m512 pair(int at, __m512i j) const { return _mm512_permutex2var_ps(level[at], j, level[at + 1]); }
};

template <int kLevels>
OXPLOW_INLINE void find_bins(const TreeColumn& column, const float* cuts, const float* x, Bins bins) {
  const CutTree<kLevels> tree(cuts);
  for (int64_t r = 0; r < kBlockRows; r += 16) {
    const __m512 v = _mm512_loadu_ps(x + r);
    __m512i j = tree.bin(v);
    for (int l = kLevels; l < column.levels; ++l) {
      const __m512 cut = _mm512_i32gather_ps(j, cuts + (int64_t{1} << l) - 1, 4);
      const __mmask16 went = _mm512_cmp_ps_mask(v, cut, _CMP_GE_OQ);
      j = _mm512_add_epi32(j, j);
      j = _mm512_mask_add_epi32(j, went, j, _mm512_set1_epi32(1));
    }
    if (column.missing_is_high) j = _mm512_mask_mov_epi32(j, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_set1_epi32(-1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bins.low + r), _mm512_cvtepi32_epi8(j));
    if (column.levels > 8)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(bins.high + r), _mm512_cvtepi32_epi8(_mm512_srli_epi32(j, 8)));
  }
}

inline void find_bins(const TreeColumn& column, const float* cuts, const float* x, Bins bins) {
  if (column.levels == 4) return find_bins<4>(column, cuts, x, bins);
  find_bins<8>(column, cuts, x, bins);
}

#else

inline void find_bins(const TreeColumn& column, const float* cuts, const float* x, Bins bins) {
  constexpr int kAtOnce = 8;  // searches that hide each other's latency
  const uint32_t first_leaf = (1u << column.levels) - 1;
  for (int64_t r = 0; r < kBlockRows; r += kAtOnce) {
    uint32_t k[kAtOnce] = {};
    for (int l = 0; l < column.levels; ++l) {
#pragma GCC unroll 8
      for (int i = 0; i < kAtOnce; ++i) k[i] = 2 * k[i] + 1 + (x[r + i] >= cuts[k[i]]);
    }
    for (int i = 0; i < kAtOnce; ++i) {
      uint32_t bin = k[i] - first_leaf;
      if (column.missing_is_high && x[r + i] != x[r + i]) bin = 0xffff;
      bins.low[r + i] = static_cast<uint8_t>(bin);
      bins.high[r + i] = static_cast<uint8_t>(bin >> 8);
    }
  }
}

#endif

// out[k - 1] = `number >= k` for 1 <= k <= count, where the number is radix * high + low, high[a] is `its high part >= a` (high[0]
// true, and false behind its end) and low[b] is `its low part >= b`.
OXPLOW_INLINE void thermometer(const Bits* high, const Bits* low, int64_t radix, int64_t count, std::byte* out) {
  for (int64_t a = 0; a * radix <= count; ++a) {
    const Bits at_least = high[a], more = high[a + 1];
    if (a > 0) at_least.store(out + (a * radix - 1) * Bits::kBytes);
    const int64_t end = count - a * radix < radix - 1 ? count - a * radix : radix - 1;
    for (int64_t b = 1; b <= end; ++b) or_and(more, at_least, low[b]).store(out + (a * radix + b - 1) * Bits::kBytes);
  }
}

// t[a] = `the number of four planes >= a`, 0 <= a <= 16.
OXPLOW_INLINE void thermometer_of_nibble(const Bits* planes, Bits* t) {
  const Bits ones = Bits::byte(0xff), zero = Bits::byte(0);
  Bits pair[2][5];
  for (int i = 0; i < 2; ++i) {
    const Bits low = planes[2 * i], high = planes[2 * i + 1];
    pair[i][0] = ones;
    pair[i][1] = or_and(high, low, low);
    pair[i][2] = high;
    pair[i][3] = or_and(zero, high, low);
    pair[i][4] = zero;
  }
  t[0] = ones;
  t[16] = zero;
  thermometer(pair[1], pair[0], 4, 15, reinterpret_cast<std::byte*>(t + 1));
}

OXPLOW_INLINE void planes_of(const uint8_t* bytes, Bits (&planes)[8]) {
  for (int i = 0; i < 8; ++i) planes[i] = Bits::load(bytes + i * Bits::kBytes);
  transpose_bits(planes);
}

// The words of `byte >= k` for 1 <= k <= count <= 255.
OXPLOW_INLINE void thermometer_of_bytes(const uint8_t* bytes, int64_t count, std::byte* out) {
  Bits planes[8], low[17], high[17];
  planes_of(bytes, planes);
  thermometer_of_nibble(planes, low);
  thermometer_of_nibble(planes + 4, high);
  thermometer(high, low, 16, count, out);
}

// What a block needs for one column at a time.
struct ColumnSpace {
  alignas(64) float x[kBlockRows];
  alignas(64) uint8_t low[kBlockRows];
  alignas(64) uint8_t high[kBlockRows];
  Bits low_at_least[257];
  Bits high_at_least[257];
};

// The predicate words of a column whose numbers are in space.x.
inline void ask_column(const TreeColumn& column, const float* cuts, ColumnSpace& space, std::byte* words) {
  std::byte* out = words + int64_t{column.first} * Bits::kBytes;
  if (column.missing >= 0) {
    for (int64_t r = 0; r < kBlockRows; ++r) space.low[r] = space.x[r] != space.x[r];
    Bits planes[8];
    planes_of(space.low, planes);
    planes[0].store(words + int64_t{column.missing} * Bits::kBytes);
  }
  if (column.count == 0) return;
  find_bins(column, cuts + column.heap, space.x, {space.low, space.high});
  if (column.levels <= 8) return thermometer_of_bytes(space.low, column.count, out);
  thermometer_of_bytes(space.low, 255, reinterpret_cast<std::byte*>(space.low_at_least + 1));
  thermometer_of_bytes(space.high, 255, reinterpret_cast<std::byte*>(space.high_at_least + 1));
  space.high_at_least[0] = Bits::byte(0xff);
  space.high_at_least[256] = Bits::byte(0);
  thermometer(space.high_at_least, space.low_at_least, 256, column.count, out);
}

}  // namespace oxplow::OXPLOW_ISA
