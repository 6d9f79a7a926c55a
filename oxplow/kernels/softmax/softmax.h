#pragma once

#include <cstdint>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

inline constexpr int kMaxSoftmaxDims = 3;

// Over the axis r < length, with t = scale * x[o][r][i] + mask[o][r]:
//   y[o][r][i] = exp(t - max over r) / sum over r of exp(t - max), or its logarithm t - max - log(sum) when `log` is set.
// The outer dimensions are up to three (unused ones of extent 1) with their own strides in elements: a mask of [B, 1, 1, S]
// against x of [B, H, S, S] has mask_outer = {S, 0, 0}. inner == 1: the axis is contiguous in x, y and mask (the usual case).
// inner > 1: i is contiguous and the axis is x_axis apart (y_axis in y); no mask then. Types of x and y: f32, bf16, f16; the mask
// is f32. y may be x when strides and types agree. A row that is all -inf gives NaN, as the formula does.
struct SoftmaxArgs {
  int64_t outer[kMaxSoftmaxDims] = {1, 1, 1};
  int64_t length = 0;
  int64_t inner = 1;
  const void* x = nullptr;
  DType x_type = DType::f32;
  int64_t x_outer[kMaxSoftmaxDims] = {};
  int64_t x_axis = 1;
  void* y = nullptr;
  DType y_type = DType::f32;
  int64_t y_outer[kMaxSoftmaxDims] = {};
  int64_t y_axis = 1;
  float scale = 1;
  const float* mask = nullptr;
  int64_t mask_outer[kMaxSoftmaxDims] = {};
  bool log = false;

  int64_t rows() const { return outer[0] * outer[1] * outer[2]; }
};

struct SoftmaxKernels {
  // Rows [row_begin, row_end) of args.rows(); with inner > 1 a row holds all its columns.
  void (*softmax)(const SoftmaxArgs& args, int64_t row_begin, int64_t row_end);

  // A long row in parts [begin, end), for several threads: inner == 1, no mask. First the greatest t of each part; then, with the
  // greatest of all, each part's sum of exponentials; then, with the sum of all, each part of y.
  float (*greatest)(const SoftmaxArgs& args, int64_t row, int64_t begin, int64_t end);
  float (*sum)(const SoftmaxArgs& args, int64_t row, int64_t begin, int64_t end, float greatest);
  void (*finish)(const SoftmaxArgs& args, int64_t row, int64_t begin, int64_t end, float greatest, float sum);
};

const SoftmaxKernels& softmax_kernels(Isa isa);

}  // namespace oxplow
