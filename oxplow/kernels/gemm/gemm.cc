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

int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// GFLOP/s of a product that stays in L2; 1 where there is no memory to measure with.
double rate_of(const GemmKernel& kernel) {
  GemmArgs args;
  args.m = int64_t{12} * kernel.tile_rows, args.n = int64_t{2} * kernel.panel_columns, args.k = 256;
  args.lda = args.k, args.ldc = args.n;
  const size_t a_bytes = static_cast<size_t>(rounded_up(args.m * args.k * 4, 64));
  const size_t c_bytes = static_cast<size_t>(rounded_up(args.m * args.n * 4, 64));
  Result<Buffer> memory = Buffer::allocate(a_bytes + c_bytes + kernel.packed_bytes(args.k, args.n));
  if (!memory) return 1;
  std::fill_n(memory->data(), memory->size(), std::byte{0});
  args.a = memory->data();
  args.c = memory->data() + a_bytes;
  args.b = memory->data() + a_bytes + c_bytes;
  return measured_gflops(&kernel, 2.0 * static_cast<double>(args.m * args.n * args.k),
                         [&] { kernel.run(args, 0, args.m, 0, 2); });
}

}  // namespace

const GemmKernel* find_gemm(Isa isa, DType a, DType c, int64_t k, int64_t n) {
  const GemmKernel* best = nullptr;
  for (const GemmKernel& kernel : gemm_kernels(isa).kernels) {
    if (kernel.a != a || kernel.c != c || k % kernel.k_multiple != 0) continue;
    if (best != nullptr) {
      const auto cost = [n](const GemmKernel& candidate) {
        return static_cast<double>(rounded_up(n, candidate.panel_columns)) / rate_of(candidate);
      };
      // Within the noise of measuring, the list's order decides.
      if (cost(kernel) >= 0.97 * cost(*best)) continue;
    }
    best = &kernel;
  }
  return best;
}

}  // namespace oxplow
