#pragma once
// What the rules of ai.onnx.ml share: numbers that stand in two forms, transformed scores, classes and their labels.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {

// The list of strings `name`, or nothing.
std::vector<std::string> text_list(const Attributes& attributes, std::string_view name);
// The list of floats `name`, or the tensor of f32 or f64 `name`_as_tensor; `f64` becomes true if it is of f64. Absent: empty.
Result<std::vector<double>> real_list(const Attributes& attributes, const std::string& name, bool& f64);
// The tensor of f16, f32 or f64 `name`.
Result<std::vector<double>> real_tensor(const Attributes& attributes, const std::string& name, bool& f64);

// Scores after one of ONNX's post_transforms: NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT.
Result<ValueId> transformed(Builder& b, ValueId scores, const std::string& transform);

// The labels of classes, in their order.
struct ClassLabels {
  size_t count = 0;
  ValueId values = kNoValue;  // kNoValue: a class is its own label
};
// One of the two attributes must be there.
Result<ClassLabels> class_labels(Builder& b, const char* integers, const char* strings);

// x in f32.
ValueId to_floats(Builder& b, ValueId x);

// The outputs of a classifier from the numbers of classes and their scores.
Results labelled(Builder& b, ValueId classes, ValueId scores, const ClassLabels& labels, const std::string& transform);
// The outputs of a classifier: labels [N], and transformed scores of all classes. `binary` is that of the op Classify.
Results classified(Builder& b, ValueId scores, const ClassLabels& labels, const std::string& binary,
                   const std::string& transform);

}  // namespace oxplow
