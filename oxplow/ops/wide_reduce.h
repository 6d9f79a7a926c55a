#pragma once

#include "oxplow/kernels/reduce/reduce.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// A reduction of elements of any type of 8 bits or more over the axes where `reduced` is set. Integers wrap and their mean is rounded
// toward zero; over no elements, max and min give the least and the greatest number of the type.
std::unique_ptr<Step> wide_reduce(const PrepareContext& context, ReduceOp op, const std::vector<bool>& reduced);

}  // namespace oxplow
