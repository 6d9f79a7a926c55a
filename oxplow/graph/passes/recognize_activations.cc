// Activations that exporters spell out become one op:
//   x * 0.5 * (1 + erf(x / sqrt(2)))  ->  Gelu        x * sigmoid(x)  ->  Silu        x * hard_sigmoid(x; 1/6, 1/2)  ->  HardSwish

#include <array>
#include <cmath>

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

bool close(float a, double b) { return std::fabs(static_cast<double>(a) - b) < 1e-3 * std::fabs(b); }

struct Scaled {
  ValueId value;
  double factor;
};

// A product or quotient of a value and a number.
std::optional<Scaled> scaled(const Graph& graph, const Node* node) {
  if (node == nullptr) return std::nullopt;
  if (node->is("Mul")) {
    for (size_t i : {size_t{0}, size_t{1}}) {
      if (const auto s = scalar_constant(graph, node->inputs[i])) return Scaled{node->inputs[1 - i], static_cast<double>(*s)};
    }
  }
  if (node->is("Div")) {
    if (const auto s = scalar_constant(graph, node->inputs[1])) return Scaled{node->inputs[0], 1 / static_cast<double>(*s)};
  }
  return std::nullopt;
}

// x, when `id` is 1 + erf(x / sqrt(2)).
ValueId erf_argument(const Graph& graph, ValueId id) {
  const Node* add = graph.producer(id, "Add");
  if (!add) return kNoValue;
  for (size_t i : {size_t{0}, size_t{1}}) {
    const auto one = scalar_constant(graph, add->inputs[i]);
    const Node* erf = graph.producer(add->inputs[1 - i], "Erf");
    if (!one || *one != 1 || !erf) continue;
    const auto inside = scaled(graph, graph.producer(erf->inputs[0]));
    if (inside && close(static_cast<float>(inside->factor), std::sqrt(0.5))) return inside->value;
  }
  return kNoValue;
}

// Factors of a product of three, nested either way, with one of them 0.5.
ValueId gelu_argument(const Graph& graph, const Node& mul) {
  // (x * (1 + erf)) * 0.5
  if (const auto half = scaled(graph, &mul); half && half->factor == 0.5) {
    if (const Node* inner = graph.producer(half->value, "Mul")) {
      for (size_t i : {size_t{0}, size_t{1}}) {
        if (const ValueId x = erf_argument(graph, inner->inputs[i]); x != kNoValue && x == inner->inputs[1 - i]) return x;
      }
    }
  }
  // (0.5 * x) * (1 + erf) or x * (0.5 * (1 + erf))
  for (size_t i : {size_t{0}, size_t{1}}) {
    const ValueId a = mul.inputs[i], b = mul.inputs[1 - i];
    const auto half_a = scaled(graph, graph.producer(a));
    if (!half_a || half_a->factor != 0.5) continue;
    if (const ValueId x = erf_argument(graph, b); x != kNoValue && x == half_a->value) return x;
    if (const ValueId x = erf_argument(graph, half_a->value); x != kNoValue && x == b) return x;
  }
  return kNoValue;
}

// The op whose meaning x * gate(x) is.
const char* gated(const Node& gate) {
  if (gate.is("Sigmoid")) return "Silu";
  const bool sixth = close(gate.attributes.number("alpha", 0.2f), 1.0 / 6) && gate.attributes.number("beta", 0.5f) == 0.5f;
  return gate.is("HardSigmoid") && sixth ? "HardSwish" : nullptr;
}

}  // namespace

Result<bool> recognize_activations(Graph& graph, const PassContext&) {
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (!it->is("Mul")) continue;
    const char* op = nullptr;
    ValueId x = gelu_argument(graph, *it);
    if (x != kNoValue) op = "Gelu";
    for (size_t i : {size_t{0}, size_t{1}}) {
      const Node* gate = graph.producer(it->inputs[i]);
      if (op == nullptr && gate && !gate->inputs.empty() && gate->inputs[0] == it->inputs[1 - i] && gated(*gate)) {
        op = gated(*gate);
        x = it->inputs[1 - i];
      }
    }
    // A number of higher rank may have added axes on the way.
    if (op == nullptr || graph[x].type != graph[it->outputs[0]].type) continue;
    OXPLOW_ASSIGN(const ValueId y, graph.emit1(it, op, it->name, {x}));
    graph.replace_uses(it->outputs[0], y);
    changed = true;
  }
  return changed;
}

}  // namespace oxplow::passes
