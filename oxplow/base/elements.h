#pragma once
// Elements of any type as wide numbers: how ops without a kernel for a type compute, a block at a time.

#include <cstdint>
#include <limits>

#include "oxplow/base/dtype.h"

namespace oxplow {

// How numbers that a small float has not become one.
struct SmallFloatRounding {
  bool saturate = true;                     // beyond the largest: the largest; else infinity or NaN
  PowerRounding power = PowerRounding::up;  // of f8e8m0
};

// to[i] = element first + i * stride of `data`, i < n. Wide is double, int64_t or uint64_t. Floats become integers toward zero, the
// nearest that Wide has; NaN becomes 0.
template <typename Wide>
void load_elements(DType dtype, const void* data, int64_t first, int64_t stride, int64_t n, Wide* to);

// The reverse. Integers wrap into narrower ones. Floats round to nearest even into floats; into integers they go toward zero, the
// nearest there is (types below 8 bits wrap), NaN gives 0. Anything but 0 is true.
// Elements below 8 bits share bytes: who writes neighbours at once must keep to ranges of whole bytes.
template <typename Wide>
void store_elements(DType dtype, void* data, int64_t first, int64_t stride, int64_t n, const Wide* from,
                    const SmallFloatRounding& rounding = {});

// Calls f with a value of the type in which numbers of `dtype` are computed: double for floats, uint64_t for u64, int64_t for other
// integers and booleans.
template <typename F>
decltype(auto) visit_wide(DType dtype, F&& f) {
  if (is_float(dtype) || is_small_float(dtype)) return f(double{});
  if (dtype == DType::u64) return f(uint64_t{});
  return f(int64_t{});
}

// v without its fraction, or the nearest number that T has; NaN gives 0.
template <typename T>
T saturated(double v) {
  constexpr T kLow = std::numeric_limits<T>::lowest(), kHigh = std::numeric_limits<T>::max();
  return v != v ? T{0} : v <= static_cast<double>(kLow) ? kLow : v >= static_cast<double>(kHigh) ? kHigh : static_cast<T>(v);
}

// The least and the greatest number of an integer type, or of the booleans 0 and 1.
template <typename Int>
Int least_of(DType dtype) {
  if (dtype == DType::boolean || is_unsigned(dtype)) return 0;
  return static_cast<Int>(~uint64_t{0} << (bits_of(dtype) - 1));
}
template <typename Int>
Int greatest_of(DType dtype) {
  if (dtype == DType::boolean) return 1;
  return static_cast<Int>(~uint64_t{0} >> (64 - bits_of(dtype) + (is_unsigned(dtype) ? 0 : 1)));
}

}  // namespace oxplow
