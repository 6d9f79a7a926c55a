#pragma once

#include <algorithm>
#include <cmath>

#include "oxplow/kernels/epilogue.h"

namespace oxplow {

// For tests: the activation in double. NaN stays NaN.
inline double reference_activation(Activation activation, double x, double alpha, double beta) {
  const auto clip = [](double v, double low, double high) { return std::isnan(v) ? v : std::min(std::max(v, low), high); };
  switch (activation) {
    case Activation::none: return x;
    case Activation::clip: return clip(x, alpha, beta);
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::hard_sigmoid: return clip(alpha * x + beta, 0, 1);
    case Activation::hard_swish: return x * clip(x / 6 + 0.5, 0, 1);
    case Activation::gelu: return x / 2 * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh: return x / (1 + std::exp(-std::sqrt(8 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::tanh: return std::tanh(x);
    case Activation::leaky_relu: return x < 0 ? alpha * x : x;
  }
  return x;
}

// No activation stretches a difference by more than this (given |alpha| <= 1).
constexpr double kActivationSlope = 1.2;

}  // namespace oxplow
