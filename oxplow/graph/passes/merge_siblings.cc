// Linear nodes that read the same tensor become one with their weights side by side (query, key and value; gate and up): the input is
// read once and the product is larger. Each reader then sees a window of the joint result.

#include <map>

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

using Iterator = Graph::NodeIterator;

bool mergeable(const Graph& graph, const Node& node) {
  if (!node.is("Linear") || node.inputs.size() > 3 || node.attributes.has("activation")) return false;
  return graph.constant(node.inputs[1]) && (node.input(2) == kNoValue || graph.constant(node.input(2)));
}

Result<ValueId> side_by_side(Graph& graph, Iterator at, const std::vector<ValueId>& parts, int64_t axis) {
  Attributes attributes;
  attributes.set("axis", axis);
  return graph.emit1(at, "Concat", at->name, parts, std::move(attributes));
}

Status merge(Graph& graph, const std::vector<Iterator>& siblings) {
  const Iterator at = siblings.front();
  const bool transposed_weights = at->attributes.integer("trans_w", 0) != 0;
  std::vector<ValueId> weights, biases;
  std::vector<int64_t> sizes;
  for (Iterator sibling : siblings) {
    const Shape& w = graph.shape(sibling->inputs[1]);
    sizes.push_back(transposed_weights ? w[0] : w[1]);
    weights.push_back(sibling->inputs[1]);
    if (sibling->input(2) != kNoValue) biases.push_back(sibling->inputs[2]);
  }
  OXPLOW_ASSIGN(const ValueId w, side_by_side(graph, at, weights, transposed_weights ? 0 : 1));
  std::vector<ValueId> inputs{at->inputs[0], w};
  if (!biases.empty()) {
    OXPLOW_ASSIGN(const ValueId bias, side_by_side(graph, at, biases, 0));
    inputs.push_back(bias);
  }
  OXPLOW_ASSIGN(const ValueId joint, graph.emit1(at, "Linear", at->name, std::move(inputs), at->attributes));
  const ValueId split = graph.add_constant(Tensor::of<int64_t>(sizes, Shape{static_cast<int64_t>(sizes.size())}), "split");
  Attributes attributes;
  attributes.set("axis", int64_t{-1});
  OXPLOW_ASSIGN(auto parts,
                graph.emit(at, "Split", at->name, {joint, split}, std::move(attributes), static_cast<int>(sizes.size())));
  for (size_t i = 0; i < siblings.size(); ++i) graph.replace_uses(siblings[i]->outputs[0], parts[i]);
  return {};
}

}  // namespace

Result<bool> merge_siblings(Graph& graph, const PassContext&) {
  // By what they must have in common: input, orientation of the weights, bias or none.
  std::map<std::tuple<ValueId, int64_t, bool>, std::vector<Iterator>> families;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (mergeable(graph, *it))
      families[{it->inputs[0], it->attributes.integer("trans_w", 0), it->input(2) != kNoValue}].push_back(it);
  }
  bool changed = false;
  for (const auto& [key, siblings] : families) {
    if (siblings.size() < 2) continue;
    OXPLOW_TRY(merge(graph, siblings));
    changed = true;
  }
  return changed;
}

}  // namespace oxplow::passes
