// How each ONNX op is said in our ops. Most have the same name and meaning; rows with a function of their own upgrade old opsets,
// turn images to NHWC, or spell the op out.

#include "oxplow/graph/import/onnx_ops.h"

#include <cmath>
#include <map>

#include "oxplow/formats/onnx.h"
#include "oxplow/graph/import/onnx_builder.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

Results identity(Builder& b) {
  if (b.node.inputs.empty()) return missing("the input");
  return b.add("Identity", {b.node.inputs[0]});
}

Results constant(Builder& b) {
  const Attributes& a = b.node.attributes;
  Tensor value;
  if (const Tensor* given = a.tensor(a.has("sparse_value") ? "sparse_value" : "value")) {
    value = *given;
  } else if (a.has("value_string")) {
    value = string_tensor({a.text("value_string", "")}, Shape{});
  } else if (a.has("value_strings")) {
    const auto v = a.texts("value_strings");
    value = string_tensor(v, Shape{static_cast<int64_t>(v.size())});
  } else if (a.has("value_float")) {
    value = Tensor::scalar<float>(a.number("value_float", 0));
  } else if (a.has("value_int")) {
    value = Tensor::scalar<int64_t>(a.integer("value_int", 0));
  } else if (a.has("value_ints")) {
    const auto v = a.integers("value_ints");
    value = Tensor::of<int64_t>(v, Shape{static_cast<int64_t>(v.size())});
  } else if (a.has("value_floats")) {
    const auto v = a.numbers("value_floats");
    value = Tensor::of<float>(v, Shape{static_cast<int64_t>(v.size())});
  } else {
    return missing("the value");
  }
  return std::vector<ValueId>{b.graph.add_constant(std::move(value), b.node.name)};
}

Results batch_norm(Builder& b) {
  if (b.node.inputs.size() < 5) return missing("scale, bias, mean or variance");
  if (b.node.attributes.integer("training_mode", 0) != 0)
    return Error{ErrorCode::unsupported, "BatchNormalization in training mode"};
  return b.add("BatchNormalization", b.node.inputs, b.node.attributes);
}

// y = alpha a b + beta c
Results gemm(Builder& b) {
  if (b.node.input(0) == kNoValue || b.node.input(1) == kNoValue) return missing("a matrix");
  const Attributes& given = b.node.attributes;
  const ValueId a = given.integer("transA", 0) ? b.transpose(b.node.inputs[0], {1, 0}) : b.node.inputs[0];
  Attributes attributes;
  attributes.set("trans_w", given.integer("transB", 0));
  ValueId y = b.add1("Linear", {a, b.node.inputs[1]}, std::move(attributes));
  if (const float alpha = given.number("alpha", 1); alpha != 1) y = b.add1("Mul", {y, b.number_like(alpha, y)});
  if (ValueId c = b.node.input(2); c != kNoValue) {
    if (const float beta = given.number("beta", 1); beta != 1) c = b.add1("Mul", {c, b.number_like(beta, c)});
    y = b.add1("Add", {y, c});
  }
  return std::vector<ValueId>{y};
}

Results clip(Builder& b) {
  const Attributes& given = b.node.attributes;
  if (b.node.inputs.empty()) return missing("the input");
  float low = given.number("min", -INFINITY), high = given.number("max", INFINITY);
  ValueId x = b.node.inputs[0];
  for (size_t i : {size_t{1}, size_t{2}}) {
    const ValueId limit = b.node.input(i);
    if (limit == kNoValue) continue;
    const Tensor* known = b.graph.constant(limit);
    if (known && known->dtype() == DType::f32 && known->elements() == 1) {
      (i == 1 ? low : high) = known->values<float>()[0];
    } else {
      x = b.add1(i == 1 ? "Maximum" : "Minimum", {x, limit});
    }
  }
  if (low == -INFINITY && high == INFINITY) return b.add("Identity", {x});
  Attributes attributes;
  attributes.set("alpha", low);
  attributes.set("beta", high);
  return b.add("ClipTo", {x}, std::move(attributes));
}

Results gelu(Builder& b) {
  return b.add(b.node.attributes.text("approximate", "none") == "tanh" ? "GeluTanh" : "Gelu", b.node.inputs);
}

Results mod(Builder& b) { return b.add(b.node.attributes.integer("fmod", 0) ? "Fmod" : "FloorMod", b.node.inputs); }

const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> table = [] {
    std::map<std::string_view, Rule> all = {
        {"Abs", same},
        {"Acos", same},
        {"Acosh", same},
        {"Add", same},
        {"And", same},
        {"Asin", same},
        {"Asinh", same},
        {"Atan", same},
        {"Atanh", same},
        {"BatchNormalization", batch_norm},
        {"Ceil", same},
        {"Celu", same},
        {"Clip", clip},
        {"Constant", constant},
        {"Cos", same},
        {"Cosh", same},
        {"Div", same},
        {"Elu", same},
        {"Equal", same},
        {"Erf", same},
        {"Exp", same},
        {"Floor", same},
        {"Gelu", gelu},
        {"Gemm", gemm},
        {"Greater", same},
        {"GreaterOrEqual", same},
        {"HardSigmoid", same},
        {"HardSwish", same},
        {"Identity", identity},
        {"IsNaN", same},
        {"LayerNormalization", same},
        {"LeakyRelu", same},
        {"Less", same},
        {"LessOrEqual", same},
        {"Log", same},
        {"MatMul", same},
        {"Mish", same},
        {"Mod", mod},
        {"Mul", same},
        {"Neg", same},
        {"Not", same},
        {"Or", same},
        {"PRelu", same},
        {"Pow", same},
        {"Reciprocal", same},
        {"ReduceL1", axes_as_input},
        {"ReduceL2", axes_as_input},
        {"ReduceLogSum", axes_as_input},
        {"ReduceLogSumExp", axes_as_input},
        {"ReduceMax", axes_as_input},
        {"ReduceMean", axes_as_input},
        {"ReduceMin", axes_as_input},
        {"ReduceProd", axes_as_input},
        {"ReduceSum", axes_as_input},
        {"ReduceSumSquare", axes_as_input},
        {"Relu", same},
        {"Round", same},
        {"Selu", same},
        {"Shrink", same},
        {"Sigmoid", same},
        {"Sign", same},
        {"Sin", same},
        {"Sinh", same},
        {"Softplus", same},
        {"Softsign", same},
        {"Sqrt", same},
        {"Sub", same},
        {"Tan", same},
        {"Tanh", same},
        {"ThresholdedRelu", same},
        {"Where", renamed<"Select">},
        {"Xor", same},
    };
    for (auto family : {image_rules, movement_rules, number_rules, quantization_rules, sequence_rules, signal_rules,
                        feature_rules, linear_rules, tree_rules, control_rules}) {
      for (const NamedRule& row : family()) all.emplace(row.op, row.rule);
    }
    return all;
  }();
  return table;
}

}  // namespace

std::string full_name(std::string_view domain, std::string_view op) {
  return (domain.empty() ? "" : std::string(domain) + ".") + std::string(op);
}

bool onnx_op_known(std::string_view domain, std::string_view op) { return rules().contains(full_name(domain, op)); }

Results import_onnx_node(Graph& graph, const OnnxNode& node) {
  if (node.opset == 6 && node.domain.empty()) OXPLOW_TRY(check_meaning_in_opset_6(graph, node));
  Builder builder(graph, node);
  return rules().at(full_name(node.domain, node.op))(builder);
}

}  // namespace oxplow
