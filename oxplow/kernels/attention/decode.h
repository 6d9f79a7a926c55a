#pragma once
// Attention of a few queries: K and V stream through once, in blocks of keys; lanes run along the head dimension.

#include "oxplow/kernels/attention/attention.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {

constexpr int kDecodeRows = 4;          // rows that share a load of K or V
constexpr int64_t kDecodeKeys = 512;    // of a block
constexpr int64_t kDecodePrefetch = 8;  // rows ahead

// Scores of kRows rows of queries, `q_row` floats apart, to scores[row * kDecodeKeys + key].
template <int kRows, typename T>
__attribute__((noinline)) void decode_scores(const T* k, int64_t step, int64_t keys, int64_t dim, const float* q, int64_t q_row,
                                             float* scores) {
  for (int64_t j = 0; j < keys; ++j) {
    const T* row = k + j * step;
    F32 dot[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) dot[r] = F32::zero();
    int64_t d = 0;
    for (; d + F32::kWidth <= dim; d += F32::kWidth) {
      __builtin_prefetch(row + kDecodePrefetch * step + d, 0, 3);
      const F32 x = load_f32(row + d);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) dot[r] = fma(F32::load(q + r * q_row + d), x, dot[r]);
    }
    if (d < dim) {
      const F32 x = load_f32(row + d, dim - d);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) dot[r] = fma(F32::load(q + r * q_row + d), x, dot[r]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) scores[r * kDecodeKeys + j] = sum(dot[r]);
  }
}

// Adds kVectors vectors of columns of the weighted rows of V to `out`, which is first multiplied by factor[row].
template <int kRows, int kVectors, bool kPartial, typename T>
__attribute__((noinline)) void decode_values(const T* v, int64_t step, int64_t keys, int64_t columns, const float* weights,
                                             const float* factor, float* out, int64_t out_row) {
  F32 total[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      total[r][i] = F32::load(out + r * out_row + i * F32::kWidth) * F32::broadcast(factor[r]);
    }
  }
  for (int64_t j = 0; j < keys; ++j) {
    const T* row = v + j * step;
    F32 x[kVectors];
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      if constexpr (!kPartial) __builtin_prefetch(row + kDecodePrefetch * step + i * F32::kWidth, 0, 3);
      x[i] = load_lanes<kPartial>(row + i * F32::kWidth, columns);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const F32 weight = F32::broadcast(weights[r * kDecodeKeys + j]);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) total[r][i] = fma(weight, x[i], total[r][i]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) total[r][i].store(out + r * out_row + i * F32::kWidth);
  }
}

// All columns.
template <int kRows, typename T>
OXPLOW_INLINE void decode_values(const T* v, int64_t step, int64_t keys, int64_t dim, const float* weights, const float* factor,
                                 float* out, int64_t out_row) {
  constexpr int64_t kWidth = F32::kWidth;
  int64_t d = 0;
  for (; d + 4 * kWidth <= dim; d += 4 * kWidth) {
    decode_values<kRows, 4, false>(v + d, step, keys, kWidth, weights, factor, out + d, out_row);
  }
  for (; d + kWidth <= dim; d += kWidth) {
    decode_values<kRows, 1, false>(v + d, step, keys, kWidth, weights, factor, out + d, out_row);
  }
  if (d < dim) decode_values<kRows, 1, true>(v + d, step, keys, dim - d, weights, factor, out + d, out_row);
}

}  // namespace oxplow::OXPLOW_ISA
