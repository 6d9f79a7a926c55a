#include "oxplow/kernels/winograd/winograd.h"

#include <algorithm>

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

namespace {

// Rates that weigh the alternatives, measured on servers of two cores with weights not in cache: only their ratios matter. They are
// the same for every number of threads, as the choice must be: the algorithms round differently.
constexpr double kFlops = 300e9;       // of products in the register tile
constexpr double kWeightBytes = 25e9;  // a second, from memory
constexpr double kTransformBytes = 120e9;

// Seconds: products or the reading of weights, whichever takes longer.
double product_seconds(double flops, double weight_bytes) { return std::max(flops / kFlops, weight_bytes / kWeightBytes); }

// How many times faster a tier multiplies bf16 than f32: pairs by vdpbf16ps, tiles by AMX.
double bf16_gain(Isa isa) { return isa == Isa::amx ? 12 : isa == Isa::avx512_vnni ? 2 : 1; }

double direct_seconds(Isa isa, DType image, const ConvArgs& args) {
  const double weights = 9.0 * static_cast<double>(args.in_channels * args.out_channels);
  const double pixels = static_cast<double>(args.batch * args.out_h * args.out_w);
  if (image == DType::f32) return product_seconds(2 * weights * pixels, 4 * weights);
  return product_seconds(2 * weights * pixels / bf16_gain(isa), 2 * weights);
}

double winograd_seconds(const ConvArgs& args, int m) {
  const int64_t points = int64_t{m + 2} * (m + 2);
  const int64_t tiles = args.batch * ((args.out_h + m - 1) / m) * ((args.out_w + m - 1) / m);
  const double weights = static_cast<double>(points * args.in_channels * args.out_channels);
  const double transformed = static_cast<double>(points * tiles * (args.in_channels + args.out_channels));
  return product_seconds(2 * weights * static_cast<double>(tiles), 4 * weights) +
         8 * transformed / kTransformBytes;  // written once, read once
}

}  // namespace

const WinogradKernel* find_winograd(Isa isa, DType image, const ConvArgs& args) {
  if (!winograd_applies(args)) return nullptr;
  const WinogradKernel* best = nullptr;
  double least = direct_seconds(isa, image, args);
  for (const WinogradKernel& kernel : winograd_kernels(isa).kernels) {
    const double seconds = winograd_seconds(args, kernel.output_tile);
    if (kernel.image != image || seconds >= least) continue;
    least = seconds;
    best = &kernel;
  }
  return best;
}

}  // namespace oxplow
