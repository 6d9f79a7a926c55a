#pragma once
// The formulas of eltwise_ops.inc, evaluated as they stand: the tests' oracle (in double) and the path of rare ops (in float).

#include <cmath>

#include "oxplow/kernels/eltwise/eltwise.h"

namespace oxplow::eltwise_reference {

inline double minimum(double a, double b) { return std::isnan(a) ? a : std::isnan(b) ? b : a < b ? a : b; }
inline double maximum(double a, double b) { return std::isnan(a) ? a : std::isnan(b) ? b : a > b ? a : b; }
inline double sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }
inline double softplus(double a) { return std::fmax(a, 0) + std::log1p(std::exp(-std::fabs(a))); }
// The remainder that has the sign of the divisor (Python's %), a zero too.
template <typename T>
T floor_mod(T a, T b) {
  const T r = std::fmod(a, b);
  if (r == 0) return std::copysign(r, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

// op(a, b, c; alpha, beta) in T.
template <EltwiseOp kOp, typename T>
T evaluate([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T c, [[maybe_unused]] T alpha, [[maybe_unused]] T beta) {
#define OXPLOW_ELTWISE_OP(name, arity, formula) \
  if constexpr (kOp == EltwiseOp::name) return static_cast<T>(formula);
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
}

}  // namespace oxplow::eltwise_reference
