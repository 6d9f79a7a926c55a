#pragma once

#include <cstdint>

#include "oxplow/kernels/eltwise/eltwise.h"

namespace oxplow {

// One number after another, for ops without a vector body: y[i] = op(a[i * a_step], b[i * b_step]) for i < n, in float as the C
// library has it. Compiled for the baseline, called from every tier.
void eltwise_scalar_step(EltwiseOp op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n);

}  // namespace oxplow
