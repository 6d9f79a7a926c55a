// Linear + Add of a row of constants: the row is the bias.

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {

Result<bool> fuse_bias(Graph& graph, const PassContext&) {
  const auto uses = graph.use_counts();
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (!it->is("Add")) continue;
    for (size_t i : {size_t{0}, size_t{1}}) {
      const Node* linear = graph.producer(it->inputs[i], "Linear");
      const ValueId row = it->inputs[1 - i];
      if (!linear || linear->inputs.size() != 2 || linear->attributes.has("activation") ||
          uses[static_cast<size_t>(linear->outputs[0])] != 1)
        continue;
      const Shape& shape = graph.shape(linear->outputs[0]);
      if (!is_row_constant(graph, row, shape.back()) || graph.shape(it->outputs[0]) != shape) continue;
      OXPLOW_ASSIGN(const ValueId bias, reshaped(graph, it, row, Shape{shape.back()}));
      OXPLOW_ASSIGN(const ValueId y,
                    graph.emit1(it, "Linear", linear->name, {linear->inputs[0], linear->inputs[1], bias}, linear->attributes));
      graph.replace_uses(it->outputs[0], y);
      changed = true;
      break;
    }
  }
  return changed;
}

}  // namespace oxplow::passes
