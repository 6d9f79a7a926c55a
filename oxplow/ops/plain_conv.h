#pragma once

#include "oxplow/kernels/conv/conv.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// Convolution written as its definition reads, f32, without kernels: what the ladder of gains starts from. One task an output row.
//   channels_last false: a sum at a time; true: all filters of a pixel at a time, weights regrouped so that the innermost loop is contiguous.
Result<std::unique_ptr<Step>> plain_conv(const ConvArgs& args, const PrepareContext& context, bool channels_last);

}  // namespace oxplow
