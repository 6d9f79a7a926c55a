#pragma once
// What the rules of import are written with: a builder that appends nodes, and the form of a rule.

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "oxplow/graph/import/onnx_ops.h"

namespace oxplow {

using Results = Result<std::vector<ValueId>>;

class Builder {
 public:
  Builder(Graph& into, const OnnxNode& from) : graph(into), node(from) {}

  // Appends a node; types are inferred later, when the inputs' are known.
  std::vector<ValueId> add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}, int outputs = 1) {
    const OpSpec* spec = find_op(op);
    OXPLOW_CHECK(spec != nullptr);
    Node& placed = graph.nodes.emplace_back(
        Node{.op = spec, .name = node.name, .attributes = std::move(attributes), .inputs = std::move(inputs), .outputs = {}});
    for (int i = 0; i < outputs; ++i) {
      placed.outputs.push_back(graph.add_value(node.name));
      graph[placed.outputs.back()].producer = &placed;
    }
    return placed.outputs;
  }
  ValueId add1(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return add(op, std::move(inputs), std::move(attributes))[0];
  }
  ValueId integers(const std::vector<int64_t>& values) {
    return graph.add_constant(Tensor::of<int64_t>(values, Shape{static_cast<int64_t>(values.size())}), node.name + ":axes");
  }
  // A scalar that is f32, or of the type that `like` turns out to have.
  ValueId number_like(float value, ValueId like) { return add1("CastLike", {number(value), like}); }
  ValueId number(float value) { return graph.add_constant(Tensor::scalar<float>(value), node.name + ":number"); }
  ValueId transpose(ValueId value, std::vector<int64_t> perm) {
    Attributes attributes;
    attributes.set("perm", std::move(perm));
    return add1("Transpose", {value}, std::move(attributes));
  }
  ValueId to_nhwc(ValueId value) { return transpose(value, {0, 2, 3, 1}); }
  ValueId to_nchw(ValueId value) { return transpose(value, {0, 3, 1, 2}); }

  Graph& graph;
  const OnnxNode& node;
};

inline Error missing(std::string_view what) { return {ErrorCode::invalid_model, std::string(what) + " is missing"}; }

template <size_t kSize>
struct Literal {
  constexpr Literal(const char (&text)[kSize]) { std::copy_n(text, kSize, value); }
  char value[kSize];
};

// How one ONNX op is said in our ops. One of another domain than ONNX's own is named with it: "ai.onnx.ml.Scaler".
using Rule = Results (*)(Builder&);
struct NamedRule {
  std::string_view op;
  Rule rule;
};

// The same name, inputs and attributes.
Results same(Builder& b);
// Another name for it.
template <Literal kOp>
Results renamed(Builder& b) {
  return b.add(kOp.value, b.node.inputs, b.node.attributes, b.node.outputs);
}
// The node's attributes, but `name`, where given, an element type of ours instead of ONNX's number for it.
Result<Attributes> attributes_with_dtype(const Builder& b, std::string_view name);
// The same op with such an attribute.
template <Literal kAttribute>
Results with_dtype(Builder& b) {
  OXPLOW_ASSIGN(Attributes attributes, attributes_with_dtype(b, kAttribute.value));
  return b.add(b.node.op, b.node.inputs, std::move(attributes), b.node.outputs);
}
// Ops whose axes were an attribute before they became input 1.
Results axes_as_input(Builder& b);

// Families of rules that have files of their own; onnx_ops.cc has the others and joins them.
std::span<const NamedRule> image_rules();
std::span<const NamedRule> movement_rules();
std::span<const NamedRule> number_rules();
std::span<const NamedRule> quantization_rules();
std::span<const NamedRule> sequence_rules();
std::span<const NamedRule> signal_rules();
// Of ai.onnx.ml.
std::span<const NamedRule> feature_rules();
std::span<const NamedRule> linear_rules();
std::span<const NamedRule> tree_rules();
std::span<const NamedRule> control_rules();

}  // namespace oxplow
