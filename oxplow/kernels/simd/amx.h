#pragma once
// The processor's tile registers by a number that the compiler knows: the intrinsics take a literal alone (g++ 12), so a template
// could not name its registers. Who uses them holds them configured (gemm/amx_tile.h: AmxTiles).
//
//   tile_zero<t>()             t = 0
//   tile_load<t>(p, step)      row i of t from p + i * step bytes, memory that was written before the kernel began
//   tile_store<t>(p, step)     row i of t to p + i * step
//   tile_multiply<s, a, b>()   s += a * b, pairs of bf16 into f32

#include "oxplow/kernels/simd/simd.h"

#if defined(__AMX_BF16__)

namespace oxplow::OXPLOW_ISA {

template <int kTile>
OXPLOW_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

template <int kTile>
OXPLOW_INLINE void tile_load(const void* p, int64_t step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(step), "i"(kTile));
}

template <int kTile>
OXPLOW_INLINE void tile_store(void* p, int64_t step) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(step), "i"(kTile) : "memory");
}

template <int kSum, int kA, int kB>
OXPLOW_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}

}  // namespace oxplow::OXPLOW_ISA

#endif
