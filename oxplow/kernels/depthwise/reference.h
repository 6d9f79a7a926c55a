#pragma once
// The oracle of depthwise.h: plain loops in double.

#include <algorithm>
#include <cmath>

#include "oxplow/kernels/depthwise/depthwise.h"

namespace oxplow {

inline double activate_reference(Activation activation, double x, double alpha, double beta) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  switch (activation) {
    case Activation::none: return x;
    case Activation::clip: return std::min(std::max(x, alpha), beta);
    case Activation::sigmoid: return sigmoid(x);
    case Activation::silu: return x * sigmoid(x);
    case Activation::hard_sigmoid: return std::min(std::max(alpha * x + beta, 0.0), 1.0);
    case Activation::hard_swish: return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0);
    case Activation::gelu: return x / 2 * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh: return x * sigmoid(2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x));
    case Activation::tanh: return std::tanh(x);
    case Activation::leaky_relu: return x < 0 ? alpha * x : x;
  }
  return x;
}

// Output (n, i, j, c) before the activation; `magnitude` gets the sum of the terms' absolute values.
template <typename T>
double depthwise_reference(const DepthwiseArgs& args, int64_t n, int64_t i, int64_t j, int64_t c, double* magnitude) {
  const T* x = static_cast<const T*>(args.x) + n * args.x_image + c;
  double sum = args.epilogue.bias ? double{args.epilogue.bias[c]} : 0.0;
  *magnitude = std::abs(sum);
  for (int64_t r = 0; r < args.kernel_h; ++r) {
    for (int64_t s = 0; s < args.kernel_w; ++s) {
      const int64_t row = i * args.stride_h + r * args.dilation_h;
      const int64_t column = j * args.stride_w + s * args.dilation_w;
      const double term = static_cast<double>(static_cast<float>(x[row * args.x_row + column * args.x_pixel])) *
                          double{args.w[(r * args.kernel_w + s) * args.channels + c]};
      sum += term;
      *magnitude += std::abs(term);
    }
  }
  if (args.epilogue.residual) {
    const T* residual = static_cast<const T*>(args.epilogue.residual);
    const double term = static_cast<double>(
        static_cast<float>(residual[n * args.residual_image + i * args.residual_row + j * args.residual_pixel + c]));
    sum += term;
    *magnitude += std::abs(term);
  }
  return sum;
}

}  // namespace oxplow
