// Import of what transforms signals.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

// The axis was an attribute (default 1) before it became input 2.
Results dft(Builder& b) {
  Attributes attributes = b.node.attributes;
  if (b.node.opset < 20) attributes.set("axis", attributes.integer("axis", 1));
  return b.add("DFT", b.node.inputs, std::move(attributes));
}

constexpr NamedRule kRules[] = {
    {"BlackmanWindow", with_dtype<"output_datatype">},  {"DFT", dft},
    {"HammingWindow", with_dtype<"output_datatype">},   {"HannWindow", with_dtype<"output_datatype">},
    {"MelWeightMatrix", with_dtype<"output_datatype">}, {"STFT", same},
};

}  // namespace

std::span<const NamedRule> signal_rules() { return kRules; }

}  // namespace oxplow
