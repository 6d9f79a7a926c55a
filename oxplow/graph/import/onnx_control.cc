// Import of the ops whose results' shapes depend on values, of control flow, and of those whose values are no tensors.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

// Opset 8 runs each element of a batch by itself.
Results scan(Builder& b) {
  return b.add(b.node.opset < 9 ? "BatchedScan" : "Scan", b.node.inputs, b.node.attributes, b.node.outputs);
}

constexpr NamedRule kRules[] = {
    {"ConcatFromSequence", same},
    {"If", same},
    {"Loop", same},
    {"NonZero", same},
    {"Optional", same},
    {"OptionalGetElement", same},
    {"OptionalHasElement", same},
    {"Scan", scan},
    {"SequenceAt", same},
    {"SequenceConstruct", same},
    {"SequenceEmpty", same},
    {"SequenceErase", same},
    {"SequenceInsert", same},
    {"SequenceLength", same},
    {"SequenceMap", same},
    {"SplitToSequence", same},
    {"StringConcat", same},
    {"StringNormalizer", same},
    {"StringSplit", same},
    {"TfIdfVectorizer", same},
};

}  // namespace

std::span<const NamedRule> control_rules() { return kRules; }

}  // namespace oxplow
