// With --precision bf16: activations between ops become bf16, half the bytes and twice the products a cycle. Sums, statistics, biases and
// weights before packing stay f32; ops without a bf16 form keep f32 and get conversions around them; the graph's inputs and
// outputs keep their types.

#include <algorithm>
#include <map>

#include "oxplow/graph/passes/rewrite.h"
#include "oxplow/kernels/attention/attention.h"
#include "oxplow/kernels/conv/conv.h"
#include "oxplow/kernels/depthwise/depthwise.h"
#include "oxplow/kernels/gemm/gemm.h"
#include "oxplow/ops/chain.h"

namespace oxplow::passes {
namespace {

// Whether there is a bf16 convolution over so many channels.
bool convolves(Isa isa, int64_t channels) {
  for (const ConvKernel& kernel : conv_kernels(isa).kernels) {
    if (kernel.x == DType::bf16 && kernel.y == DType::bf16 && channels % kernel.channel_multiple == 0) return true;
  }
  return false;
}

// Which inputs of an op may become bf16; nothing when the op computes in f32 only.
std::optional<std::vector<size_t>> convertible_inputs(const Graph& graph, const Node& node, Isa isa) {
  const std::string_view op = node.op->name;
  if (op == "Conv") {
    const Shape& w = graph.shape(node.inputs[1]);
    const bool depthwise = node.attributes.integer("group", 1) == w[0] && w[1] == 1 && w[0] > 1;
    const bool there = depthwise ? find_depthwise(isa, DType::bf16) != nullptr : convolves(isa, w[1]);
    return there ? std::optional(std::vector<size_t>{0, 3}) : std::nullopt;
  }
  if (op == "Linear" && find_gemm(isa, DType::bf16, DType::bf16, graph.shape(node.inputs[0]).back()))
    return std::vector<size_t>{0, 3};
  if (op == "LayerNormalization") return std::vector<size_t>{0, 3};
  if (op == "Attention" && find_attention(isa, DType::bf16)) return std::vector<size_t>{0, 1, 2};
  if (node.op->view || op == "MaxPool" || op == "AveragePool" || op == "Softmax" || op.starts_with("Reduce"))
    return std::vector<size_t>{0};
  if (op == "Concat" || op == "Chain") {
    std::vector<size_t> all(node.inputs.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    return all;
  }
  return std::nullopt;
}

class Lowering {
 public:
  Lowering(Graph& graph, Isa isa) : graph_(graph), isa_(isa) {}

  Status run() {
    for (auto it = graph_.nodes.begin(); it != graph_.nodes.end(); ++it) {
      if (it->is("Cast")) {
        OXPLOW_TRY(graph_.infer(*it));
        continue;
      }
      OXPLOW_TRY(as_chain(*it));
      OXPLOW_TRY(widen_channels(it));
      const auto inputs = convertible_inputs(graph_, *it, isa_);
      const bool computes_floats = it->outputs[0] != kNoValue && graph_.dtype(it->outputs[0]) == DType::f32;
      OXPLOW_TRY(inputs && computes_floats ? lower(it, *inputs) : keep(it));
    }
    for (ValueId& id : graph_.outputs) {
      if (graph_.dtype(id) != DType::bf16) continue;
      OXPLOW_ASSIGN(const ValueId wide, cast(graph_.nodes.end(), id, DType::f32));
      graph_[wide].name = graph_[id].name;
      id = wide;
    }
    return {};
  }

 private:
  // A lone elementwise op as a Chain, whose inputs may differ in type.
  Status as_chain(Node& node) {
    if (node.is("Chain") || node.outputs.size() != 1 || graph_.dtype(node.outputs[0]) != DType::f32) return {};
    auto step = chain_step_of(*node.op, node.attributes);
    if (!step) return {};
    const int arity = arity_of(step->op);
    if (arity < 3) step->c = step->a;
    if (arity < 2) step->b = step->a;
    node.op = find_op("Chain");
    node.attributes = {};
    set_chain_steps(node.attributes, {&*step, 1});
    node.attributes.set("dtype", static_cast<int64_t>(DType::f32));
    return {};
  }

  // A first convolution over 3 channels gets a fourth of zeros: bf16 products come in pairs.
  Status widen_channels(Graph::NodeIterator it) {
    if (!it->is("Conv") || it->attributes.integer("group", 1) != 1 || !graph_.constant(it->inputs[1])) return {};
    const int64_t channels = graph_.shape(it->inputs[1])[1];
    if (convolves(isa_, channels) || !convolves(isa_, channels + 1)) return {};
    const auto pad = [&](ValueId value, int axis) -> Result<ValueId> {
      std::vector<int64_t> pads(8, 0);
      pads[static_cast<size_t>(4 + axis)] = 1;
      const ValueId amounts = graph_.add_constant(Tensor::of<int64_t>(pads, Shape{8}), "pads");
      return graph_.emit1(it, "Pad", it->name, {value, amounts});
    };
    OXPLOW_ASSIGN(const ValueId narrow, cast(it, it->inputs[0], DType::bf16));
    OXPLOW_ASSIGN(it->inputs[0], pad(narrow, 3));
    OXPLOW_ASSIGN(it->inputs[1], pad(it->inputs[1], 1));
    return {};
  }

  Status lower(Graph::NodeIterator it, const std::vector<size_t>& inputs) {
    for (size_t i = 0; i < it->inputs.size(); ++i) {
      if (it->inputs[i] == kNoValue) continue;
      if (std::find(inputs.begin(), inputs.end(), i) == inputs.end()) {
        OXPLOW_TRY(widen(it, it->inputs[i]));  // weights, biases and masks that the graph computes
        continue;
      }
      if (graph_.dtype(it->inputs[i]) != DType::f32) continue;
      // Small constants of chains (scales, shifts) stay exact.
      if (it->is("Chain") && graph_.constant(it->inputs[i])) continue;
      OXPLOW_ASSIGN(it->inputs[i], cast(it, it->inputs[i], DType::bf16));
    }
    if (it->is("Chain")) it->attributes.set("dtype", static_cast<int64_t>(DType::bf16));
    return graph_.infer(*it);
  }

  Status keep(Graph::NodeIterator it) {
    for (ValueId& id : it->inputs) {
      if (id != kNoValue) OXPLOW_TRY(widen(it, id));
    }
    return graph_.infer(*it);
  }

  Status widen(Graph::NodeIterator it, ValueId& id) {
    if (graph_.dtype(id) != DType::bf16) return {};
    OXPLOW_ASSIGN(id, cast(it, id, DType::f32));
    return {};
  }

  // Each value is converted once.
  Result<ValueId> cast(Graph::NodeIterator at, ValueId id, DType to) {
    if (graph_.dtype(id) == to) return id;
    const auto key = std::pair(id, to);
    if (auto it = casts_.find(key); it != casts_.end()) return it->second;
    Attributes attributes;
    attributes.set("to", static_cast<int64_t>(to));
    OXPLOW_ASSIGN(const ValueId result, graph_.emit1(at, "Cast", graph_[id].name, {id}, std::move(attributes)));
    casts_[key] = result;
    return result;
  }

  Graph& graph_;
  Isa isa_;
  std::map<std::pair<ValueId, DType>, ValueId> casts_;
};

}  // namespace

Result<bool> lower_precision(Graph& graph, const PassContext& context) {
  if (context.options.precision != Precision::bf16) return false;
  OXPLOW_TRY(Lowering(graph, context.machine.isa).run());
  return true;
}

}  // namespace oxplow::passes

namespace oxplow {

bool computes_in_bf16(Isa isa) { return find_gemm(isa, DType::bf16, DType::bf16, 64) != nullptr && passes::convolves(isa, 64); }

}  // namespace oxplow
