#pragma once
// Packing of B into panels.

#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

// One panel: out[k][column] = b[k * row_stride + column * column_stride] for column < columns, zero up to kColumns.
template <int kColumns>
OXPLOW_INLINE void pack_panel(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t columns, float* out) {
  if (column_stride == 1) {
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < kColumns; j += F32::kWidth) {
        const int64_t left = columns - j < 0 ? 0 : columns - j < F32::kWidth ? columns - j : F32::kWidth;
        const F32 v = left == F32::kWidth ? F32::load(b + i * row_stride + j) : F32::load(b + i * row_stride + j, left);
        v.store(out + i * kColumns + j);
      }
    }
    return;
  }
  // Eight k at a time, so that lines of a column are read whole.
  for (int64_t i = 0; i < k; i += 8) {
    const int64_t count = k - i < 8 ? k - i : 8;
    for (int64_t j = 0; j < kColumns; ++j) {
      const float* from = b + i * row_stride + j * column_stride;
      float* to = out + i * kColumns + j;
      for (int64_t u = 0; u < count; ++u) to[u * kColumns] = j < columns ? from[u * row_stride] : 0.0f;
    }
  }
}

#if defined(__AVX512BF16__)

// One panel of pairs: out[k / 2][column][k % 2], rounded to bf16; columns past `columns` are zero, and so is the pair of a last odd
// k.
template <int kColumns>
OXPLOW_INLINE void pack_panel(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t columns,
                              uint16_t* out) {
  float block[8 * kColumns];  // eight k, so that lines of a column are read whole
  for (int64_t i = 0; i < k; i += 8) {
    const int64_t count = k - i < 8 ? k - i : 8;
    pack_panel<kColumns>(b + i * row_stride, row_stride, column_stride, count, columns, block);
    if (count % 2 != 0) {
      for (int64_t j = 0; j < kColumns; ++j) block[count * kColumns + j] = 0;
    }
    for (int64_t u = 0; u < count; u += 2) {
      for (int64_t j = 0; j < kColumns; j += F32::kWidth) {
        const __m512i even = _mm512_cvtepu16_epi32(to_bf16(F32::load(block + u * kColumns + j)));
        const __m512i odd = _mm512_cvtepu16_epi32(to_bf16(F32::load(block + (u + 1) * kColumns + j)));
        _mm512_storeu_si512(out + (i + u) * kColumns + 2 * j, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
      }
    }
  }
}

#endif

}  // namespace oxplow::OXPLOW_ISA
