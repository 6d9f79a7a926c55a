// Opset 6, which old exporters wrote: as 7, but that a few ops could mean something else. Those meanings are refused.

#include <algorithm>

#include "oxplow/graph/import/onnx_ops.h"

namespace oxplow {
namespace {

constexpr std::string_view kAlongAnAxis[] = {"Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"};

Status refused(const std::string& what) {
  return Error{ErrorCode::unsupported, what + ", a meaning from before opset 7: convert the model (onnx.version_converter)"};
}

}  // namespace

Status check_meaning_in_opset_6(const Graph& graph, const OnnxNode& node) {
  // Without the attribute shapes are equal or line up at their last axes, as in opset 7.
  if (std::ranges::find(kAlongAnAxis, node.op) != std::end(kAlongAnAxis) && node.attributes.has("axis"))
    return refused("the second input lies along 'axis'");
  if (node.op == "PRelu") {
    const Tensor* slope = graph.constant(node.input(1));
    if (slope == nullptr || slope->elements() != 1) return refused("a slope for each channel");
  }
  if ((node.op == "BatchNormalization" || node.op == "Dropout") && node.attributes.integer("is_test", 0) == 0)
    return refused("is_test = 0, for training");
  return {};
}

}  // namespace oxplow
