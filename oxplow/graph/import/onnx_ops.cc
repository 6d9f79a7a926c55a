// How each ONNX op is said in our ops. Most have the same name and meaning; rows with a function of their own upgrade old opsets,
// turn images to NHWC, or spell the op out.

#include "oxplow/graph/import/onnx_ops.h"

#include <cmath>
#include <map>

#include "oxplow/formats/onnx.h"
#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

template <Literal kOp>
Results renamed(Builder& b) {
  return b.add(kOp.value, b.node.inputs, b.node.attributes, b.node.outputs);
}

Results identity(Builder& b) {
  if (b.node.inputs.empty()) return missing("the input");
  return b.add("Identity", {b.node.inputs[0]});
}

Results constant(Builder& b) {
  const Attributes& a = b.node.attributes;
  Tensor value;
  if (const Tensor* given = a.tensor("value")) {
    value = *given;
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
    return Error{ErrorCode::unsupported, "a Constant that is a string or sparse"};
  }
  return std::vector<ValueId>{b.graph.add_constant(std::move(value), b.node.name)};
}

// Images: one spatial axis is a height of 1.
struct Image {
  bool signal = false;
  ValueId value = kNoValue;
};

Results finish_image(Builder& b, ValueId nhwc, bool signal) {
  const ValueId nchw = b.to_nchw(nhwc);
  return std::vector<ValueId>{signal ? b.add1("Squeeze", {nchw, b.integers({2})}) : nchw};
}

// Attributes of a window over a signal, as over an image of height 1.
Attributes image_attributes(Attributes attributes, bool signal) {
  if (!signal) return attributes;
  const auto widen = [&](const char* name, int64_t value) {
    if (auto v = attributes.integers(name); v.size() == 1) attributes.set(name, std::vector<int64_t>{value, v[0]});
  };
  widen("kernel_shape", 1);
  widen("strides", 1);
  widen("dilations", 1);
  if (auto v = attributes.integers("pads"); v.size() == 2) attributes.set("pads", std::vector<int64_t>{0, v[0], 0, v[1]});
  return attributes;
}

Results conv(Builder& b) {
  const ValueId w = b.node.input(1);
  if (b.node.input(0) == kNoValue || w == kNoValue) return missing("the input or the weights");
  size_t axes = b.node.attributes.integers("kernel_shape").size();
  if (axes == 0 && b.graph.constant(w)) axes = b.graph.constant(w)->shape().size() - 2;
  if (axes != 1 && axes != 2) return Error{ErrorCode::unsupported, "convolution over " + std::to_string(axes) + " axes"};
  const bool signal = axes == 1;
  const auto as_image = [&](ValueId v) { return signal ? b.add1("Unsqueeze", {v, b.integers({2})}) : v; };
  const ValueId x = b.to_nhwc(as_image(b.node.inputs[0]));
  std::vector<ValueId> inputs{x, as_image(w)};
  if (b.node.input(2) != kNoValue) inputs.push_back(b.node.inputs[2]);
  return finish_image(b, b.add1("Conv", std::move(inputs), image_attributes(b.node.attributes, signal)), signal);
}

Results pool(Builder& b) {
  const size_t axes = b.node.attributes.integers("kernel_shape").size();
  if (axes != 1 && axes != 2) return Error{ErrorCode::unsupported, "pooling over " + std::to_string(axes) + " axes"};
  if (b.node.outputs > 1 || b.node.inputs.empty()) return Error{ErrorCode::unsupported, "MaxPool's second output (indices)"};
  const bool signal = axes == 1;
  const ValueId x = signal ? b.add1("Unsqueeze", {b.node.inputs[0], b.integers({2})}) : b.node.inputs[0];
  return finish_image(b, b.add1(b.node.op, {b.to_nhwc(x)}, image_attributes(b.node.attributes, signal)), signal);
}

template <Literal kReduction>
Results global_pool(Builder& b) {
  Attributes attributes;
  attributes.set("first_axis", int64_t{2});
  return b.add(kReduction.value, b.node.inputs, std::move(attributes));
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
        {"AveragePool", pool},
        {"BatchNormalization", batch_norm},
        {"Ceil", same},
        {"Celu", same},
        {"Clip", clip},
        {"Constant", constant},
        {"Conv", conv},
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
        {"GlobalAveragePool", global_pool<"ReduceMean">},
        {"GlobalMaxPool", global_pool<"ReduceMax">},
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
        {"MaxPool", pool},
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
    for (auto family : {movement_rules, number_rules, quantization_rules}) {
      for (const NamedRule& row : family()) all.emplace(row.op, row.rule);
    }
    return all;
  }();
  return table;
}

}  // namespace

bool onnx_op_known(std::string_view op) { return rules().contains(op); }

Results import_onnx_node(Graph& graph, const OnnxNode& node) {
  if (node.opset == 6) OXPLOW_TRY(check_meaning_in_opset_6(graph, node));
  Builder builder(graph, node);
  return rules().at(node.op)(builder);
}

}  // namespace oxplow
