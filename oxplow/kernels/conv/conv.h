#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"
#include "oxplow/kernels/epilogue.h"

namespace oxplow {

// Direct convolution, NHWC, one group:
//   y[n][i][j][m] = activation(sum over r < kernel_h, s < kernel_w, c < C of
//                   x[n][i * stride_h + r * dilation_h][j * stride_w + s * dilation_w][c] * w[r][s][c][m] + bias[m] + residual[n][i][j][m])
// as an implicit matrix product over a zero-bordered input: x points at the pixel under tap (0, 0) of output pixel (0, 0), so padding is
// memory that the producer set to zero. Strides are in elements and free, so x, y and the residual may be parts of larger or
// bordered buffers. The order of summation is fixed: r, s, c ascending.
struct ConvArgs {
  int64_t batch = 0, out_h = 0, out_w = 0, in_channels = 0, out_channels = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  const void* x = nullptr;
  int64_t x_image = 0, x_row = 0, x_pixel = 0;
  const void* w = nullptr;  // packed by pack()
  void* y = nullptr;
  int64_t y_image = 0, y_row = 0, y_pixel = 0;
  int64_t residual_image = 0, residual_row = 0, residual_pixel = 0;
  Epilogue epilogue;
};

struct ConvKernel {
  const char* name;  // conv_<x>_<w>_<y>_<pixels>x<channels>_<isa>
  DType x, w, y;
  int tile_pixels;
  int panel_channels;    // output channels of a packed panel
  int channel_multiple;  // in_channels must be a multiple (1 for f32, 2 for bf16 dot products, 32 for AMX tiles, ...)
  size_t (*packed_bytes)(const ConvArgs& args);
  // From f32, w[m][c][r][s] at w[m * out_stride + c * in_stride + r * row_stride + s * column_stride] (ONNX: C*R*S, R*S, S, 1).
  // `in_channels_given` <= args.in_channels: the rest are zero.
  void (*pack)(const float* w, int64_t out_stride, int64_t in_stride, int64_t row_stride, int64_t column_stride,
               int64_t in_channels_given, const ConvArgs& args, int64_t panel_begin, int64_t panel_end, void* packed);
  // Output pixels [pixel_begin, pixel_end) of batch * out_h * out_w, flat, x panels [panel_begin, panel_end). Pixel ranges that are
  // multiples of tile_pixels, or whole rows, are fastest.
  void (*run)(const ConvArgs& args, int64_t pixel_begin, int64_t pixel_end, int64_t panel_begin, int64_t panel_end);
};

struct ConvKernels {
  std::span<const ConvKernel> kernels;
};

const ConvKernels& conv_kernels(Isa isa);
// Of the kernels of `isa` for these element types whose channel_multiple divides in_channels, the one that takes least for so many
// output channels: those its panels cover, at the rate measured on this machine (measured_rate.h). They all give the same bits. Null
// when there is none.
const ConvKernel* find_conv(Isa isa, DType x, DType y, int64_t in_channels, int64_t out_channels);

}  // namespace oxplow
