#include "oxplow/kernels/norm/norm.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const NormKernels norm_kernels; })
#include "oxplow/kernels/norm/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<NormKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::norm_kernels}, )
#include "oxplow/kernels/norm/kernels.inc"
#undef OXPLOW_KERNEL
};

}  // namespace

const NormKernels& norm_kernels(Isa isa) { return best_of<NormKernels>(kTiers, isa); }

}  // namespace oxplow
