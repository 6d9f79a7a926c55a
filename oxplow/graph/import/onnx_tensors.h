#pragma once

#include <memory>

#include "oxplow/formats/onnx.h"
#include "oxplow/tensor/tensor.h"

namespace oxplow {

// A tensor of the model: elements in place where the file has them aligned (the result keeps `model` alive), else a copy. Error:
// unsupported (element types we have not).
Result<Tensor> tensor_of(const onnx::TensorProto& proto, const std::shared_ptr<const OnnxModel>& model);

// The same, made dense. Error: unsupported also where that would take more than 1 GiB.
Result<Tensor> tensor_of(const onnx::SparseTensorProto& proto, const std::shared_ptr<const OnnxModel>& model);

}  // namespace oxplow
