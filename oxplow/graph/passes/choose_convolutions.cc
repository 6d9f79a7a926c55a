// Notes on each convolution which algorithms its planner may choose from, when the options say so (for the ladder, and to compare).

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {

Result<bool> choose_convolutions(Graph& graph, const PassContext& context) {
  if (context.options.convolution.empty()) return false;
  for (Node& node : graph.nodes) {
    if (node.is("Conv")) node.attributes.set("algorithm", context.options.convolution);
  }
  return true;
}

}  // namespace oxplow::passes
