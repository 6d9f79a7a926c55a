#pragma once
// How a family of kernels is chosen at run time.
//
// A family is a folder: <family>.h declares the contract and a struct of function pointers, <Family>Kernels; <family>.isa.cc defines
// `const <Family>Kernels <family>_kernels` inside namespace oxplow::OXPLOW_ISA and is compiled once for every tier that
// kernels.inc lists, best first; <family>.cc holds the table:
//
//   #define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const GemmKernels gemm_kernels; })
//   #include "oxplow/kernels/gemm/kernels.inc"
//   #undef OXPLOW_KERNEL
//   constexpr Tiered<GemmKernels> kTiers[] = {
//   #define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::gemm_kernels},)
//   #include "oxplow/kernels/gemm/kernels.inc"
//   #undef OXPLOW_KERNEL
//   };
//   const GemmKernels& gemm_kernels(Isa isa) { return best_of<GemmKernels>(kTiers, isa); }
//
// A kernel takes pointers, extents and strides. It never allocates, threads, logs, throws or fails.

#include <span>

#include "oxplow/base/check.h"
#include "oxplow/base/isa.h"

namespace oxplow {

template <typename Kernels>
struct Tiered {
  Isa isa;
  const Kernels* kernels;
};

// The first entry, best first, whose tier does not exceed `isa`. Every list ends with its architecture's baseline.
template <typename Kernels>
const Kernels& best_of(std::span<const Tiered<Kernels>> tiers, Isa isa) {
  for (const auto& tier : tiers) {
    if (tier.isa <= isa) return *tier.kernels;
  }
  OXPLOW_CHECK(false && "a kernel family without a baseline tier");
  __builtin_unreachable();
}

}  // namespace oxplow

#if defined(__x86_64__)
#define OXPLOW_ON_x86_64(...) __VA_ARGS__
#define OXPLOW_ON_avx2(...) __VA_ARGS__
#define OXPLOW_ON_avx512(...) __VA_ARGS__
#define OXPLOW_ON_avx512_vnni(...) __VA_ARGS__
#define OXPLOW_ON_amx(...) __VA_ARGS__
#define OXPLOW_ON_neon(...)
#define OXPLOW_ON_neon_dot(...)
#define OXPLOW_ON_neon_i8mm(...)
#elif defined(__aarch64__)
#define OXPLOW_ON_x86_64(...)
#define OXPLOW_ON_avx2(...)
#define OXPLOW_ON_avx512(...)
#define OXPLOW_ON_avx512_vnni(...)
#define OXPLOW_ON_amx(...)
#define OXPLOW_ON_neon(...) __VA_ARGS__
#define OXPLOW_ON_neon_dot(...) __VA_ARGS__
#define OXPLOW_ON_neon_i8mm(...) __VA_ARGS__
#endif
