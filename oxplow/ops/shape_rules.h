#pragma once

#include "oxplow/ops/op.h"

namespace oxplow {

// axis in [-rank, rank) as [0, rank); with `end_allowed`, rank itself too.
Result<int> normalized_axis(int64_t axis, int rank, bool end_allowed = false);

// The shape that numpy's rules broadcast both to.
Result<Shape> broadcast(const Shape& a, const Shape& b);

// Strides that show `operand` under the extents it is broadcast to: 0 along the axes it lacks or has once.
Dims broadcast_strides(const Operand& operand, const Shape& to);

// Merges neighbouring axes that every set of strides walks as one and drops extents of 1. At least one axis remains.
void merge_axes(Shape& extents, std::span<Dims> strides);

}  // namespace oxplow
