#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {

Results same(Builder& b) { return b.add(b.node.op, b.node.inputs, b.node.attributes, b.node.outputs); }

Results axes_as_input(Builder& b) {
  if (b.node.inputs.empty()) return missing("the input");
  std::vector<ValueId> inputs = b.node.inputs;
  if (b.node.attributes.has("axes")) {
    inputs.resize(1);
    inputs.push_back(b.integers(b.node.attributes.integers("axes")));
  }
  return b.add(b.node.op, std::move(inputs), b.node.attributes);
}

}  // namespace oxplow
