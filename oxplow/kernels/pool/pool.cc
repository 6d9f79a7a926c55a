#include "oxplow/kernels/pool/pool.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const PoolKernels pool_kernels; })
#include "oxplow/kernels/pool/kernels.inc"
#undef OXPLOW_KERNEL

namespace {
constexpr Tiered<PoolKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::pool_kernels}, )
#include "oxplow/kernels/pool/kernels.inc"
#undef OXPLOW_KERNEL
};
}  // namespace

const PoolKernels& pool_kernels(Isa isa) { return best_of<PoolKernels>(kTiers, isa); }

const PoolKernel* find_pool(Isa isa, DType type) {
  for (const PoolKernel& kernel : pool_kernels(isa).kernels) {
    if (kernel.x == type) return &kernel;
  }
  return nullptr;
}

}  // namespace oxplow
