#include "oxplow/kernels/conv/conv.h"

#include "oxplow/kernels/gemm/amx_tile.h"
#include "oxplow/kernels/gemm/pack.h"
#include "oxplow/kernels/gemm/tile.h"

namespace oxplow::OXPLOW_ISA {

extern const ConvKernels conv_kernels;

namespace {

constexpr int64_t kBlockBytes = F32::kWidth == 16 ? 512 << 10 : 192 << 10;

// Panels of kColumns output channels; weights are float, or uint16_t for bf16.
template <typename Weight, int kColumns>
size_t packed_bytes(const ConvArgs& args) {
  const int64_t k = args.kernel_h * args.kernel_w * args.in_channels;
  return static_cast<size_t>((args.out_channels + kColumns - 1) / kColumns * kColumns * k) * sizeof(Weight);
}

// Panels are [kernel_h][kernel_w][in_channels / unit][kColumns][unit]; a unit is 4 bytes.
template <typename Weight, int kColumns>
void pack(const float* w, int64_t out_stride, int64_t in_stride, int64_t row_stride, int64_t column_stride,
          int64_t in_channels_given, const ConvArgs& args, int64_t panel_begin, int64_t panel_end, void* packed) {
  constexpr int64_t kUnit = 4 / sizeof(Weight);
  const int64_t written = (in_channels_given + kUnit - 1) / kUnit * kUnit * kColumns;
  const int64_t tap_weights = args.in_channels * kColumns;
  Weight* out = static_cast<Weight*>(packed) + panel_begin * args.kernel_h * args.kernel_w * tap_weights;
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const int64_t first = panel * kColumns;
    const int64_t columns = args.out_channels - first < kColumns ? args.out_channels - first : kColumns;
    for (int64_t r = 0; r < args.kernel_h; ++r) {
      for (int64_t s = 0; s < args.kernel_w; ++s) {
        const float* tap = w + first * out_stride + r * row_stride + s * column_stride;
        pack_panel<kColumns>(tap, in_stride, out_stride, in_channels_given, columns, out);
        for (int64_t i = written; i < tap_weights; ++i) out[i] = 0;
        out += tap_weights;
      }
    }
  }
}

// The taps as runs of contiguous units. Where pixels touch, a row of taps is one run.
void describe_taps(const ConvArgs& args, int64_t element, Tile* t) {
  const int64_t unit = 4 / element;
  t->runs_h = args.kernel_h;
  t->run_h_bytes = args.dilation_h * args.x_row * element;
  const bool merged = args.dilation_w == 1 && args.x_pixel == args.in_channels;
  t->runs_w = merged ? 1 : args.kernel_w;
  t->run_w_bytes = args.dilation_w * args.x_pixel * element;
  t->run_units = args.in_channels / unit * (merged ? args.kernel_w : 1);
}

// Output pixels whose inputs stay in L2 while the panels of weights pass over them.
template <int kRows>
constexpr int64_t kBlockPixels = 504 / kRows * kRows;

template <int kRows>
int64_t block_pixels(const ConvArgs& args, int64_t element) {
  const int64_t pixel_bytes = args.x_pixel * element * args.stride_h * args.stride_w + 1;
  const int64_t fit = kBlockBytes / pixel_bytes;
  return fit < 4 * kRows ? 4 * kRows : fit > kBlockPixels<kRows> ? kBlockPixels<kRows> : fit / kRows * kRows;
}

template <typename Product, typename Out, int kRows, int kVectors>
void run(const ConvArgs& args, int64_t pixel_begin, int64_t pixel_end, int64_t panel_begin, int64_t panel_end) {
  if (pixel_begin >= pixel_end) return;
  constexpr int kColumns = kVectors * F32::kWidth;
  constexpr int64_t kElement = 4 / Product::kUnit;
  Rows<kBlockPixels<kRows>> rows;
  Tile t;
  describe_taps(args, kElement, &t);
  t.epilogue = &args.epilogue;
  const int64_t block = block_pixels<kRows>(args, kElement);
  const int64_t blocks = (pixel_end - pixel_begin + block - 1) / block;
  const int64_t panel_bytes = args.kernel_h * args.kernel_w * args.in_channels / Product::kUnit * kColumns * 4;
  const Panels panels{static_cast<const char*>(args.w), panel_bytes, args.out_channels, panel_begin, panel_end};
  int64_t j = pixel_begin % args.out_w;
  int64_t i = pixel_begin / args.out_w % args.out_h;
  int64_t n = pixel_begin / args.out_w / args.out_h;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t count = (pixel_end - pixel_begin) * (b + 1) / blocks - (pixel_end - pixel_begin) * b / blocks;
    // A stretch of an output row at a time: its pointers are equal steps apart.
    for (int64_t p = 0; p < count;) {
      const int64_t in_row = args.out_w - j < count - p ? args.out_w - j : count - p;
      const char* x = static_cast<const char*>(args.x) +
                      (n * args.x_image + i * args.stride_h * args.x_row + j * args.stride_w * args.x_pixel) * kElement;
      char* y = static_cast<char*>(args.y) + (n * args.y_image + i * args.y_row + j * args.y_pixel) * Out::kBytes;
      const char* z = static_cast<const char*>(args.epilogue.residual) +
                      (n * args.residual_image + i * args.residual_row + j * args.residual_pixel) * Out::kBytes;
      for (int64_t q = p; q < p + in_row; ++q) {
        rows.a[q] = x;
        rows.c[q] = y;
        rows.residual[q] = z;
        x += args.stride_w * args.x_pixel * kElement;
        y += args.y_pixel * Out::kBytes;
        z += args.residual_pixel * Out::kBytes;
      }
      p += in_row;
      j += in_row;
      if (j == args.out_w) {
        j = 0;
        if (++i == args.out_h) {
          i = 0;
          ++n;
        }
      }
    }
    run_block<Product, Out, kRows, kVectors>(t, rows, count, panels);
  }
}

#if defined(__AMX_BF16__)

// A panel is two of half the columns.
void pack_amx(const float* w, int64_t out_stride, int64_t in_stride, int64_t row_stride, int64_t column_stride,
              int64_t in_channels_given, const ConvArgs& args, int64_t panel_begin, int64_t panel_end, void* packed) {
  pack<uint16_t, kAmxColumns / 2>(w, out_stride, in_stride, row_stride, column_stride, in_channels_given, args, 2 * panel_begin,
                                  2 * panel_end, packed);
}

// Output rows whose pixels' inputs are equally far apart, `width` pixels from row to row: of all images, of one image with the pixels
// of the border in between (computed and thrown away), or one row.
struct Stretch {
  int64_t rows, width, pixels;
};

Stretch longest_stretch(const ConvArgs& args) {
  const int64_t step = args.stride_w * args.x_pixel;
  const int64_t row = args.stride_h * args.x_row;
  const int64_t width = step == 0 ? 0 : row / step;
  const Stretch one_row{1, args.out_w, args.out_w};
  if (args.out_h * args.batch == 1 || width < args.out_w || width * step != row) return one_row;
  if (width == args.out_w && (args.batch == 1 || args.x_image == args.out_h * row))
    return {args.batch * args.out_h, width, args.batch * args.out_h * width};
  const int64_t pixels = (args.out_h - 1) * width + args.out_w;
  const auto cost = [](int64_t n) { return amx_cost(n, amx_tile_rows(n)); };
  if (cost(pixels) >= args.out_h * cost(args.out_w)) return one_row;
  return {args.out_h, width, pixels};
}

// Adds a tile of `rows` pixels of a stretch to the block, those from position `start` on; the results of positions [first, end) alone
// have a place. Returns the position to go on from, past the pixels of the border.
template <typename Out>
int64_t add_tile(const ConvArgs& args, const Stretch& stretch, int64_t stretch_row, int64_t start, int64_t first, int64_t end,
                 int rows, AmxBlock* block) {
  int64_t row = stretch_row + start / stretch.width, j = start % stretch.width;
  int at = block->tiles++ * rows;
  for (int64_t position = start; position < start + rows;) {  // an output row at a time: a division a pixel would be seen
    const int64_t image = row / args.out_h, y_row = row % args.out_h;
    char* y = static_cast<char*>(args.y) + (image * args.y_image + y_row * args.y_row + j * args.y_pixel) * Out::kBytes;
    const char* z = static_cast<const char*>(args.epilogue.residual) +
                    (image * args.residual_image + y_row * args.residual_row + j * args.residual_pixel) * Out::kBytes;
    const int64_t left = stretch.width - j < start + rows - position ? stretch.width - j : start + rows - position;
    for (const int64_t stop = position + left; position < stop; ++position, ++j, ++at) {
      block->c[at] = position >= first && position < end && j < args.out_w ? y : nullptr;
      block->residual[at] = z;
      y += args.y_pixel * Out::kBytes;
      z += args.residual_pixel * Out::kBytes;
    }
    if (j == stretch.width) j = 0, ++row;
  }
  return start + rows + (j < args.out_w ? 0 : stretch.width - j);
}

template <typename Out>
void run_amx(const ConvArgs& args, int64_t pixel_begin, int64_t pixel_end, int64_t panel_begin, int64_t panel_end) {
  if (pixel_begin >= pixel_end || panel_begin >= panel_end) return;
  const Stretch stretch = longest_stretch(args);
  Tile taps;
  describe_taps(args, 2, &taps);
  AmxProduct p;
  p.runs_h = taps.runs_h, p.runs_w = taps.runs_w, p.run_h_bytes = taps.run_h_bytes, p.run_w_bytes = taps.run_w_bytes;
  p.run_bytes = taps.run_units * 4;
  p.step_bytes = amx_step_bytes(p.run_bytes);
  p.row_bytes = args.stride_w * args.x_pixel * 2;
  p.rows = amx_tile_rows(stretch.pixels);
  p.epilogue = &args.epilogue;
  const int64_t k = args.kernel_h * args.kernel_w * args.in_channels;
  const Panels panels{static_cast<const char*>(args.w), k * kAmxColumns * 2, args.out_channels, panel_begin, panel_end};
  const int64_t pixels_read = (args.kernel_h < args.stride_h ? args.kernel_h : args.stride_h) *
                              (args.kernel_w < args.stride_w ? args.kernel_w : args.stride_w);  // for each of y's
  const int block_tiles = amx_block_tiles(p.rows * args.in_channels * 2 * pixels_read, panels);
  const AmxTiles tiles(p);
  AmxBlock block;
  for (int64_t pixel = pixel_begin; pixel < pixel_end;) {
    // The stretch that has this pixel, and where in it the pixels still to do begin and end.
    const int64_t row = pixel / args.out_w / stretch.rows * stretch.rows;
    const int64_t stop = (row + stretch.rows) * args.out_w < pixel_end ? (row + stretch.rows) * args.out_w : pixel_end;
    const auto position = [&](int64_t i) { return (i / args.out_w - row) * stretch.width + i % args.out_w; };
    const int64_t end = position(stop - 1) + 1;
    const char* x =
        static_cast<const char*>(args.x) + (row / args.out_h * args.x_image + row % args.out_h * args.stride_h * args.x_row) * 2;
    for (int64_t first = position(pixel); first < end;) {
      if (block.tiles == block_tiles) {
        amx_run_block<Out>(p, block, panels);
        block.tiles = 0;
      }
      const int64_t start = first + p.rows > stretch.pixels ? stretch.pixels - p.rows : first;
      block.a[block.tiles] = x + start * p.row_bytes;
      first = add_tile<Out>(args, stretch, row, start, first, end, p.rows, &block);
    }
    pixel = stop;
  }
  amx_run_block<Out>(p, block, panels);
}

#endif

#define OXPLOW_CONV_F32(rows, columns)                                 \
  {"conv_f32_f32_f32_" #rows "x" #columns "_" OXPLOW_TEXT(OXPLOW_ISA), \
   DType::f32,                                                         \
   DType::f32,                                                         \
   DType::f32,                                                         \
   rows,                                                               \
   columns,                                                            \
   1,                                                                  \
   packed_bytes<float, columns>,                                       \
   pack<float, columns>,                                               \
   run<F32Product, F32Out, rows, columns / F32::kWidth>}
#define OXPLOW_CONV_BF16(rows, columns)                                   \
  {"conv_bf16_bf16_bf16_" #rows "x" #columns "_" OXPLOW_TEXT(OXPLOW_ISA), \
   DType::bf16,                                                           \
   DType::bf16,                                                           \
   DType::bf16,                                                           \
   rows,                                                                  \
   columns,                                                               \
   2,                                                                     \
   packed_bytes<uint16_t, columns>,                                       \
   pack<uint16_t, columns>,                                               \
   run<Bf16Product, Bf16Out, rows, columns / F32::kWidth>}

constexpr ConvKernel kKernels[] = {
#if defined(__AVX512F__)
    OXPLOW_CONV_F32(6, 64),
    OXPLOW_CONV_F32(14, 32),
#elif defined(__AVX2__)
    OXPLOW_CONV_F32(6, 16),
    OXPLOW_CONV_F32(4, 24),
#elif defined(__SSE2__)
    OXPLOW_CONV_F32(4, 8),
#else
    OXPLOW_CONV_F32(8, 8),
#endif
#if defined(__AMX_BF16__)
    {"conv_bf16_bf16_bf16_32x32_amx", DType::bf16, DType::bf16, DType::bf16, 2 * kAmxRows, kAmxColumns, 2,
     packed_bytes<uint16_t, kAmxColumns>, pack_amx, run_amx<Bf16Out>},
#elif defined(__AVX512BF16__)
    OXPLOW_CONV_BF16(6, 64),
    OXPLOW_CONV_BF16(14, 32),
#endif
};

}  // namespace

constinit const ConvKernels conv_kernels{kKernels};

}  // namespace oxplow::OXPLOW_ISA
