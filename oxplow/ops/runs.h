#pragma once

#include <algorithm>
#include <array>

#include "oxplow/base/shape.h"

namespace oxplow {

inline constexpr int kMaxRunOperands = 6;
// Elements of a block of wide numbers: several of them fit the L1 cache. A multiple of 8, so that ranges of whole blocks are whole bytes.
inline constexpr int64_t kRunBlock = 256;
using RunOffsets = std::array<int64_t, kMaxRunOperands>;

// Walks elements [begin, end) of an iteration space of `extents` in row-major order, in runs along the last axis of at most kRunBlock:
// calls visit(offsets, n), offsets[k] being where operand k has the run's first element; the next is strides[k].back() from there.
// There is at least one axis (merge_axes sees to that).
template <typename Visit>
void for_each_run(const Shape& extents, std::span<const Dims> strides, int64_t begin, int64_t end, Visit&& visit) {
  const int last = extents.rank() - 1;
  while (begin < end) {
    RunOffsets offsets{};
    int64_t rest = begin, column = 0;
    for (int d = last; d >= 0; --d) {
      const int64_t index = rest % extents[d];
      if (d == last) column = index;
      for (size_t k = 0; k < strides.size(); ++k) offsets[k] += index * strides[k][d];
      rest /= extents[d];
    }
    const int64_t n = std::min({extents[last] - column, end - begin, kRunBlock});
    visit(offsets, n);
    begin += n;
  }
}

}  // namespace oxplow
