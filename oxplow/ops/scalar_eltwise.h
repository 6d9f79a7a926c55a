#pragma once

#include "oxplow/kernels/eltwise/eltwise.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// One elementwise function over elements without a chain (integers, booleans, f64, or several types at once): right rather than fast.
// Integers compute in 64 bits and wrap to the result's type; division rounds toward zero, by zero gives 0. Floats compute in double.
Result<std::unique_ptr<Step>> prepare_scalar(const PrepareContext& context, const ChainStep& function);

}  // namespace oxplow
