#include "oxplow/kernels/peak/peak.h"

#include "oxplow/kernels/dispatch.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const PeakKernels peak_kernels; })
#include "oxplow/kernels/peak/kernels.inc"
#undef OXPLOW_KERNEL

namespace {
constexpr Tiered<PeakKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::peak_kernels}, )
#include "oxplow/kernels/peak/kernels.inc"
#undef OXPLOW_KERNEL
};
}  // namespace

const PeakKernels& peak_kernels(Isa isa) { return best_of<PeakKernels>(kTiers, isa); }

}  // namespace oxplow
