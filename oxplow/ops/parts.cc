#include "oxplow/ops/parts.h"

#include <cstring>
#include <vector>

#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

Status whole_bytes(DType dtype) {
  if (bits_of(dtype) >= 8) return {};
  return Error{ErrorCode::unsupported, "parts of tensors of " + std::string(name_of(dtype))};
}

size_t bytes_behind(const Tensor& tensor, int axis) {
  return bytes_of(tensor.dtype(), static_cast<size_t>(product(tensor.shape(), axis, tensor.shape().rank())));
}

}  // namespace

Result<Tensor> part_of(const Tensor& whole, int axis, int64_t begin, int64_t end) {
  OXPLOW_TRY(whole_bytes(whole.dtype()));
  Shape shape = whole.shape();
  shape[axis] = end - begin;
  const int64_t outer = product(shape, 0, axis);
  const size_t element = bytes_behind(whole, axis + 1), run = bytes_behind(whole, axis);
  const auto* from = static_cast<const std::byte*>(whole.data()) + static_cast<size_t>(begin) * element;
  if (outer == 1) return Tensor::borrow({whole.dtype(), shape}, from, whole.owner());
  OXPLOW_ASSIGN(Tensor part, Tensor::allocate({whole.dtype(), shape}));
  auto* to = static_cast<std::byte*>(part.mutable_data());
  const size_t wanted = static_cast<size_t>(end - begin) * element;
  for (int64_t i = 0; i < outer && wanted > 0; ++i, from += run, to += wanted) std::memcpy(to, from, wanted);
  return with_own_characters(part);
}

Result<Tensor> slice_of(const Tensor& whole, int axis, int64_t index) {
  OXPLOW_ASSIGN(const Tensor part, part_of(whole, axis, index, index + 1));
  Shape shape = part.shape();
  shape.erase(axis);
  return part.reshaped(shape);
}

Result<Tensor> concatenated(std::span<const Tensor> parts, int axis) {
  OXPLOW_TRY(whole_bytes(parts[0].dtype()));
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    Shape fitting = shape;
    if (part.shape().rank() == shape.rank()) fitting[axis] = part.shape()[axis];
    if (part.dtype() != parts[0].dtype() || part.shape() != fitting) {
      return Error{ErrorCode::invalid_model, to_string(parts[0].type()) + " and " + to_string(part.type()) +
                                                 " side by side along axis " + std::to_string(axis)};
    }
    if (__builtin_add_overflow(shape[axis], part.shape()[axis], &shape[axis]))
      return Error{ErrorCode::invalid_model, "an impossible concatenation"};
  }
  OXPLOW_ASSIGN(Tensor whole, Tensor::allocate({parts[0].dtype(), shape}));
  const int64_t outer = product(shape, 0, axis);
  const size_t run = bytes_behind(whole, axis);
  auto* column = static_cast<std::byte*>(whole.mutable_data());
  for (const Tensor& part : parts) {
    const size_t width = bytes_behind(part, axis);
    const auto* from = static_cast<const std::byte*>(part.data());
    for (int64_t i = 0; i < outer && width > 0; ++i)
      std::memcpy(column + static_cast<size_t>(i) * run, from + static_cast<size_t>(i) * width, width);
    column += width;
  }
  return with_own_characters(whole);
}

Result<Tensor> stacked(std::span<const Tensor> parts, int axis) {
  std::vector<Tensor> widened;
  widened.reserve(parts.size());
  for (const Tensor& part : parts) {
    Shape shape = part.shape();
    if (shape.rank() == kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
    if (axis > shape.rank())
      return Error{ErrorCode::invalid_model, "axis " + std::to_string(axis) + " of " + to_string(part.type())};
    shape.insert(axis, 1);
    widened.push_back(part.reshaped(shape));
  }
  return concatenated(widened, axis);
}

}  // namespace oxplow
