#include "oxplow/kernels/winograd/winograd.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const WinogradKernels winograd_kernels; })
#include "oxplow/kernels/winograd/kernels.inc"
#undef OXPLOW_KERNEL

namespace {
constexpr Tiered<WinogradKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::winograd_kernels}, )
#include "oxplow/kernels/winograd/kernels.inc"
#undef OXPLOW_KERNEL
};
}  // namespace

const WinogradKernels& winograd_kernels(Isa isa) { return best_of<WinogradKernels>(kTiers, isa); }

bool winograd_applies(const ConvArgs& args) {
  return args.kernel_h == 3 && args.kernel_w == 3 && args.stride_h == 1 && args.stride_w == 1 && args.dilation_h == 1 &&
         args.dilation_w == 1;
}

const WinogradKernel* find_winograd(Isa isa, const ConvArgs& args, int) {
  if (!winograd_applies(args)) return nullptr;
  return &winograd_kernels(isa).kernels[0];
}

}  // namespace oxplow
