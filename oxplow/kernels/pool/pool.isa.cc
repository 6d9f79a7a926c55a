#include "oxplow/kernels/pool/pool.h"

#include "oxplow/kernels/simd/storage.h"

#define OXPLOW_STRING(x) OXPLOW_STRING_OF(x)
#define OXPLOW_STRING_OF(x) #x

namespace oxplow::OXPLOW_ISA {
extern const PoolKernels pool_kernels;

namespace {

constexpr int64_t kWidth = F32::kWidth;

// The taps of a window that lie inside of the input along one axis: `first` is the position of tap `begin`.
struct Span {
  int64_t begin, end, first;
  int64_t padded;  // taps inside of the padded input
};

OXPLOW_INLINE int64_t taps_below(int64_t start, int64_t limit, int64_t taps, int64_t dilation) {
  if (start >= limit) return 0;
  const int64_t n = (limit - start + dilation - 1) / dilation;
  return n < taps ? n : taps;
}

OXPLOW_INLINE Span clip(int64_t start, int64_t taps, int64_t dilation, int64_t extent, int64_t padding_after) {
  Span span{};
  span.begin = taps_below(start, 0, taps, dilation);
  span.end = taps_below(start, extent, taps, dilation);
  span.first = start + span.begin * dilation;
  span.padded = taps_below(start, extent + padding_after, taps, dilation);
  return span;
}

// One output pixel's window: taps rows x columns from x on.
template <typename T>
struct Window {
  const T* x;
  int64_t rows, columns, row_step, column_step;
  float divisor;
};

// kVectors vectors of channels of one output pixel.
template <bool kPartial, PoolKind kKind, int kVectors, typename T>
OXPLOW_INLINE void pool_vectors(const Window<T>& window, int64_t channel, int64_t lanes, T* y) {
  F32 result[kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
    result[i] = kKind == PoolKind::max ? F32::broadcast(-__builtin_inff()) : F32::zero();
  }
  for (int64_t r = 0; r < window.rows; ++r) {
    const T* x = window.x + r * window.row_step + channel;
    for (int64_t s = 0; s < window.columns; ++s, x += window.column_step) {
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) {
        const F32 v = load_lanes<kPartial>(x + i * kWidth, lanes);
        result[i] = kKind == PoolKind::max ? max(v, result[i]) : result[i] + v;
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
    if (kKind == PoolKind::average) result[i] = result[i] / F32::broadcast(window.divisor);
    store_lanes<kPartial>(result[i], y + channel + i * kWidth, lanes);
  }
}

template <PoolKind kKind, typename T>
OXPLOW_INLINE void pool_pixel(const Window<T>& window, int64_t channels, T* y) {
  int64_t c = 0;
  for (; c + 4 * kWidth <= channels; c += 4 * kWidth) pool_vectors<false, kKind, 4>(window, c, 0, y);
  for (; c + kWidth <= channels; c += kWidth) pool_vectors<false, kKind, 1>(window, c, 0, y);
  if (c < channels) pool_vectors<true, kKind, 1>(window, c, channels - c, y);
}

template <PoolKind kKind, typename T>
void pool_rows(const PoolArgs& args, int64_t row_begin, int64_t row_end, int64_t channel_begin, int64_t channel_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int64_t n = row / args.out_h;
    const int64_t i = row % args.out_h;
    const Span rows = clip(i * args.stride_h - args.pad_top, args.kernel_h, args.dilation_h, args.in_h, args.pad_bottom);
    const T* x = static_cast<const T*>(args.x) + n * args.x_image + rows.first * args.x_row + channel_begin;
    T* y = static_cast<T*>(args.y) + n * args.y_image + i * args.y_row + channel_begin;
    for (int64_t j = 0; j < args.out_w; ++j, y += args.y_pixel) {
      const Span columns = clip(j * args.stride_w - args.pad_left, args.kernel_w, args.dilation_w, args.in_w, args.pad_right);
      Window<T> window{};
      window.rows = rows.end - rows.begin;
      window.columns = columns.end - columns.begin;
      window.row_step = args.dilation_h * args.x_row;
      window.column_step = args.dilation_w * args.x_pixel;
      if (window.columns > 0) {
        window.x = x + columns.first * args.x_pixel;
      } else {
        window.rows = 0;  // no tap inside: no pointer to move either
      }
      const int64_t count = args.count_include_pad ? rows.padded * columns.padded : window.rows * window.columns;
      window.divisor = count > 0 ? static_cast<float>(count) : 1.0f;
      pool_pixel<kKind>(window, channel_end - channel_begin, y);
    }
  }
}

template <typename T>
void run(const PoolArgs& args, int64_t row_begin, int64_t row_end, int64_t channel_begin, int64_t channel_end) {
  const auto rows = args.kind == PoolKind::max ? pool_rows<PoolKind::max, T> : pool_rows<PoolKind::average, T>;
  rows(args, row_begin, row_end, channel_begin, channel_end);
}

constexpr PoolKernel kKernels[] = {
    {"pool_f32_" OXPLOW_STRING(OXPLOW_ISA), DType::f32, kWidth, run<float>},
    {"pool_bf16_" OXPLOW_STRING(OXPLOW_ISA), DType::bf16, kWidth, run<Bf16>},
};

}  // namespace

const PoolKernels pool_kernels = {kKernels};

}  // namespace oxplow::OXPLOW_ISA
