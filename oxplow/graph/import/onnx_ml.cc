#include "oxplow/graph/import/onnx_ml.h"

#include <map>

namespace oxplow {
namespace {

Result<std::vector<double>> doubles_of(const Tensor& tensor, const std::string& name, bool& f64) {
  if (tensor.shape().rank() != 1)
    return Error{ErrorCode::invalid_model, name + " must have one axis, not those of " + to_string(tensor.type())};
  if (tensor.dtype() == DType::f64) {
    f64 = true;
    return std::vector<double>(tensor.values<double>().begin(), tensor.values<double>().end());
  }
  if (!is_float(tensor.dtype()))
    return Error{ErrorCode::invalid_model, name + " must be of floats, not " + to_string(tensor.type())};
  OXPLOW_ASSIGN(const Tensor floats, to_f32(tensor));
  return std::vector<double>(floats.values<float>().begin(), floats.values<float>().end());
}

}  // namespace

std::vector<std::string> text_list(const Attributes& attributes, std::string_view name) {
  const auto it = attributes.all().find(name);
  const auto* list = it == attributes.all().end() ? nullptr : std::get_if<std::vector<std::string>>(&it->second);
  return list == nullptr ? std::vector<std::string>{} : *list;
}

Result<std::vector<double>> real_list(const Attributes& attributes, const std::string& name, bool& f64) {
  if (const Tensor* tensor = attributes.tensor(name + "_as_tensor")) return doubles_of(*tensor, name + "_as_tensor", f64);
  const auto floats = attributes.numbers(name);
  return std::vector<double>(floats.begin(), floats.end());
}

Result<std::vector<double>> real_tensor(const Attributes& attributes, const std::string& name, bool& f64) {
  if (const Tensor* tensor = attributes.tensor(name)) return doubles_of(*tensor, name, f64);
  return Error{ErrorCode::invalid_model, name + " is missing or no tensor"};
}

Result<ValueId> transformed(Builder& b, ValueId scores, const std::string& transform) {
  static const std::map<std::string_view, std::string_view> kOps = {
      {"SOFTMAX", "Softmax"}, {"LOGISTIC", "Sigmoid"}, {"SOFTMAX_ZERO", "SoftmaxZero"}, {"PROBIT", "ProbitTransform"}};
  if (transform == "NONE" || transform.empty()) return scores;
  const auto op = kOps.find(transform);
  if (op == kOps.end()) return Error{ErrorCode::invalid_model, "post_transform is the unknown " + transform};
  return b.add1(op->second, {scores});
}

Result<ClassLabels> class_labels(Builder& b, const char* integers, const char* strings) {
  if (!text_list(b.node.attributes, strings).empty()) return Error{ErrorCode::unsupported, "labels that are strings"};
  const auto values = b.node.attributes.integers(integers);
  if (values.empty()) return missing(integers);
  ClassLabels labels{.count = values.size()};
  bool is_own_label = true;
  for (size_t i = 0; i < values.size(); ++i) is_own_label = is_own_label && values[i] == static_cast<int64_t>(i);
  if (!is_own_label) labels.values = b.integers(values);
  return labels;
}

ValueId to_floats(Builder& b, ValueId x) {
  Attributes attributes;
  attributes.set("to", static_cast<int64_t>(DType::f32));
  return b.add1("Cast", {x}, std::move(attributes));
}

Results labelled(Builder& b, ValueId classes, ValueId scores, const ClassLabels& labels, const std::string& transform) {
  const ValueId label = labels.values == kNoValue ? classes : b.add1("Gather", {labels.values, classes});
  OXPLOW_ASSIGN(const ValueId final_scores, transformed(b, scores, transform));
  return std::vector<ValueId>{label, final_scores};
}

Results classified(Builder& b, ValueId scores, const ClassLabels& labels, const std::string& binary,
                   const std::string& transform) {
  Attributes attributes;
  if (!binary.empty()) attributes.set("binary", binary);
  const auto chosen = b.add("Classify", {scores}, std::move(attributes), 2);
  return labelled(b, chosen[0], chosen[1], labels, transform);
}

}  // namespace oxplow
