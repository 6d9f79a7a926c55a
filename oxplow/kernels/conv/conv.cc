#include "oxplow/kernels/conv/conv.h"

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

const ConvKernel* find_conv(Isa isa, DType x, DType y, int64_t in_channels) {
  for (const ConvKernel& kernel : conv_kernels(isa).kernels) {
    if (kernel.x == x && kernel.y == y && in_channels % kernel.channel_multiple == 0) return &kernel;
  }
  return nullptr;
}

}  // namespace oxplow
