#pragma once
// Parts of tensors, of any element type of whole bytes, for ops that are evaluated.

#include <span>

#include "oxplow/tensor/tensor.h"

namespace oxplow {

// Elements [begin, end) of an axis; the tensor's own memory where it can be. begin <= end are inside. Errors: unsupported (elements
// below 8 bits), out_of_memory.
Result<Tensor> part_of(const Tensor& whole, int axis, int64_t begin, int64_t end);

// The slice at `index` of an axis, without that axis.
Result<Tensor> slice_of(const Tensor& whole, int axis, int64_t index);

// At least one tensor, side by side along an axis. Errors: invalid_model (their types do not fit), as above.
Result<Tensor> concatenated(std::span<const Tensor> parts, int axis);

// The same along a new axis, 0 <= axis <= rank.
Result<Tensor> stacked(std::span<const Tensor> parts, int axis);

}  // namespace oxplow
