#pragma once
// For tests of shape rules: a call of an op on types, with constants where a rule reads values.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "oxplow/ops/op.h"

namespace oxplow {

// InferCall("Concat").f32({2, 3}).f32({2, 4}).set("axis", int64_t{1}).text() is "f32[2, 7]".
class InferCall {
 public:
  explicit InferCall(const char* op, int outputs = 1) : op_(find_op(op)), outputs_(outputs) {}

  InferCall& in(DType dtype, const Shape& shape) {
    Operand operand;
    operand.type = {dtype, shape};
    operand.strides = dense_strides(shape);
    operand.present = true;
    inputs_.push_back(operand);
    constants_.emplace_back();
    return *this;
  }
  InferCall& f32(const Shape& shape) { return in(DType::f32, shape); }
  InferCall& constant(const Tensor& tensor) {
    in(tensor.dtype(), tensor.shape());
    constants_.back() = tensor;
    return *this;
  }
  InferCall& integers(std::vector<int64_t> values) {
    return constant(Tensor::of<int64_t>(values, Shape{static_cast<int64_t>(values.size())}));
  }
  InferCall& absent() {
    inputs_.emplace_back();
    constants_.emplace_back();
    return *this;
  }
  InferCall& set(const char* name, Attribute value) {
    attributes_.set(name, std::move(value));
    return *this;
  }

  Result<TensorTypes> infer() const {
    std::vector<Operand> inputs = inputs_;
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i].constant = constants_[i] ? &*constants_[i] : nullptr;
    return infer_types(*op_, {attributes_, inputs, outputs_});
  }

  // The types, "f32[2], f32[3]", or "error: message".
  std::string text() const {
    auto types = infer();
    if (!types.ok()) return "error: " + types.error().message;
    std::string result;
    for (const TensorType& type : *types) result += (result.empty() ? "" : ", ") + to_string(type);
    return result;
  }

 private:
  const OpSpec* op_;
  int outputs_;
  Attributes attributes_;
  std::vector<Operand> inputs_;
  std::vector<std::optional<Tensor>> constants_;  // beside inputs_
};

// The call must fail, with a message that contains `part`.
inline void expect_error(const InferCall& call, std::string_view part) {
  const std::string text = call.text();
  EXPECT_TRUE(text.starts_with("error: ")) << text;
  EXPECT_NE(text.find(part), std::string::npos) << text << " lacks: " << part;
}

}  // namespace oxplow
