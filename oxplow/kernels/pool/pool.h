#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

enum class PoolKind : uint8_t { max, average };

// Window pooling, NHWC. Output pixel (i, j) covers input rows i * stride_h - pad_top + r * dilation_h, r < kernel_h, and columns
// alike; taps outside [0, in_h) x [0, in_w) are clipped, so the input needs no border. ceil_mode is just a larger out_h, out_w.
//   max: the largest value; NaN is ignored; -inf when no tap is inside.
//   average: the sum over the taps inside, r then s ascending in f32, divided by the number of taps inside, or with
//   count_include_pad by the number of taps inside the padded input (rows < in_h + pad_bottom, columns < in_w + pad_right, as
//   PyTorch and ONNX count them); 0 when no tap counts.
// Strides are in elements and free; channels are contiguous. Global pooling is reduce's job (this works, one task an image).
struct PoolArgs {
  PoolKind kind = PoolKind::max;
  int64_t batch = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0, channels = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool count_include_pad = false;
  const void* x = nullptr;  // input pixel (0, 0)
  int64_t x_image = 0, x_row = 0, x_pixel = 0;
  void* y = nullptr;
  int64_t y_image = 0, y_row = 0, y_pixel = 0;
};

struct PoolKernel {
  const char* name;   // pool_<x>_<isa>
  DType x;            // of x and y: f32 or bf16
  int channel_block;  // channel ranges that begin at multiples of it are fastest
  // Output rows [row_begin, row_end) of batch * out_h, flat, and channels [channel_begin, channel_end).
  void (*run)(const PoolArgs& args, int64_t row_begin, int64_t row_end, int64_t channel_begin, int64_t channel_end);
};

struct PoolKernels {
  std::span<const PoolKernel> kernels;
};

const PoolKernels& pool_kernels(Isa isa);
// The kernel of `isa` for activations of `type`, or null.
const PoolKernel* find_pool(Isa isa, DType type);

}  // namespace oxplow
