// What follows a convolution or Linear element by element is done while its result is still in registers: first an addition of a
// tensor of the same extents (the residual), then an activation.

#include <cmath>

#include "oxplow/graph/passes/rewrite.h"
#include "oxplow/kernels/epilogue.h"
#include "oxplow/ops/conv_geometry.h"

namespace oxplow::passes {
namespace {

constexpr size_t kResidual = 3;

struct EpilogueActivation {
  Activation activation;
  float alpha, beta;
};

std::optional<EpilogueActivation> activation_of(const Node& node) {
  const auto alpha = [&](float otherwise) { return node.attributes.number("alpha", otherwise); };
  const auto beta = [&](float otherwise) { return node.attributes.number("beta", otherwise); };
  if (node.is("Relu")) return EpilogueActivation{Activation::clip, 0, INFINITY};
  if (node.is("ClipTo")) return EpilogueActivation{Activation::clip, alpha(-INFINITY), beta(INFINITY)};
  if (node.is("Sigmoid")) return EpilogueActivation{Activation::sigmoid, 0, 0};
  if (node.is("Silu")) return EpilogueActivation{Activation::silu, 0, 0};
  if (node.is("HardSigmoid")) return EpilogueActivation{Activation::hard_sigmoid, alpha(0.2f), beta(0.5f)};
  if (node.is("HardSwish")) return EpilogueActivation{Activation::hard_swish, 0, 0};
  if (node.is("Gelu")) return EpilogueActivation{Activation::gelu, 0, 0};
  if (node.is("GeluTanh")) return EpilogueActivation{Activation::gelu_tanh, 0, 0};
  if (node.is("Tanh")) return EpilogueActivation{Activation::tanh, 0, 0};
  if (node.is("LeakyRelu")) return EpilogueActivation{Activation::leaky_relu, alpha(0.01f), 0};
  return std::nullopt;
}

// The convolution or Linear that makes `id` for this reader alone, and has no activation yet.
Node* open_product(const Graph& graph, ValueId id, const std::vector<int>& uses) {
  Node* node = graph.producer(id);
  if (!node || !(node->is("Conv") || node->is("Linear"))) return nullptr;
  if (graph.dtype(id) != DType::f32) return nullptr;
  const bool once = static_cast<size_t>(id) < uses.size() && uses[static_cast<size_t>(id)] == 1;
  return once && !node->attributes.has("activation") ? node : nullptr;
}

// Where a node stands in the order.
std::map<const Node*, int> positions(const Graph& graph) {
  std::map<const Node*, int> result;
  int position = 0;
  for (const Node& node : graph.nodes) result[&node] = position++;
  return result;
}

Result<bool> fuse_activation(Graph& graph, Graph::NodeIterator at, const std::vector<int>& uses) {
  const auto activation = activation_of(*at);
  if (!activation) return false;
  Node* product = open_product(graph, at->inputs[0], uses);
  if (!product) return false;
  // In place: the product's own result becomes the activated one.
  set_activation(product->attributes, activation->activation, activation->alpha, activation->beta);
  graph.replace_uses(at->outputs[0], product->outputs[0]);
  return true;
}

Result<bool> fuse_residual(Graph& graph, Graph::NodeIterator at, std::vector<int>& uses) {
  if (!at->is("Add")) return false;
  const auto place = positions(graph);
  Node* best = nullptr;
  ValueId residual = kNoValue;
  for (size_t i : {size_t{0}, size_t{1}}) {
    Node* product = open_product(graph, at->inputs[i], uses);
    const ValueId other = at->inputs[1 - i];
    if (!product || product->input(kResidual) != kNoValue || graph.constant(other)) continue;
    if (!(graph[other].type == graph[at->inputs[i]].type)) continue;
    if (best && place.at(product) < place.at(best)) continue;  // the later one: the other is there by then
    best = product;
    residual = other;
  }
  if (!best) return false;
  std::vector<ValueId> inputs = best->inputs;
  inputs.resize(kResidual, kNoValue);
  inputs.push_back(residual);
  OXPLOW_ASSIGN(const ValueId y, graph.emit1(at, best->op->name, best->name, std::move(inputs), best->attributes));
  uses.resize(graph.values.size(), 0);
  uses[static_cast<size_t>(y)] = uses[static_cast<size_t>(at->outputs[0])];
  graph.replace_uses(at->outputs[0], y);
  return true;
}

}  // namespace

Result<bool> fuse_epilogues(Graph& graph, const PassContext&) {
  auto uses = graph.use_counts();
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    OXPLOW_ASSIGN(const bool added, fuse_residual(graph, it, uses));
    OXPLOW_ASSIGN(const bool activated, fuse_activation(graph, it, uses));
    changed = changed || added || activated;
  }
  return changed;
}

}  // namespace oxplow::passes
