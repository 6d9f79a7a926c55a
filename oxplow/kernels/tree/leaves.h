#pragma once
// From the planes of leaf numbers to sums of leaf values.

#include "oxplow/kernels/tree/columns.h"

namespace oxplow::OXPLOW_ISA {

#if defined(__AVX512VBMI__)

// Where the sum of a row stands: bytes become floats by interleaving within 16-byte parts, so in each 64 rows the number of the part
// and that of the quarter in it change places.
OXPLOW_INLINE int64_t place_of_row(int64_t r) { return (r & ~int64_t{60}) | (r & 12) << 2 | (r & 48) >> 2; }

// The byte of each leaf number's value that stands in this plane of 2^kDepth.
template <int kDepth>
OXPLOW_INLINE __m512i look_up(const uint8_t* plane, __m512i leaf, const __mmask64* in_part) {
  __m512i v = _mm512_permutexvar_epi8(leaf, _mm512_loadu_si512(plane));
#pragma GCC unroll 4
  for (int part = 1; part < (1 << kDepth) / 64; ++part)
    v = _mm512_mask_permutexvar_epi8(v, in_part[part], leaf, _mm512_loadu_si512(plane + 64 * part));
  return v;
}

template <int kDepth>
OXPLOW_INLINE void add_values(const Bits (&leaves)[8], const TreeArgs& args, int64_t first, float* sums) {
  constexpr int64_t kSize = kDepth < 6 ? 64 : 1 << kDepth;
  const uint8_t* planes = args.value_bytes + 4 * first;
#pragma GCC unroll 1
  for (int group = 0; group < 8; ++group) {
    const __m512i leaf = leaves[group].v;
    __mmask64 in_part[4] = {};
    const __mmask64 bit6 = _mm512_movepi8_mask(_mm512_slli_epi16(leaf, 1)), bit7 = _mm512_movepi8_mask(leaf);
    if constexpr (kDepth == 7) in_part[1] = bit6;
    if constexpr (kDepth == 8) in_part[1] = bit6 & ~bit7, in_part[2] = bit7 & ~bit6, in_part[3] = bit6 & bit7;
    const __m512i b0 = look_up<kDepth>(planes, leaf, in_part), b1 = look_up<kDepth>(planes + kSize, leaf, in_part);
    const __m512i b2 = look_up<kDepth>(planes + 2 * kSize, leaf, in_part),
                  b3 = look_up<kDepth>(planes + 3 * kSize, leaf, in_part);
    const __m512i low01 = _mm512_unpacklo_epi8(b0, b1), high01 = _mm512_unpackhi_epi8(b0, b1);
    const __m512i low23 = _mm512_unpacklo_epi8(b2, b3), high23 = _mm512_unpackhi_epi8(b2, b3);
    const __m512i quarter[4] = {_mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
                                _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      float* at = sums + group * 64 + q * 16;
      _mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), _mm512_castsi512_ps(quarter[q])));
    }
  }
}

#else

OXPLOW_INLINE int64_t place_of_row(int64_t r) { return r; }

template <int kDepth>
OXPLOW_INLINE void add_values(const Bits (&leaves)[8], const TreeArgs& args, int64_t first, float* sums) {
  alignas(64) uint8_t leaf[kBlockRows];
  const float* values = args.values + first;
  for (int i = 0; i < 8; ++i) leaves[i].store(leaf + i * Bits::kBytes);
#if defined(__AVX512F__)
  for (int64_t r = 0; r < kBlockRows; r += 16) {
    const __m512i index = _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(leaf + r)));
    _mm512_storeu_ps(sums + r, _mm512_add_ps(_mm512_loadu_ps(sums + r), _mm512_i32gather_ps(index, values, 4)));
  }
#else
#pragma GCC unroll 8
  for (int64_t r = 0; r < kBlockRows; ++r) sums[r] += values[leaf[r]];
#endif
}

#endif

// Planes of the leaf numbers below `node` of a perfect tree: plane kDepth - 1 says the first turn, plane 0 the last.
template <int kDepth>
OXPLOW_INLINE void descend(const std::byte* words, const uint32_t* predicates, int node, Bits* planes) {
  const Bits turn = Bits::load(words + uint64_t{predicates[node]} * (Bits::kBytes / 8));
  if constexpr (kDepth > 1) {
    Bits left[kDepth - 1], right[kDepth - 1];
    descend<kDepth - 1>(words, predicates, 2 * node + 1, left);
    descend<kDepth - 1>(words, predicates, 2 * node + 2, right);
#pragma GCC unroll 8
    for (int i = 0; i < kDepth - 1; ++i) planes[i] = mux(turn, left[i], right[i]);
  }
  planes[kDepth - 1] = turn;
}

// Adds a sliced tree's values to the sums of the targets it votes for, kBlockRows of each.
template <int kDepth>
void add_tree(const TreeArgs& args, const TreeStep& step, const std::byte* words, float* sums) {
  Bits planes[8];
  for (int i = kDepth; i < 8; ++i) planes[i] = Bits::byte(0);
  descend<kDepth>(words, args.predicates + step.first, 0, planes);
  transpose_bits(planes);
  for (int32_t v = step.tables_begin; v < step.tables_end; ++v)
    add_values<kDepth>(planes, args, args.tables[v].first, sums + args.tables[v].target * kBlockRows);
}

}  // namespace oxplow::OXPLOW_ISA
