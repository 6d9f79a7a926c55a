#include "oxplow/kernels/softmax/softmax.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const SoftmaxKernels softmax_kernels; })
#include "oxplow/kernels/softmax/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<SoftmaxKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::softmax_kernels}, )
#include "oxplow/kernels/softmax/kernels.inc"
#undef OXPLOW_KERNEL
};

}  // namespace

const SoftmaxKernels& softmax_kernels(Isa isa) { return best_of<SoftmaxKernels>(kTiers, isa); }

}  // namespace oxplow
