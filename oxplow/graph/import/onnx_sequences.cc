// Import of what works along sequences: attention and recurrent networks.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

Results attention(Builder& b) {
  OXPLOW_ASSIGN(Attributes attributes, attributes_with_dtype(b, "softmax_precision"));
  return b.add("MaskedAttention", b.node.inputs, std::move(attributes), b.node.outputs);
}

constexpr NamedRule kRules[] = {
    {"Attention", attention},
    {"CausalConvWithState", same},
    {"GRU", same},
    {"LSTM", same},
    {"LinearAttention", same},
    {"RNN", same},
    {"RotaryEmbedding", same},
};

}  // namespace

std::span<const NamedRule> sequence_rules() { return kRules; }

}  // namespace oxplow
