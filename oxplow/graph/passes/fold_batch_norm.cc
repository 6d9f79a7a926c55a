// BatchNormalization after a convolution becomes part of its weights and bias; elsewhere it becomes a multiplication and an addition.
//   scale' = scale / sqrt(variance + epsilon), shift = bias - mean * scale'

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

struct ScaleShift {
  ValueId scale, shift;  // [C]
};

Result<ScaleShift> scale_and_shift(Graph& graph, Graph::NodeIterator at) {
  const Node& bn = *at;
  ValueId epsilon = graph.add_constant(Tensor::scalar<float>(bn.attributes.number("epsilon", 1e-5f)), "epsilon");
  if (graph.dtype(bn.inputs[4]) != DType::f32) {
    OXPLOW_ASSIGN(epsilon, graph.emit1(at, "CastLike", bn.name, {epsilon, bn.inputs[4]}));
  }
  OXPLOW_ASSIGN(ValueId v, graph.emit1(at, "Add", bn.name, {bn.inputs[4], epsilon}));
  OXPLOW_ASSIGN(v, graph.emit1(at, "Sqrt", bn.name, {v}));
  OXPLOW_ASSIGN(const ValueId scale, graph.emit1(at, "Div", bn.name, {bn.inputs[1], v}));
  OXPLOW_ASSIGN(v, graph.emit1(at, "Mul", bn.name, {bn.inputs[3], scale}));
  OXPLOW_ASSIGN(const ValueId shift, graph.emit1(at, "Sub", bn.name, {bn.inputs[2], v}));
  return ScaleShift{scale, shift};
}

// The convolution whose only reader is this BatchNormalization, through one transposition to NCHW.
Node* convolution_before(const Graph& graph, const Node& bn, const std::vector<int>& uses) {
  const auto once = [&](ValueId id) { return uses[static_cast<size_t>(id)] == 1; };
  Node* transpose = graph.producer(bn.inputs[0], "Transpose");
  if (!transpose || !once(transpose->outputs[0]) || permutation_of(graph, *transpose) != std::vector<int64_t>{0, 3, 1, 2})
    return nullptr;
  Node* conv = graph.producer(transpose->inputs[0], "Conv");
  return conv && once(conv->outputs[0]) && graph.constant(conv->inputs[1]) ? conv : nullptr;
}

Result<ValueId> folded(Graph& graph, Graph::NodeIterator at, const Node& conv, const ScaleShift& bn) {
  const int64_t filters = graph.shape(bn.scale)[0];
  OXPLOW_ASSIGN(const ValueId column, reshaped(graph, at, bn.scale, Shape{filters, 1, 1, 1}));
  OXPLOW_ASSIGN(const ValueId w, graph.emit1(at, "Mul", conv.name, {conv.inputs[1], column}));
  ValueId bias = bn.shift;
  if (conv.input(2) != kNoValue) {
    OXPLOW_ASSIGN(const ValueId scaled, graph.emit1(at, "Mul", conv.name, {conv.inputs[2], bn.scale}));
    OXPLOW_ASSIGN(bias, graph.emit1(at, "Add", conv.name, {scaled, bn.shift}));
  }
  OXPLOW_ASSIGN(const ValueId y, graph.emit1(at, "Conv", conv.name, {conv.inputs[0], w, bias}, conv.attributes));
  return transposed(graph, at, y, {0, 3, 1, 2});
}

Result<ValueId> spelled_out(Graph& graph, Graph::NodeIterator at, const ScaleShift& bn) {
  const Node& node = *at;
  const Shape& x = graph.shape(node.inputs[0]);
  Shape column = Shape::filled(x.rank() - 1, 1);
  column[0] = x[1];
  OXPLOW_ASSIGN(const ValueId scale, reshaped(graph, at, bn.scale, column));
  OXPLOW_ASSIGN(const ValueId shift, reshaped(graph, at, bn.shift, column));
  OXPLOW_ASSIGN(const ValueId y, graph.emit1(at, "Mul", node.name, {node.inputs[0], scale}));
  return graph.emit1(at, "Add", node.name, {y, shift});
}

}  // namespace

Result<bool> fold_batch_norm(Graph& graph, const PassContext&) {
  const auto uses = graph.use_counts();
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (!it->is("BatchNormalization")) continue;
    const Node* conv = convolution_before(graph, *it, uses);
    OXPLOW_ASSIGN(const ScaleShift bn, scale_and_shift(graph, it));
    OXPLOW_ASSIGN(const ValueId y, conv ? folded(graph, it, *conv, bn) : spelled_out(graph, it, bn));
    graph.replace_uses(it->outputs[0], y);
    changed = true;
  }
  return changed;
}

}  // namespace oxplow::passes
