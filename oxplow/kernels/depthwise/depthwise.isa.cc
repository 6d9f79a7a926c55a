#include "oxplow/kernels/depthwise/depthwise.h"

#include "oxplow/kernels/simd/activation.h"
#include "oxplow/kernels/simd/storage.h"

#define OXPLOW_STRING(x) OXPLOW_STRING_OF(x)
#define OXPLOW_STRING_OF(x) #x

namespace oxplow::OXPLOW_ISA {
extern const DepthwiseKernels depthwise_kernels;

namespace {

constexpr int64_t kWidth = F32::kWidth;
// Pixels of a register block: 7 divides the widths 7, 14, 28, 56, 112 of the usual networks, and with 7 weights and one input
// fits 16 registers.
constexpr int kPixels = 7;
// Kernels of more rows read each line so often that it should stay in L1: so many channels of all rows are done before the next.
// Smaller ones do all channels of a few pixels, which the processor's own prefetcher follows best.
constexpr int64_t kFewRows = 5;
constexpr int64_t kChannelRun = 4 * kWidth;

// Everything that a block of pixels of one vector of channels needs; x, y and residual at its first pixel.
template <typename T>
struct Block {
  const T* x;
  const float* w;
  T* y;
  const T* residual;
  const float* bias;
  int64_t lanes;
};

// The costly activations, on accumulators that went through memory: exp leaves no registers for a block of pixels.
__attribute__((noinline)) void activate_tile(float* tile, int64_t vectors, Activation activation) {
  const F32 none = F32::zero();
  for (float* p = tile; p < tile + vectors * kWidth; p += kWidth) {
    const F32 x = F32::load(p);
    F32 y = x;
    switch (activation) {
      case Activation::sigmoid: y = activate<Activation::sigmoid>(x, none, none); break;
      case Activation::silu: y = activate<Activation::silu>(x, none, none); break;
      case Activation::gelu: y = activate<Activation::gelu>(x, none, none); break;
      case Activation::gelu_tanh: y = activate<Activation::gelu_tanh>(x, none, none); break;
      case Activation::tanh: y = activate<Activation::tanh>(x, none, none); break;
      default: break;
    }
    y.store(p);
  }
}

template <Activation kActivation, int kCount>
OXPLOW_INLINE void activate_all(F32 (&sum)[kCount], const Epilogue& epilogue) {
  const F32 alpha = F32::broadcast(epilogue.alpha);
  const F32 beta = F32::broadcast(epilogue.beta);
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) sum[p] = activate<kActivation>(sum[p], alpha, beta);
}

template <int kCount>
OXPLOW_INLINE void activate_all(F32 (&sum)[kCount], const Epilogue& epilogue) {
  switch (epilogue.activation) {
    case Activation::none: break;
    case Activation::clip: activate_all<Activation::clip>(sum, epilogue); break;
    case Activation::hard_swish: activate_all<Activation::hard_swish>(sum, epilogue); break;
    case Activation::hard_sigmoid: activate_all<Activation::hard_sigmoid>(sum, epilogue); break;
    case Activation::leaky_relu: activate_all<Activation::leaky_relu>(sum, epilogue); break;
    default: {
      alignas(64) float tile[kCount * kWidth];
      for (int p = 0; p < kCount; ++p) sum[p].store(tile + p * kWidth);
      activate_tile(tile, kCount, epilogue.activation);
      for (int p = 0; p < kCount; ++p) sum[p] = F32::load(tile + p * kWidth);
    }
  }
}

template <bool kPartial, int kCount, typename T>
OXPLOW_INLINE void finish(const DepthwiseArgs& args, const Block<T>& block, F32 (&sum)[kCount]) {
  const int64_t y_pixel = args.y_pixel;
  if (block.residual) {
#pragma GCC unroll 16
    for (int p = 0; p < kCount; ++p) {
      sum[p] = sum[p] + load_lanes<kPartial>(block.residual + p * args.residual_pixel, block.lanes);
    }
  }
  activate_all(sum, args.epilogue);
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) store_lanes<kPartial>(sum[p], block.y + p * y_pixel, block.lanes);
}

// One kernel row into kCount pixels. With a kernel width and stride known here (kKernel > 0, dilation 1), each input pixel is
// loaded once and meets every tap that sees it while the row's weights stay in registers; else each tap loads its own.
template <bool kPartial, int kKernel, int kStride, int kCount, typename T>
OXPLOW_INLINE void add_row(const DepthwiseArgs& args, const T* x, const float* w, int64_t lanes, F32 (&sum)[kCount]) {
  if constexpr (kKernel > 0) {
    F32 weight[kKernel];
#pragma GCC unroll 16
    for (int s = 0; s < kKernel; ++s) weight[s] = load_lanes<kPartial>(w + s * args.channels, lanes);
#pragma GCC unroll 64
    for (int u = 0; u < (kCount - 1) * kStride + kKernel; ++u) {
      const F32 pixel = load_lanes<kPartial>(x + u * args.x_pixel, lanes);
#pragma GCC unroll 16
      for (int s = kKernel - 1; s >= 0; --s) {
        const int p = (u - s) / kStride;
        if (u >= s && (u - s) % kStride == 0 && p < kCount) sum[p] = fma(pixel, weight[s], sum[p]);
      }
    }
  } else {
    const int64_t pixel_step = args.stride_w * args.x_pixel;
    for (int64_t s = 0; s < args.kernel_w; ++s) {
      const F32 weight = load_lanes<kPartial>(w + s * args.channels, lanes);
      const T* tap = x + s * args.dilation_w * args.x_pixel;
#pragma GCC unroll 16
      for (int p = 0; p < kCount; ++p) sum[p] = fma(load_lanes<kPartial>(tap + p * pixel_step, lanes), weight, sum[p]);
    }
  }
}

template <bool kPartial, int kKernel, int kStride, int kCount, typename T>
OXPLOW_INLINE void run_block(const DepthwiseArgs& args, const Block<T>& block) {
  const F32 bias = block.bias ? load_lanes<kPartial>(block.bias, block.lanes) : F32::zero();
  F32 sum[kCount];
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) sum[p] = bias;
  const T* x = block.x;
  const float* w = block.w;
  for (int64_t r = 0; r < args.kernel_h; ++r) {
    add_row<kPartial, kKernel, kStride>(args, x, w, block.lanes, sum);
    x += args.dilation_h * args.x_row;
    w += args.kernel_w * args.channels;
  }
  finish<kPartial>(args, block, sum);
}

// kCount pixels of a row, `channels` channels of them. Pointers come one by one: a struct of them would be copied in wide vectors, which
// wait until the narrow stores that wrote it have left the store buffer.
template <int kKernel, int kStride, int kCount, typename T>
__attribute__((noinline)) void run_pixels(const DepthwiseArgs& args, const T* x, const float* w, T* y, int64_t channels,
                                          const float* bias, const T* residual) {
  Block<T> block{x, w, y, residual, bias, 0};
  for (; channels >= kWidth; channels -= kWidth) {
    run_block<false, kKernel, kStride, kCount>(args, block);
    block.x += kWidth;
    block.w += kWidth;
    block.y += kWidth;
    if (block.residual) block.residual += kWidth;
    if (block.bias) block.bias += kWidth;
  }
  block.lanes = channels;
  if (channels > 0) run_block<true, kKernel, kStride, kCount>(args, block);
}

template <int kKernel, int kStride, typename T>
OXPLOW_INLINE void run_row(const DepthwiseArgs& args, const T* x, const float* w, T* y, int64_t channels, const float* bias,
                           const T* residual) {
  int64_t pixels = 0;
  for (int64_t left = args.out_w; left > 0; left -= pixels) {
    pixels = left >= kPixels ? kPixels : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    switch (pixels) {
      case kPixels: run_pixels<kKernel, kStride, kPixels>(args, x, w, y, channels, bias, residual); break;
      case 4: run_pixels<kKernel, kStride, 4>(args, x, w, y, channels, bias, residual); break;
      case 2: run_pixels<kKernel, kStride, 2>(args, x, w, y, channels, bias, residual); break;
      default: run_pixels<kKernel, kStride, 1>(args, x, w, y, channels, bias, residual); break;
    }
    x += pixels * args.stride_w * args.x_pixel;
    y += pixels * args.y_pixel;
    if (residual) residual += pixels * args.residual_pixel;
  }
}

template <int kKernel, int kStride, typename T>
void run_rows(const DepthwiseArgs& args, int64_t row_begin, int64_t row_end, int64_t channel_begin, int64_t channel_end) {
  const T* residual = static_cast<const T*>(args.epilogue.residual);
  const int64_t run = args.kernel_h <= kFewRows ? channel_end - channel_begin : kChannelRun;
  for (int64_t c = channel_begin; c < channel_end; c += run) {
    const int64_t channels = channel_end - c < run ? channel_end - c : run;
    for (int64_t row = row_begin; row < row_end; ++row) {
      const int64_t n = row / args.out_h;
      const int64_t i = row % args.out_h;
      const T* x = static_cast<const T*>(args.x) + n * args.x_image + i * args.stride_h * args.x_row + c;
      T* y = static_cast<T*>(args.y) + n * args.y_image + i * args.y_row + c;
      const T* added = residual ? residual + n * args.residual_image + i * args.residual_row + c : nullptr;
      run_row<kKernel, kStride>(args, x, args.w + c, y, channels, args.epilogue.bias ? args.epilogue.bias + c : nullptr, added);
    }
  }
}

template <typename T>
void run(const DepthwiseArgs& args, int64_t row_begin, int64_t row_end, int64_t channel_begin, int64_t channel_end) {
  const auto rows = [&]() {
    if (args.dilation_w != 1) return run_rows<0, 0, T>;
    if (args.stride_w == 1 && args.kernel_w == 3) return run_rows<3, 1, T>;
    if (args.stride_w == 1 && args.kernel_w == 5) return run_rows<5, 1, T>;
    if (args.stride_w == 1 && args.kernel_w == 7) return run_rows<7, 1, T>;
    if (args.stride_w == 2 && args.kernel_w == 3) return run_rows<3, 2, T>;
    if (args.stride_w == 2 && args.kernel_w == 5) return run_rows<5, 2, T>;
    return run_rows<0, 0, T>;
  }();
  rows(args, row_begin, row_end, channel_begin, channel_end);
}

constexpr DepthwiseKernel kKernels[] = {
    {"depthwise_f32_f32_f32_" OXPLOW_STRING(OXPLOW_ISA), DType::f32, DType::f32, kWidth, run<float>},
    {"depthwise_bf16_f32_bf16_" OXPLOW_STRING(OXPLOW_ISA), DType::bf16, DType::bf16, kWidth, run<Bf16>},
};

}  // namespace

const DepthwiseKernels depthwise_kernels = {kKernels};

}  // namespace oxplow::OXPLOW_ISA
