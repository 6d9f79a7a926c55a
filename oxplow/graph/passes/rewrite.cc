#include "oxplow/graph/passes/rewrite.h"

#include "oxplow/ops/chain.h"

namespace oxplow::passes {

std::optional<float> scalar_constant(const Graph& graph, ValueId id) {
  const Tensor* value = graph.constant(id);
  if (value == nullptr || value->dtype() != DType::f32 || value->elements() != 1) return std::nullopt;
  return value->values<float>()[0];
}

bool is_elementwise(const Node& node) { return chain_step_of(*node.op, node.attributes).has_value(); }

std::vector<int64_t> permutation_of(const Graph& graph, const Node& transpose) {
  std::vector<int64_t> permutation = transpose.attributes.integers("perm");
  if (permutation.empty()) {
    for (int64_t i = graph.shape(transpose.inputs[0]).rank() - 1; i >= 0; --i) permutation.push_back(i);
  }
  return permutation;
}

bool is_identity(const std::vector<int64_t>& permutation) {
  for (size_t i = 0; i < permutation.size(); ++i) {
    if (permutation[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

Result<ValueId> transposed(Graph& graph, Graph::NodeIterator at, ValueId value, const std::vector<int64_t>& permutation) {
  std::vector<int64_t> whole = permutation;
  if (const Node* before = graph.producer(value, "Transpose")) {
    const auto first = permutation_of(graph, *before);
    for (int64_t& axis : whole) axis = first[static_cast<size_t>(axis)];
    value = before->inputs[0];
  }
  if (is_identity(whole)) return value;
  Attributes attributes;
  attributes.set("perm", whole);
  return graph.emit1(at, "Transpose", at == graph.nodes.end() ? "transpose" : at->name, {value}, std::move(attributes));
}

bool is_row_constant(const Graph& graph, ValueId id, int64_t n) {
  const Tensor* value = graph.constant(id);
  return value && value->dtype() == DType::f32 && value->elements() == n && !value->shape().empty() && value->shape().back() == n;
}

Result<ValueId> reshaped(Graph& graph, Graph::NodeIterator at, ValueId value, const Shape& shape) {
  if (graph.shape(value) == shape) return value;
  std::vector<int64_t> extents(shape.begin(), shape.end());
  const ValueId target = graph.add_constant(Tensor::of<int64_t>(extents, Shape{shape.rank()}), "shape");
  Attributes attributes;
  attributes.set("allowzero", int64_t{1});
  return graph.emit1(at, "Reshape", at == graph.nodes.end() ? "reshape" : at->name, {value, target}, std::move(attributes));
}

}  // namespace oxplow::passes
