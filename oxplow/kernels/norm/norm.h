#pragma once

#include <cstdint>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

// Normalization of rows of `columns` elements. With v = x + residual (or x alone):
//   layer_norm: y = (v - mean) / sqrt(variance + epsilon) * gamma + beta, variance = mean of (v - mean)^2, in two passes
//   rms_norm:   y = v / sqrt(mean of v^2 + epsilon) * gamma + beta
// gamma and beta are f32 [columns], each may be null (1 and 0). x, residual, sum and y are rows with strides in elements; types
// f32, bf16 or f16; statistics are f32. sum, if given, receives v in its own type (and the statistics use v before rounding). y
// or sum may be the same memory as x or residual, row for row, if of the same type; y and sum differ.
struct NormArgs {
  int64_t rows = 0, columns = 0;
  const void* x = nullptr;
  DType x_type = DType::f32;
  int64_t ldx = 0;
  const void* residual = nullptr;  // of x_type
  int64_t ld_residual = 0;
  void* sum = nullptr;  // of x_type
  int64_t ld_sum = 0;
  void* y = nullptr;
  DType y_type = DType::f32;
  int64_t ldy = 0;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float epsilon = 1e-5f;
  float* mean = nullptr;     // [rows], optional: what a gradient needs (rms_norm leaves it alone)
  float* inv_std = nullptr;  // [rows], optional: 1 / sqrt(... + epsilon)
};

// Group norm, NHWC: x[n][p][c], p < pixels, c < channels in `groups` equal runs of channels; each (n, group) is normalized over
// its pixels and channels, then y = normalized * gamma[c] + beta[c]. Instance norm is groups == channels. Pixels are
// x_pixel elements apart, images x_image; y likewise; y may be x.
struct GroupNormArgs {
  int64_t batch = 0, pixels = 0, channels = 0, groups = 1;
  const void* x = nullptr;
  DType type = DType::f32;  // of x and y: f32, bf16 or f16
  int64_t x_image = 0, x_pixel = 0;
  void* y = nullptr;
  int64_t y_image = 0, y_pixel = 0;
  const float* gamma = nullptr;  // [channels]
  const float* beta = nullptr;   // [channels]
  float epsilon = 1e-5f;
};

// Batch norm of inference is a chain: mul_add with per-channel scale and shift (kernels/eltwise).
struct NormKernels {
  // Rows [row_begin, row_end).
  void (*layer_norm)(const NormArgs& args, int64_t row_begin, int64_t row_end);
  void (*rms_norm)(const NormArgs& args, int64_t row_begin, int64_t row_end);
  // Pairs (n, group) [begin, end) of batch * groups.
  void (*group_norm)(const GroupNormArgs& args, int64_t begin, int64_t end);
};

const NormKernels& norm_kernels(Isa isa);

}  // namespace oxplow
