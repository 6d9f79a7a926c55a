#pragma once

#include "oxplow/ops/windows.h"

namespace oxplow {

// Convolution as its definition reads, over any number of axes, elements of any floating type: y = sum of x * w + bias, of inputs x, w
// [M, C / group, ...] and bias (optional). `channel_axis` of x and y is 1 or the last.
Result<std::unique_ptr<Step>> plain_conv_nd(const PrepareContext& context, const Windows& windows, int channel_axis);

}  // namespace oxplow
