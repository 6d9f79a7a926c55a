#include "oxplow/kernels/gemm/gemm.h"

#include "oxplow/kernels/gemm/pack.h"
#include "oxplow/kernels/gemm/tile.h"

#define OXPLOW_TEXT_(x) #x
#define OXPLOW_TEXT(x) OXPLOW_TEXT_(x)

namespace oxplow::OXPLOW_ISA {

extern const GemmKernels gemm_kernels;

namespace {

#if defined(__AVX512F__)
#ifndef GR
#define GR 6
#define GV 4
#endif
constexpr int kRows = GR, kVectors = GV;
#define OXPLOW_TILE "6x64"
#elif defined(__AVX2__)
#ifndef GR
#define GR 6
#define GV 2
#endif
constexpr int kRows = GR, kVectors = GV;
#define OXPLOW_TILE "6x16"
#elif defined(__SSE2__)
constexpr int kRows = 4, kVectors = 2;
#define OXPLOW_TILE "4x8"
#else
constexpr int kRows = 8, kVectors = 2;
#define OXPLOW_TILE "8x8"
#endif

constexpr int kColumns = kVectors * F32::kWidth;
// Rows of A that stay in L2 while the panels of B pass over them.
constexpr int64_t kBlockRows = 512;
constexpr int64_t kBlockBytes = F32::kWidth == 16 ? 512 << 10 : 192 << 10;

int64_t panels_of(int64_t n) { return (n + kColumns - 1) / kColumns; }

size_t packed_bytes_f32(int64_t k, int64_t n) { return static_cast<size_t>(panels_of(n) * kColumns * k) * sizeof(float); }

void pack_f32(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, int64_t panel_begin,
              int64_t panel_end, void* packed) {
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const int64_t column = panel * kColumns;
    const int64_t columns = n - column < kColumns ? n - column : kColumns;
    pack_panel_f32<kColumns>(b + column * column_stride, row_stride, column_stride, k, columns,
                             static_cast<float*>(packed) + panel * kColumns * k);
  }
}

int64_t block_rows(int64_t row_bytes) {
  const int64_t fit = kBlockBytes / (row_bytes + 1);
  const int64_t rows = fit < kBlockRows ? fit : kBlockRows;
  return rows < 4 * kRows ? 4 * kRows : rows / kRows * kRows;
}

template <typename Product, typename Out, int kUnitBytes>
void run(const GemmArgs& args, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  constexpr int64_t kElement = 4 / Product::kUnit;
  const char* rows[kBlockRows];
  char* out[kBlockRows];
  const char* residual[kBlockRows];
  const int64_t block = block_rows(args.k * kElement);
  Tile t;
  t.run_units = (args.k + Product::kUnit - 1) / Product::kUnit;
  t.epilogue = &args.epilogue;
  t.residual_delta = args.epilogue.residual != nullptr ? reinterpret_cast<char*>(residual) - reinterpret_cast<char*>(out) : 0;
  const int64_t blocks = (row_end - row_begin + block - 1) / block;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t begin = row_begin + (row_end - row_begin) * i / blocks;
    const int64_t end = row_begin + (row_end - row_begin) * (i + 1) / blocks;
    for (int64_t m = begin; m < end; ++m) {
      rows[m - begin] = static_cast<const char*>(args.a) + m * args.lda * kElement;
      out[m - begin] = static_cast<char*>(args.c) + m * args.ldc * Out::kBytes;
      residual[m - begin] = static_cast<const char*>(args.epilogue.residual) + m * args.ld_residual * Out::kBytes;
    }
    run_block<Product, Out, kRows, kVectors>(t, {rows, out, end - begin}, static_cast<const char*>(args.b), args.n, panel_begin,
                                             panel_end);
  }
}

constexpr GemmKernel kKernels[] = {
    {"gemm_f32_f32_f32_" OXPLOW_TILE "_" OXPLOW_TEXT(OXPLOW_ISA), DType::f32, DType::f32, DType::f32, kRows, kColumns,
     packed_bytes_f32, pack_f32, run<F32Product, F32Out, 4>},
};

}  // namespace

constinit const GemmKernels gemm_kernels{kKernels};

}  // namespace oxplow::OXPLOW_ISA
