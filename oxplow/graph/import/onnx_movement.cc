// Import of the ops that move elements: gather, scatter, slice, pad and the like.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

Results slice(Builder& b) {
  if (b.node.inputs.empty()) return missing("the input");
  if (!b.node.attributes.has("starts")) return same(b);
  std::vector<ValueId> inputs{b.node.inputs[0], b.integers(b.node.attributes.integers("starts")),
                              b.integers(b.node.attributes.integers("ends"))};
  if (b.node.attributes.has("axes")) inputs.push_back(b.integers(b.node.attributes.integers("axes")));
  return b.add("Slice", std::move(inputs));
}

Results split(Builder& b) {
  std::vector<ValueId> inputs = b.node.inputs;
  if (b.node.attributes.has("split")) inputs = {b.node.inputs[0], b.integers(b.node.attributes.integers("split"))};
  return b.add("Split", std::move(inputs), b.node.attributes, b.node.outputs);
}

Results pad(Builder& b) {
  std::vector<ValueId> inputs = b.node.inputs;
  if (b.node.attributes.has("pads")) {
    inputs = {b.node.input(0), b.integers(b.node.attributes.integers("pads")), b.number(b.node.attributes.number("value", 0))};
  }
  return b.add("Pad", std::move(inputs), b.node.attributes);
}

Results reshape(Builder& b) {
  if (!b.node.attributes.has("shape")) return same(b);
  return b.add("Reshape", {b.node.input(0), b.integers(b.node.attributes.integers("shape"))});
}

// k was an attribute before it became input 1.
Results top_k(Builder& b) {
  std::vector<ValueId> inputs = b.node.inputs;
  if (b.node.attributes.has("k")) {
    inputs.resize(1, kNoValue);
    inputs.push_back(b.integers({b.node.attributes.integer("k", 0)}));
  }
  return b.add("TopK", std::move(inputs), b.node.attributes, 2);
}

constexpr NamedRule kRules[] = {
    {"CenterCropPad", same},   {"Concat", same},
    {"ConstantOfShape", same}, {"DepthToSpace", same},
    {"Expand", same},          {"EyeLike", with_dtype<"dtype">},
    {"Flatten", same},         {"Gather", same},
    {"GatherElements", same},  {"GatherND", same},
    {"OneHot", same},          {"Pad", pad},
    {"Range", same},           {"Reshape", reshape},
    {"ReverseSequence", same}, {"Scatter", renamed<"ScatterElements">},
    {"ScatterElements", same}, {"ScatterND", same},
    {"Shape", same},           {"Size", same},
    {"Slice", slice},          {"SpaceToDepth", same},
    {"Split", split},          {"Squeeze", axes_as_input},
    {"TensorScatter", same},   {"Tile", same},
    {"TopK", top_k},           {"Transpose", same},
    {"Trilu", same},           {"Unsqueeze", axes_as_input},
};

}  // namespace

std::span<const NamedRule> movement_rules() { return kRules; }

}  // namespace oxplow
