#pragma once
// Vectors of F32 to and from memory that holds float, bf16 or f16, chosen by the pointer's type, for bodies written once for all
// of them.

#include <cstdint>

#include "oxplow/base/dtype.h"
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

// Calls f with a value of the type that memory of a float dtype holds.
template <typename F>
OXPLOW_INLINE void with_element(DType type, F f) {
  if (type == DType::bf16) return f(Bf16{});
  if (type == DType::f16) return f(F16{});
  f(float{});
}

// `count` elements on from p.
OXPLOW_INLINE const void* advance(const void* p, DType type, int64_t count) {
  return static_cast<const char*>(p) + count * (type == DType::f32 ? 4 : type == DType::boolean ? 1 : 2);
}
OXPLOW_INLINE void* advance(void* p, DType type, int64_t count) {
  return const_cast<void*>(advance(const_cast<const void*>(p), type, count));
}

// True in the first n lanes.
OXPLOW_INLINE Mask lanes_below(int64_t n) {
  alignas(64) static constexpr int32_t kLane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return I32::load(kLane) < I32::broadcast(static_cast<int32_t>(n));
}

}  // namespace oxplow::OXPLOW_ISA
