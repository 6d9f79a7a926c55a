#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"
#include "oxplow/kernels/epilogue.h"

namespace oxplow {

// Depthwise convolution, NHWC, channel multiplier 1:
//   y[n][i][j][c] = activation(sum over r < kernel_h, s < kernel_w of
//                   x[n][i * stride_h + r * dilation_h][j * stride_w + s * dilation_w][c] * w[r][s][c] + bias[c] +
//                   residual[n][i][j][c])
// over a zero-bordered input as in conv.h: x points at the pixel under tap (0, 0) of output pixel (0, 0), so padding is memory
// that the producer set to zero. Strides are in elements and free; channels are contiguous. Sums are f32, the bias
// first, then r and s ascending, whatever the split. Reads only the pixels under taps, and channels [channel_begin, channel_end) of them.
struct DepthwiseArgs {
  int64_t batch = 0, out_h = 0, out_w = 0, channels = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  const void* x = nullptr;
  int64_t x_image = 0, x_row = 0, x_pixel = 0;
  const float* w = nullptr;  // packed by pack_depthwise()
  void* y = nullptr;
  int64_t y_image = 0, y_row = 0, y_pixel = 0;
  int64_t residual_image = 0, residual_row = 0, residual_pixel = 0;
  Epilogue epilogue;  // bias [channels]
};

struct DepthwiseKernel {
  const char* name;   // depthwise_<x>_f32_<y>_<isa>
  DType x, y;         // equal: f32 or bf16; sums are f32
  int channel_block;  // channel ranges that begin at multiples of it are fastest
  // Output rows [row_begin, row_end) of batch * out_h, flat, and channels [channel_begin, channel_end).
  void (*run)(const DepthwiseArgs& args, int64_t row_begin, int64_t row_end, int64_t channel_begin, int64_t channel_end);
};

struct DepthwiseKernels {
  std::span<const DepthwiseKernel> kernels;
};

const DepthwiseKernels& depthwise_kernels(Isa isa);
// The kernel of `isa` for activations of `type`, or null.
const DepthwiseKernel* find_depthwise(Isa isa, DType type);

// Packs w[c][r][s], at w[c * channel_stride + r * row_stride + s * column_stride] (ONNX: R*S, S, 1), as [r][s][channels] f32:
// kernel_h * kernel_w * channels elements, no padding.
void pack_depthwise(const float* w, int64_t channel_stride, int64_t row_stride, int64_t column_stride, int64_t kernel_h,
                    int64_t kernel_w, int64_t channels, float* packed);

}  // namespace oxplow
