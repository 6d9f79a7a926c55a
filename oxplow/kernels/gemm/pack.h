#pragma once
// Packing of B into panels.

#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

// One panel: out[k][column] = b[k * row_stride + column * column_stride] for column < columns, zero up to kColumns.
template <int kColumns>
OXPLOW_INLINE void pack_panel_f32(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t columns,
                                  float* out) {
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

}  // namespace oxplow::OXPLOW_ISA
