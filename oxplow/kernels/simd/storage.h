#pragma once
// Vectors of F32 to and from memory that holds float, bf16 or f16, chosen by the pointer's type.

#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

// A bf16 or f16 in memory, as BFloat16 and Float16 are; kernel bodies use these because the inline functions of those are shared
// with other tiers.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

OXPLOW_INLINE F32 load_f32(const float* p) { return F32::load(p); }
OXPLOW_INLINE F32 load_f32(const float* p, int64_t n) { return F32::load(p, n); }
OXPLOW_INLINE F32 load_f32(const Bf16* p) { return load_bf16(&p->bits); }
OXPLOW_INLINE F32 load_f32(const Bf16* p, int64_t n) { return load_bf16(&p->bits, n); }
OXPLOW_INLINE void store_f32(F32 v, float* p) { v.store(p); }
OXPLOW_INLINE void store_f32(F32 v, float* p, int64_t n) { v.store(p, n); }
OXPLOW_INLINE void store_f32(F32 v, Bf16* p) { store_bf16(v, &p->bits); }
OXPLOW_INLINE void store_f32(F32 v, Bf16* p, int64_t n) { store_bf16(v, &p->bits, n); }
OXPLOW_INLINE F32 load_f32(const F16* p) { return load_f16(&p->bits); }
OXPLOW_INLINE F32 load_f32(const F16* p, int64_t n) { return load_f16(&p->bits, n); }
OXPLOW_INLINE void store_f32(F32 v, F16* p) { store_f16(v, &p->bits); }
OXPLOW_INLINE void store_f32(F32 v, F16* p, int64_t n) { store_f16(v, &p->bits, n); }

// Whole vectors, or with kPartial the first n lanes.
template <bool kPartial, typename T>
OXPLOW_INLINE F32 load_lanes(const T* p, [[maybe_unused]] int64_t n) {
  if constexpr (kPartial) {
    return load_f32(p, n);
  } else {
    return load_f32(p);
  }
}
template <bool kPartial, typename T>
OXPLOW_INLINE void store_lanes(F32 v, T* p, [[maybe_unused]] int64_t n) {
  if constexpr (kPartial) {
    store_f32(v, p, n);
  } else {
    store_f32(v, p);
  }
}

}  // namespace oxplow::OXPLOW_ISA
