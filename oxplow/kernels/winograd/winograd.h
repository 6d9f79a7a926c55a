#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/kernels/conv/conv.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

// 3x3 convolution with stride 1 and dilation 1 by Winograd's minimal filtering F(m x m, 3 x 3), NHWC, one group, computed in
// f32 whatever the type of the images. Geometry,
// strides, residual and epilogue are those of ConvArgs (kernel_h = kernel_w = 3): x points at the pixel under tap (0, 0) of
// output pixel (0, 0) of a zero-bordered buffer. Only the (out_h + 2) x (out_w + 2) window of each image is read, and only the
// output written.
//
// Per image and (m+2) x (m+2) input patch d:  y = A^T [sum over c of (G g_c G^T) * (B^T d_c B)] A, so (m+2)^2 products make m^2
// outputs where direct convolution takes 9 m^2. A last tile with m' < m outputs uses m' + 2 of the m + 2 points, so odd sizes
// waste nothing. The error is about twice that of direct convolution for m = 4, and like it for m = 2.
// A NaN or infinity reaches every output of the tiles that see it, not only the 3 x 3 pixels around it.
//
// A run is a few phases of tasks. Tasks of one phase may run at once, in any order, on any worker; a phase starts when the one
// before it is done (ThreadPool::Phase). `threads` is the number of workers and must be the same in workspace_bytes, phases,
// tasks and run. Results do not depend on it, nor on the batch: every sum adds up c in ascending order in one f32 accumulator.
struct WinogradKernel {
  const char* name;    // winograd_<x>_f32_<y>_<m>x<m>_<isa>
  DType image;         // of x, y and the residual: f32 or bf16
  int output_tile;     // m
  int panel_channels;  // output channels of a packed panel
  // Bytes of the transformed weights: about (m + 2)^2 / 9 of the weights. They depend on in_channels and out_channels only, not
  // on the batch or the image. Packed weights are 64-byte aligned.
  size_t (*packed_bytes)(const ConvArgs& args);
  // As ConvKernel::pack: from f32, w[m][c][r][s] at w[m * out_stride + c * in_stride + r * row_stride + s * column_stride]
  // (ONNX: C*9, 9, 3, 1), output channels of panels [panel_begin, panel_end) of panel_channels each.
  void (*pack)(const float* w, int64_t out_stride, int64_t in_stride, int64_t row_stride, int64_t column_stride,
               int64_t in_channels_given, const ConvArgs& args, int64_t panel_begin, int64_t panel_end, void* packed);
  // Scratch memory of a run, 64-byte aligned. Nothing in it lives from one run to the next; it need not be zeroed.
  size_t (*workspace_bytes)(const ConvArgs& args, int threads);
  int (*phases)(const ConvArgs& args, int threads);
  int (*tasks)(const ConvArgs& args, int threads, int phase);
  // One task. 0 <= worker < threads; tasks that run at once have different workers.
  void (*run)(const ConvArgs& args, int threads, int phase, int task, int worker, void* workspace);
};

// A tier's kernels, for each type m = 4 first.
struct WinogradKernels {
  std::span<const WinogradKernel> kernels;
};

const WinogradKernels& winograd_kernels(Isa isa);

// Whether the geometry is one that these kernels compute: 3x3, stride 1, dilation 1.
bool winograd_applies(const ConvArgs& args);
// The kernel expected to beat direct convolution most, or null where direct is expected to win: by counting products, transforms
// and, decisive for small images with many channels, the bytes of weights that come from memory (m = 4 has four times those
// of direct convolution).
const WinogradKernel* find_winograd(Isa isa, DType image, const ConvArgs& args);

}  // namespace oxplow
