#include "oxplow/kernels/depthwise/depthwise.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const DepthwiseKernels depthwise_kernels; })
#include "oxplow/kernels/depthwise/kernels.inc"
#undef OXPLOW_KERNEL

namespace {
constexpr Tiered<DepthwiseKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::depthwise_kernels}, )
#include "oxplow/kernels/depthwise/kernels.inc"
#undef OXPLOW_KERNEL
};
}  // namespace

const DepthwiseKernels& depthwise_kernels(Isa isa) { return best_of<DepthwiseKernels>(kTiers, isa); }

const DepthwiseKernel* find_depthwise(Isa isa, DType type) {
  for (const DepthwiseKernel& kernel : depthwise_kernels(isa).kernels) {
    if (kernel.x == type) return &kernel;
  }
  return nullptr;
}

void pack_depthwise(const float* w, int64_t channel_stride, int64_t row_stride, int64_t column_stride, int64_t kernel_h,
                    int64_t kernel_w, int64_t channels, float* packed) {
  for (int64_t r = 0; r < kernel_h; ++r) {
    for (int64_t s = 0; s < kernel_w; ++s) {
      for (int64_t c = 0; c < channels; ++c) *packed++ = w[c * channel_stride + r * row_stride + s * column_stride];
    }
  }
}

}  // namespace oxplow
