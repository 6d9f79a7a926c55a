#pragma once

#include <cmath>
#include <cstdint>

#include "oxplow/kernels/epilogue_reference.h"
#include "oxplow/kernels/gemm/gemm.h"

namespace oxplow {

// For tests: one element of C in double, and how far a kernel that adds up k products in f32 may be from it.
struct ReferenceSum {
  double value;
  double tolerance;
};

// a(k), b(k): the factors; `base` the bias plus the residual, of magnitude `base_size`. `unit` is the relative rounding of the
// output's type.
template <typename A, typename B>
ReferenceSum reference_sum(int64_t k, A a, B b, double base, double base_size, const Epilogue& epilogue, double unit) {
  double sum = base;
  double size = base_size;
  for (int64_t i = 0; i < k; ++i) {
    const double product = a(i) * b(i);
    sum += product;
    size += std::abs(product);
  }
  const double value = reference_activation(epilogue.activation, sum, epilogue.alpha, epilogue.beta);
  // Twice: the x86-64 baseline rounds the product as well as the sum.
  const double rounding = 2 * static_cast<double>(k + 4) * 0x1p-24 * size * kActivationSlope;
  return {value, rounding + std::abs(value) * (2e-6 + unit) + 1e-37};
}

}  // namespace oxplow
