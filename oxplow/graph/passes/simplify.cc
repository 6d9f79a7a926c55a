// Drops ops that change nothing, and says matrix products with constant weights as Linear.

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

// Whether the node's output 0 equals its input 0 as it is.
bool changes_nothing(const Graph& graph, const Node& node) {
  if (node.outputs.size() != 1 || node.inputs.empty()) return false;
  const TensorType &from = graph[node.inputs[0]].type, &to = graph[node.outputs[0]].type;
  if (!(from == to)) return false;
  const std::string_view op = node.op->name;
  if (op == "Identity" || op == "Cast" || op == "Reshape" || op == "Expand" || op == "Flatten" || op == "Squeeze") return true;
  if (op == "Transpose") return is_identity(permutation_of(graph, node));
  if (op == "Slice") return true;  // same extents: every element is there...
  return op == "Concat" && node.inputs.size() == 1;
}

// ... unless a negative step turned the order round.
bool reverses(const Graph& graph, const Node& node) {
  if (!node.is("Slice") || node.input(4) == kNoValue) return false;
  const Tensor* steps = graph.constant(node.input(4));
  if (steps == nullptr) return true;
  for (int64_t step : to_int64s(*steps)) {
    if (step < 0) return true;
  }
  return false;
}

bool is_linear(const Graph& graph, const Node& node) {
  return node.is("MatMul") && graph.constant(node.inputs[1]) && graph.shape(node.inputs[1]).rank() == 2 &&
         graph.dtype(node.inputs[1]) == DType::f32;
}

}  // namespace

Result<bool> simplify(Graph& graph, const PassContext&) {
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (changes_nothing(graph, *it) && !reverses(graph, *it)) {
      graph.replace_uses(it->outputs[0], it->inputs[0]);
      changed = true;
    } else if (it->is("Transpose") && graph.producer(it->inputs[0], "Transpose")) {
      OXPLOW_ASSIGN(const ValueId composed, transposed(graph, it, it->inputs[0], permutation_of(graph, *it)));
      graph.replace_uses(it->outputs[0], composed);
      changed = true;
    } else if (is_linear(graph, *it)) {
      OXPLOW_ASSIGN(const ValueId y, graph.emit1(it, "Linear", it->name, it->inputs));
      graph.replace_uses(it->outputs[0], y);
      changed = true;
    }
  }
  return changed;
}

// Once more, after other passes left identities behind.
Result<bool> tidy(Graph& graph, const PassContext& context) { return simplify(graph, context); }

}  // namespace oxplow::passes
