#pragma once
// Element types of tensors in memory, as F32 lanes: f32, bf16 and f16 behind one interface, for bodies written once for all of
// them.

#include <cstdint>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

struct ElementF32 {
  using Memory = float;
  static OXPLOW_INLINE F32 load(const float* p) { return F32::load(p); }
  static OXPLOW_INLINE F32 load(const float* p, int64_t n) { return F32::load(p, n); }
  static OXPLOW_INLINE void store(F32 v, float* p) { v.store(p); }
  static OXPLOW_INLINE void store(F32 v, float* p, int64_t n) { v.store(p, n); }
};
struct ElementBf16 {
  using Memory = uint16_t;
  static OXPLOW_INLINE F32 load(const uint16_t* p) { return load_bf16(p); }
  static OXPLOW_INLINE F32 load(const uint16_t* p, int64_t n) { return load_bf16(p, n); }
  static OXPLOW_INLINE void store(F32 v, uint16_t* p) { store_bf16(v, p); }
  static OXPLOW_INLINE void store(F32 v, uint16_t* p, int64_t n) { store_bf16(v, p, n); }
};
struct ElementF16 {
  using Memory = uint16_t;
  static OXPLOW_INLINE F32 load(const uint16_t* p) { return load_f16(p); }
  static OXPLOW_INLINE F32 load(const uint16_t* p, int64_t n) { return load_f16(p, n); }
  static OXPLOW_INLINE void store(F32 v, uint16_t* p) { store_f16(v, p); }
  static OXPLOW_INLINE void store(F32 v, uint16_t* p, int64_t n) { store_f16(v, p, n); }
};

// Calls f with the element type of a float dtype.
template <typename F>
OXPLOW_INLINE void with_element(DType type, F f) {
  if (type == DType::bf16) return f(ElementBf16{});
  if (type == DType::f16) return f(ElementF16{});
  f(ElementF32{});
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
