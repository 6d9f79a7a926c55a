#include "oxplow/kernels/tree/tree.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const TreeKernels tree_kernels; })
#include "oxplow/kernels/tree/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<TreeKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::tree_kernels}, )
#include "oxplow/kernels/tree/kernels.inc"
#undef OXPLOW_KERNEL
};

}  // namespace

const TreeKernels& tree_kernels(Isa isa) { return best_of<TreeKernels>(kTiers, isa); }

}  // namespace oxplow
