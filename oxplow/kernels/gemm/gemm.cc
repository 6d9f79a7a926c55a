#include "oxplow/kernels/gemm/gemm.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const GemmKernels gemm_kernels; })
#include "oxplow/kernels/gemm/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<GemmKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::gemm_kernels}, )
#include "oxplow/kernels/gemm/kernels.inc"
#undef OXPLOW_KERNEL
};

}  // namespace

const GemmKernels& gemm_kernels(Isa isa) { return best_of<GemmKernels>(kTiers, isa); }

const GemmKernel* find_gemm(Isa isa, DType a, DType c, int64_t k) {
  for (const GemmKernel& kernel : gemm_kernels(isa).kernels) {
    if (kernel.a == a && kernel.c == c && k % kernel.k_multiple == 0) return &kernel;
  }
  return nullptr;
}

}  // namespace oxplow
