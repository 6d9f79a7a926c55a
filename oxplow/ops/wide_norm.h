#pragma once

#include "oxplow/ops/op.h"

namespace oxplow {

// Normalization of contiguous rows of dense input 0, of any floating type, in double: with v = x - mean of the row (or x itself, not
// `centered`), y = v / sqrt(mean of v^2 + epsilon) * scale + bias.
struct WideNorm {
  int64_t rows = 0, columns = 0;
  bool centered = true;
  double epsilon = 0;
  // The elements of x in row-major order as an iteration space, and where inputs 1 (scale) and 2 (bias, may be absent) are in it.
  Shape extents;
  Dims scale_strides, bias_strides;
};

// Outputs 1 and 2, where present, are f32 [rows]: mean and 1 / sqrt(...).
std::unique_ptr<Step> wide_norm(const PrepareContext& context, const WideNorm& norm);

}  // namespace oxplow
