#include "oxplow/kernels/conv/conv.h"

#include <algorithm>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/measured_rate.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const ConvKernels conv_kernels; })
#include "oxplow/kernels/conv/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<ConvKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::conv_kernels}, )
#include "oxplow/kernels/conv/kernels.inc"
#undef OXPLOW_KERNEL
};

}  // namespace

const ConvKernels& conv_kernels(Isa isa) { return best_of<ConvKernels>(kTiers, isa); }

namespace {

// GFLOP/s of a 1x1 convolution that stays in L2; 1 where there is no memory to measure with.
double rate_of(const ConvKernel& kernel) {
  ConvArgs args;
  args.batch = args.out_h = 1, args.out_w = int64_t{12} * kernel.tile_pixels;
  args.in_channels = 256, args.out_channels = int64_t{2} * kernel.panel_channels;
  args.x_pixel = args.in_channels, args.y_pixel = args.out_channels;
  args.x_image = args.x_row = args.out_w * args.x_pixel;
  args.y_image = args.y_row = args.out_w * args.y_pixel;
  const size_t x_bytes = bytes_of(kernel.x, static_cast<size_t>(args.x_image));  // whole cache lines, both
  const size_t y_bytes = bytes_of(kernel.y, static_cast<size_t>(args.y_image));
  Result<Buffer> memory = Buffer::allocate(x_bytes + y_bytes + kernel.packed_bytes(args));
  if (!memory) return 1;
  std::fill_n(memory->data(), memory->size(), std::byte{0});
  args.x = memory->data();
  args.y = memory->data() + x_bytes;
  args.w = memory->data() + x_bytes + y_bytes;
  return measured_gflops(kernel.name, 2.0 * static_cast<double>(args.out_w * args.in_channels * args.out_channels),
                         [&] { kernel.run(args, 0, args.out_w, 0, 2); });
}

}  // namespace

const ConvKernel* find_conv(Isa isa, DType x, DType y, int64_t in_channels, int64_t out_channels) {
  return fastest(
      conv_kernels(isa).kernels,
      [&](const ConvKernel& kernel) { return kernel.x == x && kernel.y == y && in_channels % kernel.channel_multiple == 0; },
      [&](const ConvKernel& kernel) {
        return round_up(static_cast<size_t>(out_channels), static_cast<size_t>(kernel.panel_channels));
      },
      rate_of);
}

}  // namespace oxplow
