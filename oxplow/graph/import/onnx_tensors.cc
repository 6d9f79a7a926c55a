#include "oxplow/graph/import/onnx_tensors.h"

#include <algorithm>
#include <cstring>

#include "oxplow/formats/byte_reader.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

// A few bytes of a file can declare any extents.
constexpr size_t kLargestDense = size_t{1} << 30;

Result<Tensor> strings_of(const onnx::TensorProto& proto) {
  OXPLOW_ASSIGN(const auto views, onnx::tensor_strings(proto));
  return string_tensor({views.begin(), views.end()}, proto.dims);
}

}  // namespace

Result<Tensor> tensor_of(const onnx::TensorProto& proto, const std::shared_ptr<const OnnxModel>& model) {
  if (proto.type == onnx::ElementType::STRING) return strings_of(proto);
  const auto dtype = proto.dtype();
  if (!dtype)
    return Error{ErrorCode::unsupported,
                 "tensor " + in_quotes(proto.name) + " has elements of type " + onnx::name_of(proto.type)};
  const TensorType type{*dtype, proto.dims};
  OXPLOW_ASSIGN(auto data, onnx::tensor_bytes(proto));
  const size_t alignment = static_cast<size_t>(std::max(bits_of(*dtype), 8)) / 8;
  const bool aligned = reinterpret_cast<uintptr_t>(data.bytes.data()) % alignment == 0;
  if (data.owned.empty() && aligned && !data.bytes.empty()) return Tensor::borrow(type, data.bytes.data(), model);
  OXPLOW_ASSIGN(Tensor tensor, Tensor::allocate(type));
  if (!data.bytes.empty()) std::memcpy(tensor.mutable_data(), data.bytes.data(), data.bytes.size());
  return tensor;
}

Result<Tensor> tensor_of(const onnx::SparseTensorProto& proto, const std::shared_ptr<const OnnxModel>& model) {
  OXPLOW_ASSIGN(const Tensor values, tensor_of(proto.values, model));
  OXPLOW_ASSIGN(const Tensor indices, tensor_of(proto.indices, model));
  const TensorType type{values.dtype(), proto.dims};
  const auto refuse = [&](const std::string& why) {
    return Error{ErrorCode::unsupported, "sparse tensor " + in_quotes(proto.values.name) + " of type " + to_string(type) + why};
  };
  if (bits_of(type.dtype) < 8 || type.dtype == DType::string) return refuse("");
  if (!is_possible(type) || type.bytes() > kLargestDense) return refuse(" would take more than 1 GiB");
  OXPLOW_ASSIGN(Tensor dense, Tensor::allocate(type));
  const auto size = static_cast<size_t>(bits_of(type.dtype)) / 8;
  const int64_t columns = indices.shape().rank() == 2 ? indices.shape()[1] : 1;
  const Dims strides = columns == 1 && indices.shape().rank() == 1 ? Dims{1} : dense_strides(proto.dims);
  const auto entries = indices.values<int64_t>();  // the reader has checked that they are inside
  for (int64_t i = 0; i < values.elements(); ++i) {
    int64_t at = 0;
    for (int64_t k = 0; k < columns; ++k) at += entries[static_cast<size_t>(i * columns + k)] * strides[static_cast<int>(k)];
    std::memcpy(static_cast<std::byte*>(dense.mutable_data()) + static_cast<size_t>(at) * size,
                static_cast<const std::byte*>(values.data()) + static_cast<size_t>(i) * size, size);
  }
  return dense;
}

}  // namespace oxplow
