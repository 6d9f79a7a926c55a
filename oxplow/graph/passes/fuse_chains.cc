// Neighbouring elementwise ops become one Chain that reads and writes memory once.

#include <algorithm>

#include "oxplow/graph/passes/rewrite.h"
#include "oxplow/ops/chain.h"

namespace oxplow::passes {
namespace {

bool chain_type(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16; }

// A chain under construction: inputs of the graph, steps over them.
struct Draft {
  std::vector<ValueId> inputs;
  std::vector<ChainStep> steps;
};

// The node as a chain by itself, if it can be one.
std::optional<Draft> draft_of(const Graph& graph, const Node& node) {
  if (!chain_type(graph.dtype(node.outputs[0]))) return std::nullopt;
  for (ValueId id : node.inputs) {
    if (id == kNoValue || !(chain_type(graph.dtype(id)) || graph.dtype(id) == DType::boolean)) return std::nullopt;
  }
  if (node.is("Chain")) return Draft{node.inputs, chain_steps(node.attributes)};
  const auto step = chain_step_of(*node.op, node.attributes);
  if (!step) return std::nullopt;
  return Draft{node.inputs, {*step}};
}

// `outer` with its input `at` computed by `inner` instead; nothing when limits are passed.
std::optional<Draft> spliced(const Draft& outer, size_t at, const Draft& inner) {
  Draft joint;
  joint.inputs = inner.inputs;
  std::vector<size_t> place(outer.inputs.size());
  for (size_t i = 0; i < outer.inputs.size(); ++i) {
    if (outer.inputs[i] == outer.inputs[at]) continue;
    const auto known = std::find(joint.inputs.begin(), joint.inputs.end(), outer.inputs[i]);
    place[i] = static_cast<size_t>(known - joint.inputs.begin());
    if (known == joint.inputs.end()) joint.inputs.push_back(outer.inputs[i]);
  }
  const size_t inputs = joint.inputs.size(), first = inner.steps.size();
  if (inputs > static_cast<size_t>(kMaxChainInputs) || first + outer.steps.size() > static_cast<size_t>(kMaxChainSteps))
    return std::nullopt;
  const auto renumber = [&](std::vector<ChainStep> steps, size_t old_inputs, auto map) {
    for (ChainStep step : steps) {
      for (uint8_t ChainStep::* operand : {&ChainStep::a, &ChainStep::b, &ChainStep::c}) {
        const size_t v = step.*operand;
        step.*operand = static_cast<uint8_t>(map(v, v >= old_inputs));
      }
      joint.steps.push_back(step);
    }
  };
  renumber(inner.steps, inner.inputs.size(),
           [&](size_t v, bool result) { return result ? v - inner.inputs.size() + inputs : v; });
  renumber(outer.steps, outer.inputs.size(), [&](size_t v, bool result) {
    if (result) return v - outer.inputs.size() + inputs + first;
    return outer.inputs[v] == outer.inputs[at] ? inputs + first - 1 : place[v];
  });
  return joint;
}

// Operands past a step's arity are free: point them at something that exists.
void clear_unused(std::vector<ChainStep>& steps) {
  for (ChainStep& step : steps) {
    const int arity = arity_of(step.op);
    if (arity < 3) step.c = step.a;
    if (arity < 2) step.b = step.a;
  }
}

}  // namespace

Result<bool> fuse_chains(Graph& graph, const PassContext&) {
  auto uses = graph.use_counts();
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (it->outputs.size() != 1) continue;
    auto draft = draft_of(graph, *it);
    if (!draft) continue;
    clear_unused(draft->steps);
    const Shape shape = graph.shape(it->outputs[0]);
    bool grown = false;
    for (size_t i = 0; i < draft->inputs.size();) {
      const ValueId id = draft->inputs[i];
      const Node* inner = graph.producer(id);
      const auto readers = std::count(it->inputs.begin(), it->inputs.end(), id);
      auto part = inner && inner->outputs.size() == 1 && graph.shape(id) == shape && uses[static_cast<size_t>(id)] == readers
                      ? draft_of(graph, *inner)
                      : std::nullopt;
      if (part) clear_unused(part->steps);
      auto joint = part ? spliced(*draft, i, *part) : std::nullopt;
      if (!joint) {
        ++i;
        continue;
      }
      draft = joint;
      grown = true;
      break;  // producers were chains already: one level is all there is, but the other operand may be one too
    }
    if (!grown) continue;
    Attributes attributes;
    set_chain_steps(attributes, draft->steps);
    attributes.set("dtype", static_cast<int64_t>(graph.dtype(it->outputs[0])));
    OXPLOW_ASSIGN(const ValueId y, graph.emit1(it, "Chain", it->name, draft->inputs, std::move(attributes)));
    uses.resize(graph.values.size(), 0);
    uses[static_cast<size_t>(y)] = uses[static_cast<size_t>(it->outputs[0])];
    graph.replace_uses(it->outputs[0], y);
    changed = true;
  }
  return changed;
}

}  // namespace oxplow::passes
