#pragma once
// The oracle of pool.h: plain loops in double over every tap.

#include <cmath>

#include "oxplow/kernels/pool/pool.h"

namespace oxplow {

// Output (n, i, j, c); `magnitude` gets the mean of the taps' absolute values.
template <typename T>
double pool_reference(const PoolArgs& args, int64_t n, int64_t i, int64_t j, int64_t c, double* magnitude) {
  const T* x = static_cast<const T*>(args.x) + n * args.x_image + c;
  double largest = -INFINITY, sum = 0, absolute = 0;
  int64_t inside = 0, padded = 0;
  for (int64_t r = 0; r < args.kernel_h; ++r) {
    for (int64_t s = 0; s < args.kernel_w; ++s) {
      const int64_t row = i * args.stride_h - args.pad_top + r * args.dilation_h;
      const int64_t column = j * args.stride_w - args.pad_left + s * args.dilation_w;
      if (row < args.in_h + args.pad_bottom && column < args.in_w + args.pad_right) ++padded;
      if (row < 0 || row >= args.in_h || column < 0 || column >= args.in_w) continue;
      const double value = static_cast<double>(static_cast<float>(x[row * args.x_row + column * args.x_pixel]));
      ++inside;
      sum += value;
      absolute += std::abs(value);
      if (value > largest) largest = value;
    }
  }
  const double count = static_cast<double>(args.count_include_pad ? padded : inside);
  *magnitude = count > 0 ? absolute / count : 0;
  if (args.kind == PoolKind::max) return largest;
  return count > 0 ? sum / count : 0;
}

}  // namespace oxplow
