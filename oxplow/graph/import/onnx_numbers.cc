// Import of what computes with numbers of any type: elementwise functions that are said in others, and functions of rows.

#include <cmath>

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

// Opsets that let a test leave out a sign compare with the other infinity, or, where both are out, with what nothing equals.
Results is_inf(Builder& b) {
  const bool negative = b.node.attributes.integer("detect_negative", 1) != 0;
  const bool positive = b.node.attributes.integer("detect_positive", 1) != 0;
  const ValueId x = b.node.input(0);
  if (x == kNoValue) return missing("the input");
  if (negative && positive) return b.add("IsInf", {x});
  return b.add("Equal", {x, b.number_like(negative ? -INFINITY : positive ? INFINITY : NAN, x)});
}

// x sigmoid(alpha x)
ValueId swish_of(Builder& b, ValueId x) {
  const float alpha = b.node.attributes.number("alpha", 1);
  if (alpha == 1) return b.add1("Silu", {x});
  return b.add1("Mul", {x, b.add1("Sigmoid", {b.add1("Mul", {x, b.number_like(alpha, x)})})});
}

Results swish(Builder& b) {
  if (b.node.input(0) == kNoValue) return missing("the input");
  return std::vector<ValueId>{swish_of(b, b.node.input(0))};
}

Results swiglu(Builder& b) {
  if (b.node.input(0) == kNoValue || b.node.input(1) == kNoValue) return missing("an input");
  return b.add("Mul", {swish_of(b, b.node.input(0)), b.node.input(1)});
}

template <Literal kOp>
Results variadic(Builder& b) {
  if (b.node.inputs.empty()) return missing("every input");
  ValueId y = b.node.inputs[0];
  for (size_t i = 1; i < b.node.inputs.size(); ++i) y = b.add1(kOp.value, {y, b.node.inputs[i]});
  if (b.node.op == "Mean") y = b.add1("Div", {y, b.number_like(static_cast<float>(b.node.inputs.size()), y)});
  return std::vector<ValueId>{y};
}

// Softmax and the like: before opset 13 all axes from this one on are one row.
Results row_axis(Builder& b) {
  Attributes attributes = b.node.attributes;
  if (b.node.opset < 13) {
    attributes.set("axis", b.node.attributes.integer("axis", 1));
    attributes.set("coerce", int64_t{1});
  }
  return b.add(b.node.op, b.node.inputs, std::move(attributes));
}

// The loss of the logarithm of the softmax over axis 1, which is output 1.
Results softmax_cross_entropy(Builder& b) {
  if (b.node.input(0) == kNoValue || b.node.input(1) == kNoValue) return missing("the scores or the classes");
  Attributes axis;
  axis.set("axis", int64_t{1});
  const ValueId log_probabilities = b.add1("LogSoftmax", {b.node.inputs[0]}, std::move(axis));
  std::vector<ValueId> inputs = b.node.inputs;
  inputs[0] = log_probabilities;
  return std::vector<ValueId>{b.add1("NegativeLogLikelihoodLoss", std::move(inputs), b.node.attributes), log_probabilities};
}

// (x - mean) / (deviation + 1e-9) over the axes, by default all but the channels' of images.
Results mean_variance(Builder& b) {
  const ValueId x = b.node.input(0);
  if (x == kNoValue) return missing("the input");
  const ValueId axes = b.integers(b.node.attributes.integers("axes", {0, 2, 3}));
  const ValueId centered = b.add1("Sub", {x, b.add1("ReduceMean", {x, axes})});
  const ValueId variance = b.add1("ReduceMean", {b.add1("Mul", {centered, centered}), axes});
  const ValueId deviation = b.add1("Sqrt", {variance});
  return b.add("Div", {centered, b.add1("Add", {deviation, b.number_like(1e-9f, deviation)})});
}

// Inference, which opset 7 to 11 mean always and later ones where input 2 is left out: everything stays.
Results dropout(Builder& b) {
  const ValueId x = b.node.input(0);
  if (x == kNoValue) return missing("the input");
  if (b.node.input(2) != kNoValue) return b.add("Dropout", b.node.inputs, b.node.attributes, b.node.outputs);
  std::vector<ValueId> results = b.add("Identity", {x});
  if (b.node.outputs > 1) {
    Attributes all;
    all.set("value", Tensor::scalar<bool>(true));
    results.push_back(b.add1("ConstantOfShape", {b.add1("Shape", {x})}, std::move(all)));
  }
  return results;
}

constexpr NamedRule kRules[] = {
    {"ArgMax", same},
    {"ArgMin", same},
    {"Bernoulli", with_dtype<"dtype">},
    {"BitCast", with_dtype<"to">},
    {"BitShift", same},
    {"BitwiseAnd", same},
    {"BitwiseNot", same},
    {"BitwiseOr", same},
    {"BitwiseXor", same},
    {"Cast", with_dtype<"to">},
    {"CastLike", same},
    {"CumProd", same},
    {"CumSum", same},
    {"Det", same},
    {"Dropout", dropout},
    {"Einsum", same},
    {"GroupNormalization", same},
    {"Hardmax", row_axis},
    {"InstanceNormalization", same},
    {"IsInf", is_inf},
    {"LRN", same},
    {"LogSoftmax", row_axis},
    {"LpNormalization", same},
    {"Max", variadic<"Maximum">},
    {"Mean", variadic<"Add">},
    {"MeanVarianceNormalization", mean_variance},
    {"Min", variadic<"Minimum">},
    {"Multinomial", with_dtype<"dtype">},
    {"NegativeLogLikelihoodLoss", same},
    {"RMSNormalization", same},
    {"RandomNormal", with_dtype<"dtype">},
    {"RandomNormalLike", with_dtype<"dtype">},
    {"RandomUniform", with_dtype<"dtype">},
    {"RandomUniformLike", with_dtype<"dtype">},
    {"Softmax", row_axis},
    {"SoftmaxCrossEntropyLoss", softmax_cross_entropy},
    {"Sum", variadic<"Add">},
    {"SwiGLU", swiglu},
    {"Swish", swish},
};

}  // namespace

std::span<const NamedRule> number_rules() { return kRules; }

}  // namespace oxplow
