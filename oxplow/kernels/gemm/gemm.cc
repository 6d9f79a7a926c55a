#include "oxplow/kernels/gemm/gemm.h"

#include <algorithm>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/measured_rate.h"

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

namespace {

// GFLOP/s of a product that stays in L2; 1 where there is no memory to measure with.
double rate_of(const GemmKernel& kernel) {
  GemmArgs args;
  args.m = int64_t{12} * kernel.tile_rows, args.n = int64_t{2} * kernel.panel_columns, args.k = 256;
  args.lda = args.k, args.ldc = args.n;
  const size_t a_bytes = round_up(static_cast<size_t>(args.m * args.k * 4), kCacheLine);
  const size_t c_bytes = round_up(static_cast<size_t>(args.m * args.n * 4), kCacheLine);
  Result<Buffer> memory = Buffer::allocate(a_bytes + c_bytes + kernel.packed_bytes(args.k, args.n));
  if (!memory) return 1;
  std::fill_n(memory->data(), memory->size(), std::byte{0});
  args.a = memory->data();
  args.c = memory->data() + a_bytes;
  args.b = memory->data() + a_bytes + c_bytes;
  return measured_gflops(kernel.name, 2.0 * static_cast<double>(args.m * args.n * args.k),
                         [&] { kernel.run(args, 0, args.m, 0, 2); });
}

}  // namespace

const GemmKernel* find_gemm(Isa isa, DType a, DType c, int64_t k, int64_t n) {
  return fastest(
      gemm_kernels(isa).kernels,
      [&](const GemmKernel& kernel) { return kernel.a == a && kernel.c == c && k % kernel.k_multiple == 0; },
      [n](const GemmKernel& kernel) { return round_up(static_cast<size_t>(n), static_cast<size_t>(kernel.panel_columns)); },
      rate_of);
}

}  // namespace oxplow
