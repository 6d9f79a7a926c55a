#pragma once

#include "oxplow/ops/windows.h"

namespace oxplow {

enum class Pooling { max, average, lp };

// Pooling as its definition reads, over any number of axes, elements of any type that has an order (max) or is floating (the others).
// Output 1 of a max pool, if it is there, has the flat index of each largest element in the dense [N, C, ...] input.
// `channel_axis` of both tensors is 1 or the last; the spatial axes follow in order.
Result<std::unique_ptr<Step>> plain_pool(const PrepareContext& context, const Windows& windows, Pooling pooling,
                                         int channel_axis);

}  // namespace oxplow
