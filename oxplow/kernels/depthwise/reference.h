#pragma once
// The oracle of depthwise.h: plain loops in double.

#include <cmath>

#include "oxplow/kernels/depthwise/depthwise.h"
#include "oxplow/kernels/epilogue_reference.h"

namespace oxplow {

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
