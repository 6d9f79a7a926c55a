#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"
#include "oxplow/kernels/epilogue.h"

namespace oxplow {

// C[m][n] = activation(sum over k of A[m][k] * B[k][n] + bias[n] + R[m][n]), m < M, n < N, k < K.
// Every result adds up k in ascending order in one f32 accumulator per (m, n) (pairs of k for bf16), whatever the tile: results do
// not depend on how rows and panels are split.
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;  // [M] rows of K elements, lda elements apart
  int64_t lda = 0;
  const void* b = nullptr;  // packed by pack()
  void* c = nullptr;        // [M] rows of N elements, ldc apart
  int64_t ldc = 0;
  int64_t ld_residual = 0;  // of epilogue.residual
  Epilogue epilogue;
};

// One implementation for one set of element types.
struct GemmKernel {
  const char* name;  // gemm_<a>_<b>_<c>_<mr>x<nr>_<isa>
  DType a, b, c;
  int tile_rows;      // MR: rows of the register tile
  int panel_columns;  // NR: columns of a packed panel of B
  int k_multiple;     // k must be a multiple (1 for f32, 2 for bf16 dot products)
  // Bytes of B packed: whole panels, columns past N zero.
  size_t (*packed_bytes)(int64_t k, int64_t n);
  // Packs panels [panel_begin, panel_end) of B from f32, B[k][n] at b[k * row_stride + n * column_stride].
  void (*pack)(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, int64_t panel_begin,
               int64_t panel_end, void* packed);
  // Computes rows [row_begin, row_end) x panels [panel_begin, panel_end) of C.
  void (*run)(const GemmArgs& args, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end);
};

// A tier's kernels, most preferred first: f32 x f32 -> f32, bf16 x bf16 -> bf16, bf16 x bf16 -> f32.
struct GemmKernels {
  std::span<const GemmKernel> kernels;
};

const GemmKernels& gemm_kernels(Isa isa);
// Of the kernels of `isa` for these element types whose k_multiple divides k, the one that takes least for n columns: those its panels
// cover, at the rate measured on this machine (measured_rate.h). They all give the same bits. Null when there is none. Weights (b)
// have the type of the activations (a).
const GemmKernel* find_gemm(Isa isa, DType a, DType c, int64_t k, int64_t n = 0);

}  // namespace oxplow
