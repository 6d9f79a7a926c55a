#pragma once

#include <string>
#include <vector>

#include "oxplow/formats/onnx.h"

namespace oxplow {

// An ONNX model in two pieces (see parse_split_onnx): what is small, and the elements of large initializers, each at a multiple of 64
// bytes, so that they can be used where they lie.
struct SplitOnnx {
  std::string model;
  std::vector<std::byte> weights;
};

// Splits `model`, which was read from `bytes`. Error: unsupported when tensors elsewhere than in the graph's initializers have their data
// in files of their own, which the result would lack.
Result<SplitOnnx> split_onnx(const OnnxModel& model, std::span<const std::byte> bytes);

}  // namespace oxplow
