#include "oxplow/kernels/gemm/gemm.h"

#include "oxplow/kernels/gemm/amx_tile.h"
#include "oxplow/kernels/gemm/pack.h"
#include "oxplow/kernels/gemm/tile.h"

namespace oxplow::OXPLOW_ISA {

extern const GemmKernels gemm_kernels;

namespace {

// Rows of A stay in L2, as far as run_block multiplies them at a time, while the panels of B pass over them: so many at most.
constexpr int64_t kBlockRows = 504;
constexpr int64_t kBlockBytes = F32::kWidth == 16 ? 512 << 10 : 192 << 10;

// Weights are float, or uint16_t for bf16.
template <typename Weight, int kColumns>
size_t packed_bytes(int64_t k, int64_t n) {
  return static_cast<size_t>((n + kColumns - 1) / kColumns * kColumns * k) * sizeof(Weight);
}

template <typename Weight, int kColumns>
void pack(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, int64_t panel_begin, int64_t panel_end,
          void* packed) {
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const int64_t column = panel * kColumns;
    const int64_t columns = n - column < kColumns ? n - column : kColumns;
    pack_panel<kColumns>(b + column * column_stride, row_stride, column_stride, k, columns,
                         static_cast<Weight*>(packed) + panel * kColumns * k);
  }
}

template <typename Product, typename Out, int kRows, int kVectors>
void run(const GemmArgs& args, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  constexpr int64_t kColumns = kVectors * F32::kWidth;
  constexpr int64_t kElement = 4 / Product::kUnit;
  const int64_t units = (args.k + Product::kUnit - 1) / Product::kUnit;
  const int64_t at_once = Out::kBytes == sizeof(float) && units > kPartUnits ? kPartUnits : units;
  const int64_t fit = kBlockBytes / (at_once * 4 + 1) / kRows * kRows;
  const int64_t block = fit < 4 * kRows ? 4 * kRows : fit > kBlockRows ? kBlockRows : fit;
  const int64_t blocks = (row_end - row_begin + block - 1) / block;
  Rows<kBlockRows> rows;
  Tile t;
  t.epilogue = &args.epilogue;
  t.run_units = units;
  const Panels panels{static_cast<const char*>(args.b), units * kColumns * 4, args.n, panel_begin, panel_end};
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t begin = row_begin + (row_end - row_begin) * i / blocks;
    const int64_t end = row_begin + (row_end - row_begin) * (i + 1) / blocks;
    for (int64_t m = begin; m < end; ++m) {
      rows.a[m - begin] = static_cast<const char*>(args.a) + m * args.lda * kElement;
      rows.c[m - begin] = static_cast<char*>(args.c) + m * args.ldc * Out::kBytes;
      rows.residual[m - begin] = static_cast<const char*>(args.epilogue.residual) + m * args.ld_residual * Out::kBytes;
    }
    run_block<Product, Out, kRows, kVectors>(t, rows, end - begin, panels);
  }
}

#if defined(__AMX_BF16__)
// A panel is two of half the columns.
void pack_amx(const float* b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, int64_t panel_begin,
              int64_t panel_end, void* packed) {
  pack<uint16_t, kAmxColumns / 2>(b, row_stride, column_stride, k, n, 2 * panel_begin, 2 * panel_end, packed);
}

template <typename Out>
void run_amx(const GemmArgs& args, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  if (row_begin >= row_end || panel_begin >= panel_end) return;
  AmxProduct p;
  p.run_bytes = args.k * 2;
  p.step_bytes = amx_step_bytes(p.run_bytes);
  p.row_bytes = args.lda * 2;
  p.rows = amx_tile_rows(row_end - row_begin);
  p.epilogue = &args.epilogue;
  const Panels panels{static_cast<const char*>(args.b), args.k * kAmxColumns * 2, args.n, panel_begin, panel_end};
  const int block_tiles = amx_block_tiles(p.rows * p.run_bytes, panels);
  const AmxTiles tiles(p);
  AmxBlock block;
  for (int64_t first = row_begin; first < row_end; first += p.rows) {
    const int64_t end = first + p.rows < row_end ? first + p.rows : row_end;
    const int64_t start = end - p.rows;  // the last tile reaches back into the one before it
    block.a[block.tiles] = static_cast<const char*>(args.a) + start * p.row_bytes;
    for (int i = 0; i < p.rows; ++i) {
      const int64_t m = start + i;
      const int at = block.tiles * p.rows + i;
      block.c[at] = m < first ? nullptr : static_cast<char*>(args.c) + m * args.ldc * Out::kBytes;
      block.residual[at] = static_cast<const char*>(args.epilogue.residual) + m * args.ld_residual * Out::kBytes;
    }
    if (++block.tiles == block_tiles || end == row_end) {
      amx_run_block<Out>(p, block, panels);
      block.tiles = 0;
    }
  }
}
#endif

#define OXPLOW_GEMM_F32(rows, columns)                                 \
  {"gemm_f32_f32_f32_" #rows "x" #columns "_" OXPLOW_TEXT(OXPLOW_ISA), \
   DType::f32,                                                         \
   DType::f32,                                                         \
   DType::f32,                                                         \
   rows,                                                               \
   columns,                                                            \
   1,                                                                  \
   packed_bytes<float, columns>,                                       \
   pack<float, columns>,                                               \
   run<F32Product, F32Out, rows, columns / F32::kWidth>}

#define OXPLOW_GEMM_BF16(c, Out, rows, columns)                             \
  {"gemm_bf16_bf16_" #c "_" #rows "x" #columns "_" OXPLOW_TEXT(OXPLOW_ISA), \
   DType::bf16,                                                             \
   DType::bf16,                                                             \
   DType::c,                                                                \
   rows,                                                                    \
   columns,                                                                 \
   2,                                                                       \
   packed_bytes<uint16_t, columns>,                                         \
   pack<uint16_t, columns>,                                                 \
   run<Bf16Product, Out, rows, columns / F32::kWidth>}

constexpr GemmKernel kKernels[] = {
#if defined(__AVX512F__)
    OXPLOW_GEMM_F32(9, 48),
    OXPLOW_GEMM_F32(6, 64),
#elif defined(__AVX2__)
    OXPLOW_GEMM_F32(6, 16),
    OXPLOW_GEMM_F32(4, 24),
#elif defined(__SSE2__)
    OXPLOW_GEMM_F32(4, 8),
#else
    OXPLOW_GEMM_F32(8, 8),
#endif
#if defined(__AMX_BF16__)
    {"gemm_bf16_bf16_bf16_32x32_amx", DType::bf16, DType::bf16, DType::bf16, 32, kAmxColumns, 2,
     packed_bytes<uint16_t, kAmxColumns>, pack_amx, run_amx<Bf16Out>},
    {"gemm_bf16_bf16_f32_32x32_amx", DType::bf16, DType::bf16, DType::f32, 32, kAmxColumns, 2,
     packed_bytes<uint16_t, kAmxColumns>, pack_amx, run_amx<F32Out>},
#elif defined(__AVX512BF16__)
    OXPLOW_GEMM_BF16(bf16, Bf16Out, 6, 64),
    OXPLOW_GEMM_BF16(f32, F32Out, 6, 64),
#endif
};

}  // namespace

constinit const GemmKernels gemm_kernels{kKernels};

}  // namespace oxplow::OXPLOW_ISA
