#pragma once
// What a reduction is made of: maps x -> v, and sums, products and extremes of v that vectors of accumulators gather.

#include "oxplow/kernels/simd/math.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {
namespace {

constexpr int64_t kWidth = F32::kWidth;

struct Itself {
  static OXPLOW_INLINE F32 map(F32 x, F32) { return x; }
};
struct Square {
  static OXPLOW_INLINE F32 map(F32 x, F32) { return x * x; }
};
struct Absolute {
  static OXPLOW_INLINE F32 map(F32 x, F32) { return abs(x); }
};
struct ExpLess {
  static OXPLOW_INLINE F32 map(F32 x, F32 shift) { return exp(x - shift); }
};

// combine() may lose a NaN operand; kKeepsNan says so, and then whoever calls it notes NaNs apart. merge() never does.
struct Sum {
  static constexpr bool kKeepsNan = true;
  static OXPLOW_INLINE F32 identity() { return F32::zero(); }
  static OXPLOW_INLINE F32 combine(F32 a, F32 b) { return a + b; }
};
struct Product {
  static constexpr bool kKeepsNan = true;
  static OXPLOW_INLINE F32 identity() { return F32::broadcast(1); }
  static OXPLOW_INLINE F32 combine(F32 a, F32 b) { return a * b; }
};
struct Greatest {
  static constexpr bool kKeepsNan = false;
  static OXPLOW_INLINE F32 identity() { return F32::broadcast(-__builtin_inff()); }
  static OXPLOW_INLINE F32 combine(F32 a, F32 b) { return max(a, b); }
};
struct Least {
  static constexpr bool kKeepsNan = false;
  static OXPLOW_INLINE F32 identity() { return F32::broadcast(__builtin_inff()); }
  static OXPLOW_INLINE F32 combine(F32 a, F32 b) { return min(a, b); }
};
template <typename Combine>
OXPLOW_INLINE F32 merge(F32 a, F32 b) {
  if constexpr (Combine::kKeepsNan) return Combine::combine(a, b);
  return select(is_nan(a), a, Combine::combine(a, b));  // min and max take b where either is NaN
}

OXPLOW_INLINE Mask no_lanes() { return F32::zero() != F32::zero(); }
OXPLOW_INLINE F32 nan_where(Mask m, F32 otherwise) { return select(m, F32::broadcast(__builtin_nanf("")), otherwise); }

// kCount chains of lanes.
template <typename Combine, int kCount>
struct Accumulators {
  F32 v[kCount];
  Mask nan;

  OXPLOW_INLINE Accumulators() : nan(no_lanes()) {
#pragma GCC unroll 8
    for (F32& x : v) x = Combine::identity();
  }
  OXPLOW_INLINE void add(int chain, F32 x) {
    v[chain] = Combine::combine(x, v[chain]);
    if constexpr (!Combine::kKeepsNan) nan = nan | is_nan(x);
  }
  // All of them, pair by pair.
  OXPLOW_INLINE F32 result() const {
    F32 r[kCount];
    for (int i = 0; i < kCount; ++i) r[i] = v[i];
#pragma GCC unroll 8
    for (int half = kCount / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
      for (int i = 0; i < half; ++i) r[i] = Combine::combine(r[i], r[i + half]);
    }
    if constexpr (Combine::kKeepsNan) return r[0];
    return nan_where(nan, r[0]);
  }
};

// Across the lanes, by halves.
template <typename Combine>
OXPLOW_INLINE float across(F32 v) {
  if constexpr (__is_same(Combine, Sum)) return sum(v);
  if constexpr (__is_same(Combine, Product)) {
    alignas(64) float lanes[kWidth];
    v.store(lanes);
    for (int64_t half = kWidth / 2; half > 0; half /= 2) {
      for (int64_t i = 0; i < half; ++i) lanes[i] *= lanes[i + half];
    }
    return lanes[0];
  }
  if (any(is_nan(v))) return __builtin_nanf("");
  return __is_same(Combine, Greatest) ? max_of(v) : min_of(v);
}

}  // namespace
}  // namespace oxplow::OXPLOW_ISA
