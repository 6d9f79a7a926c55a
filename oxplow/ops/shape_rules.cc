#include "oxplow/ops/shape_rules.h"

#include <algorithm>

namespace oxplow {

Result<int> normalized_axis(int64_t axis, int rank, bool end_allowed) {
  const int64_t positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank + (end_allowed ? 1 : 0)) {
    return Error{ErrorCode::invalid_model, "axis " + std::to_string(axis) + " is outside of " + std::to_string(rank) + " axes"};
  }
  return static_cast<int>(positive);
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape to = Shape::filled(rank, 1);
  for (int i = 0; i < rank; ++i) {
    const int64_t x = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
    const int64_t y = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
    if (x != y && x != 1 && y != 1)
      return Error{ErrorCode::invalid_model, to_string(a) + " and " + to_string(b) + " cannot be broadcast together"};
    to[i] = x == 1 ? y : x;
  }
  return to;
}

Dims broadcast_strides(const Operand& operand, const Shape& to) {
  Dims strides = Dims::filled(to.rank(), 0);
  const Shape& shape = operand.type.shape;
  const int lead = to.rank() - shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1) strides[lead + i] = operand.strides[i];
  }
  return strides;
}

void merge_axes(Shape& extents, std::span<Dims> strides) {
  for (int i = extents.rank() - 1; i >= 0 && extents.rank() > 1; --i) {
    bool redundant = extents[i] == 1;
    if (!redundant && i + 1 < extents.rank()) {
      // Axis i continues axis i + 1: fold it in.
      redundant = std::all_of(strides.begin(), strides.end(), [&](const Dims& s) { return s[i] == s[i + 1] * extents[i + 1]; });
      if (redundant) extents[i + 1] *= extents[i];
    }
    if (!redundant) continue;
    extents.erase(i);
    for (Dims& s : strides) s.erase(i);
  }
}

}  // namespace oxplow
