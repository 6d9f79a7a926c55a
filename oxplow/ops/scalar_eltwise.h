#pragma once

#include "oxplow/kernels/eltwise/eltwise.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// One elementwise function over integers, booleans or f64, an element at a time: arithmetic of shapes and masks, right rather than fast.
// Integers compute in 64 bits and wrap to the result's type; division rounds toward zero, by zero gives 0.
Result<std::unique_ptr<Step>> prepare_scalar(const PrepareContext& context, const ChainStep& function);

}  // namespace oxplow
