#include "oxplow/kernels/attention/attention.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const AttentionKernels attention_kernels; })
#include "oxplow/kernels/attention/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<AttentionKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::attention_kernels}, )
#include "oxplow/kernels/attention/kernels.inc"
#undef OXPLOW_KERNEL
};

}  // namespace

const AttentionKernels& attention_kernels(Isa isa) { return best_of<AttentionKernels>(kTiers, isa); }

const AttentionKernel* find_attention(Isa isa, DType type) {
  for (const AttentionKernel& kernel : attention_kernels(isa).kernels) {
    if (kernel.type == type) return &kernel;
  }
  return nullptr;
}

}  // namespace oxplow
