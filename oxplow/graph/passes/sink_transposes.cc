// One layout: transpositions move down through ops that do not mind (f(T(x)) becomes T(f(x))) until they meet their inverse, and vanish.
// What importers bracket around each image op thereby leaves one transposition at the network's entry.

#include <algorithm>

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

using Permutation = std::vector<int64_t>;

Permutation inverse(const Permutation& p) {
  Permutation result(p.size());
  for (size_t i = 0; i < p.size(); ++i) result[static_cast<size_t>(p[i])] = static_cast<int64_t>(i);
  return result;
}

// The permutation that the inputs share: at least one input is transposed, the others alike, or constants or of one element.
std::optional<Permutation> shared_permutation(const Graph& graph, const Node& node, int rank) {
  std::optional<Permutation> shared;
  for (ValueId id : node.inputs) {
    if (id == kNoValue) return std::nullopt;
    const Node* transpose = graph.producer(id, "Transpose");
    if (transpose && graph.shape(id).rank() == rank) {
      const Permutation p = permutation_of(graph, *transpose);
      if (shared && *shared != p) return std::nullopt;
      shared = p;
    } else if (!graph.constant(id) && elements_of(graph.shape(id)) != 1) {
      return std::nullopt;
    }
  }
  return shared;
}

// An input as the op sees it above the transposition.
Result<ValueId> lifted(Graph& graph, Graph::NodeIterator at, ValueId id, const Permutation& p) {
  const int rank = static_cast<int>(p.size());
  Shape shape = graph.shape(id);
  if (shape.rank() == 0 || elements_of(shape) == 1) return id;
  while (shape.rank() < rank) shape.insert(0, 1);
  OXPLOW_ASSIGN(const ValueId whole, reshaped(graph, at, id, shape));
  return transposed(graph, at, whole, inverse(p));
}

// One-element inputs of full rank would keep the result's rank anyway; those of higher rank than the op's do not occur.
Result<bool> sink_elementwise(Graph& graph, Graph::NodeIterator at) {
  Node& node = *at;
  const int rank = graph.shape(node.outputs[0]).rank();
  const auto p = shared_permutation(graph, node, rank);
  if (!p) return false;
  std::vector<ValueId> inputs;
  for (ValueId id : node.inputs) {
    OXPLOW_ASSIGN(const ValueId input, lifted(graph, at, id, *p));
    inputs.push_back(input);
  }
  OXPLOW_ASSIGN(const ValueId y, graph.emit1(at, node.op->name, node.name, inputs, node.attributes));
  OXPLOW_ASSIGN(const ValueId back, transposed(graph, at, y, *p));
  graph.replace_uses(node.outputs[0], back);
  return true;
}

Result<bool> sink_concat(Graph& graph, Graph::NodeIterator at) {
  Node& node = *at;
  const int rank = graph.shape(node.outputs[0]).rank();
  const auto p = shared_permutation(graph, node, rank);
  if (!p) return false;
  std::vector<ValueId> inputs;
  for (ValueId id : node.inputs) {
    OXPLOW_ASSIGN(const ValueId input, transposed(graph, at, id, inverse(*p)));
    inputs.push_back(input);
  }
  int64_t axis = node.attributes.integer("axis", 0);
  Attributes attributes;
  attributes.set("axis", (*p)[static_cast<size_t>(axis < 0 ? axis + rank : axis)]);
  OXPLOW_ASSIGN(const ValueId y, graph.emit1(at, "Concat", node.name, inputs, std::move(attributes)));
  OXPLOW_ASSIGN(const ValueId back, transposed(graph, at, y, *p));
  graph.replace_uses(node.outputs[0], back);
  return true;
}

// The axes that a reduction reduces, where they are known.
std::optional<std::vector<int64_t>> reduced_axes(const Graph& graph, const Node& node, int rank) {
  std::vector<int64_t> axes;
  for (int64_t i = node.attributes.integer("first_axis", rank); i < rank; ++i) axes.push_back(i);
  if (node.input(1) != kNoValue) {
    if (!graph.constant(node.input(1))) return std::nullopt;
    for (int64_t a : to_int64s(*graph.constant(node.input(1)))) axes.push_back(a < 0 ? a + rank : a);
  }
  return axes.empty() ? std::nullopt : std::optional(axes);
}

Result<bool> sink_reduction(Graph& graph, Graph::NodeIterator at) {
  Node& node = *at;
  const Node* transpose = graph.producer(node.inputs[0], "Transpose");
  const int rank = graph.shape(node.inputs[0]).rank();
  const auto axes = reduced_axes(graph, node, rank);
  if (!transpose || !axes) return false;
  const Permutation p = permutation_of(graph, *transpose);
  std::vector<int64_t> above;
  for (int64_t a : *axes) above.push_back(p[static_cast<size_t>(a)]);
  Attributes attributes = node.attributes;
  attributes.erase("first_axis");
  const ValueId axes_value = graph.add_constant(Tensor::of<int64_t>(above, Shape{static_cast<int64_t>(above.size())}), "axes");
  OXPLOW_ASSIGN(ValueId y, graph.emit1(at, node.op->name, node.name, {transpose->inputs[0], axes_value}, attributes));
  Permutation back;
  if (attributes.integer("keepdims", 1) != 0) {
    back = p;
  } else {
    // What is left of the axes, in their new order: ranks among the axes that stay.
    const auto gone = [&](int64_t axis) { return std::find(above.begin(), above.end(), axis) != above.end(); };
    for (int64_t axis : p) {
      if (gone(axis)) continue;
      int64_t place = 0;
      for (int64_t other = 0; other < axis; ++other) place += gone(other) ? 0 : 1;
      back.push_back(place);
    }
  }
  OXPLOW_ASSIGN(y, transposed(graph, at, y, back));
  graph.replace_uses(node.outputs[0], y);
  return true;
}

}  // namespace

Result<bool> sink_transposes(Graph& graph, const PassContext&) {
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    bool moved = false;
    if (it->is("Transpose") && graph.producer(it->inputs[0], "Transpose")) {
      OXPLOW_ASSIGN(const ValueId composed, transposed(graph, it, it->inputs[0], permutation_of(graph, *it)));
      graph.replace_uses(it->outputs[0], composed);
      moved = true;
    } else if (is_elementwise(*it) || it->is("Cast")) {
      OXPLOW_ASSIGN(moved, sink_elementwise(graph, it));
    } else if (it->is("Concat")) {
      OXPLOW_ASSIGN(moved, sink_concat(graph, it));
    } else if (std::string_view(it->op->name).starts_with("Reduce")) {
      OXPLOW_ASSIGN(moved, sink_reduction(graph, it));
    }
    changed = changed || moved;
  }
  return changed;
}

}  // namespace oxplow::passes
