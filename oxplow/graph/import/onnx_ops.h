#pragma once

#include <string_view>

#include "oxplow/graph/graph.h"

namespace oxplow {

// A node as ONNX wrote it, inputs resolved.
struct OnnxNode {
  std::string_view op;
  std::string_view domain;  // "" is ONNX's own
  std::string name;
  int64_t opset = 0;
  std::vector<ValueId> inputs;
  int outputs = 1;
  Attributes attributes;

  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoValue; }
};

// "Relu", "ai.onnx.ml.Scaler".
std::string full_name(std::string_view domain, std::string_view op);
// Whether import_onnx_node knows the op of the domain. The lists are in onnx_ops.cc and the files of families.
bool onnx_op_known(std::string_view domain, std::string_view op);

// An error for a node of opset 6 whose meaning is another than opset 7 gives it.
Status check_meaning_in_opset_6(const Graph& graph, const OnnxNode& node);

// Appends the node's meaning in our ops; returns its outputs (fewer than it names where optional ones are not supported).
Result<std::vector<ValueId>> import_onnx_node(Graph& graph, const OnnxNode& node);

}  // namespace oxplow
