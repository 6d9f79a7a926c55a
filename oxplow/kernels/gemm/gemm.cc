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

const GemmKernel* find_gemm(Isa isa, DType a, DType c, int64_t k, int64_t n) {
  const auto covered = [n](const GemmKernel& kernel) {
    return (n + kernel.panel_columns - 1) / kernel.panel_columns * kernel.panel_columns;
  };
  const GemmKernel* best = nullptr;
  for (const GemmKernel& kernel : gemm_kernels(isa).kernels) {
    if (kernel.a != a || kernel.c != c || k % kernel.k_multiple != 0) continue;
    if (best == nullptr || covered(kernel) < covered(*best)) best = &kernel;
  }
  return best;
}

}  // namespace oxplow
