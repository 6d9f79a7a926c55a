#include "oxplow/graph/stepwise.h"

#include <algorithm>

namespace oxplow {
namespace {

// A stage keeps islands for so many sets of types; loops whose tensors grow would make a new one each iteration.
constexpr size_t kIslandsPerStage = 8;
// From this stage on what is left is evaluated node by node: a graph that alternates would take memory by the square of its nodes.
constexpr int kMostStages = 64;

using Types = std::vector<std::optional<TensorType>>;

bool fully_typed(const Graph& graph, const Node& node) {
  return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return id == kNoValue || graph[id].typed; });
}

// Marks the values that these nodes read.
template <typename Nodes>
void mark_reads(const Nodes& nodes, std::vector<bool>& marks) {
  for (const Node& node : nodes) {
    for (ValueId id : node.inputs) {
      if (id != kNoValue) marks[static_cast<size_t>(id)] = true;
    }
  }
}

std::vector<ValueId> marked(const Graph& graph, const std::vector<bool>& marks, const std::vector<bool>& among) {
  std::vector<ValueId> ids;
  for (size_t id = 0; id < marks.size(); ++id) {
    if (marks[id] && among[id] && !graph.values[id].constant) ids.push_back(static_cast<ValueId>(id));
  }
  return ids;
}

}  // namespace

// What is left of the graph when some of its values are known.
struct Stepwise::Stage {
  Graph rest;                                  // constants are known to it; `outputs` are the whole graph's
  std::vector<ValueId> reads;                  // known values that it reads, or gives back as outputs
  std::list<std::unique_ptr<Island>> islands;  // latest first
};

struct Stepwise::Island {
  Types types;                           // of the stage's reads; none for what is no tensor
  std::unique_ptr<Execution> execution;  // null: nothing can be planned here
  std::vector<ValueId> inputs, outputs;  // of the execution, as values of the graph
  std::list<Node> evaluated;             // then these
  std::vector<ValueId> released;         // nobody needs them any more
  Stage next;
};

struct Stepwise::Kept {
  Stage first;
  size_t bytes = 0;
};

namespace {

// Nodes of a typed graph, parted by when they can run.
struct Parts {
  std::list<Node> planned, evaluated, later;
  std::vector<bool> known;  // values at the end of the stage
};

// What needs values is evaluated as soon as all its inputs are there. Only ops that are evaluated anyway read what the same stage has
// just evaluated: others might be planned in the next one.
Parts part(Graph& graph, const std::vector<ValueId>& reads, bool everything) {
  Parts parts{.planned = {}, .evaluated = {}, .later = {}, .known = std::vector<bool>(graph.values.size())};
  std::vector<bool> fresh(graph.values.size());
  for (size_t id = 0; id < graph.values.size(); ++id) parts.known[id] = graph.values[id].constant.has_value();
  for (ValueId id : reads) parts.known[static_cast<size_t>(id)] = true;
  while (!graph.nodes.empty()) {
    const Node& node = graph.nodes.front();
    const bool planned = !everything && fully_typed(graph, node);
    const bool ready = std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
      return id == kNoValue || (parts.known[static_cast<size_t>(id)] &&
                                (everything || node.op->infer == nullptr || !fresh[static_cast<size_t>(id)]));
    });
    for (ValueId id : node.outputs) {
      if (id == kNoValue || !(planned || ready)) continue;
      parts.known[static_cast<size_t>(id)] = true;
      fresh[static_cast<size_t>(id)] = !planned;
    }
    std::list<Node>& to = planned ? parts.planned : ready ? parts.evaluated : parts.later;
    to.splice(to.end(), graph.nodes, graph.nodes.begin());
  }
  return parts;
}

void set_producers(Graph& graph) {
  for (Value& value : graph.values) value.producer = nullptr;
  for (Node& node : graph.nodes) {
    for (ValueId id : node.outputs) {
      if (id != kNoValue) graph[id].producer = &node;
    }
  }
}

}  // namespace

Stepwise::Stepwise(FoldMemo& memo, const Machine& machine, const PassOptions& passes, const StepwiseLimits& limits)
    : memo_(memo), machine_(machine), passes_(passes), limits_(limits) {}
Stepwise::~Stepwise() = default;

Result<std::vector<Datum>> Stepwise::run(const Graph& graph, std::span<const Datum> inputs) {
  steps_ = 0;
  return run_body(graph, inputs);
}

Status Stepwise::count_step() {
  if (++steps_ <= limits_.steps) return {};
  return Error{ErrorCode::invalid_argument, "the run has taken more than " + std::to_string(limits_.steps) +
                                                " steps: a loop that does not end, or raise max_steps"};
}

Result<std::vector<Datum>> Stepwise::run_body(const Graph& graph, std::span<const Datum> inputs) {
  OXPLOW_CHECK(inputs.size() == graph.inputs.size());
  std::unique_ptr<Kept>& slot = kept_[&graph];
  if (!slot || slot->bytes > limits_.plan_bytes) {
    slot = std::make_unique<Kept>();
    slot->first.rest = graph;
    std::vector<bool> reads(graph.values.size()), given(graph.values.size());
    mark_reads(graph.nodes, reads);
    for (ValueId id : graph.outputs) reads[static_cast<size_t>(id)] = true;
    for (ValueId id : graph.inputs) given[static_cast<size_t>(id)] = true;
    slot->first.reads = marked(graph, reads, given);
  }
  Environment known(graph.values.size());
  for (size_t i = 0; i < inputs.size(); ++i) known[static_cast<size_t>(graph.inputs[i])] = inputs[i];
  Stage* stage = &slot->first;
  for (int depth = 0; !stage->rest.nodes.empty(); ++depth) {
    OXPLOW_ASSIGN(Island * island, island_for(*stage, *slot, known, depth));
    OXPLOW_TRY(run_island(*island, known));
    stage = &island->next;
  }
  std::vector<Datum> results;
  for (ValueId id : graph.outputs) {
    const Tensor* constant = stage->rest.constant(id);
    results.push_back(constant ? Datum(*constant) : known[static_cast<size_t>(id)]);
  }
  return results;
}

Result<Stepwise::Island*> Stepwise::island_for(Stage& stage, Kept& kept, const Environment& known, int depth) {
  const auto fits = [&](const std::unique_ptr<Island>& island) {
    for (size_t i = 0; i < stage.reads.size(); ++i) {
      const Tensor* tensor = known[static_cast<size_t>(stage.reads[i])].tensor();
      if (tensor ? island->types[i] != tensor->type() : island->types[i].has_value()) return false;
    }
    return true;
  };
  auto found = std::find_if(stage.islands.begin(), stage.islands.end(), fits);
  if (found != stage.islands.end()) {
    stage.islands.splice(stage.islands.begin(), stage.islands, found);
    return stage.islands.front().get();
  }
  OXPLOW_ASSIGN(auto island, make_island(stage, known, depth));
  kept.bytes += sizeof(Island) + island->next.rest.values.size() * sizeof(Value);
  if (island->execution) kept.bytes += island->execution->plan().arena_bytes;
  stage.islands.push_front(std::move(island));
  if (stage.islands.size() > kIslandsPerStage) stage.islands.pop_back();
  return stage.islands.front().get();
}

// Plans the nodes of `graph` for those of their values that are needed behind them.
Status Stepwise::plan_island(Island& island, Graph graph, const std::vector<bool>& needed) {
  std::vector<bool> written(graph.values.size()), read(graph.values.size());
  for (const Node& node : graph.nodes) {
    for (ValueId id : node.outputs) {
      if (id != kNoValue) written[static_cast<size_t>(id)] = true;
    }
  }
  mark_reads(graph.nodes, read);
  set_producers(graph);
  island.outputs = marked(graph, needed, written);
  if (island.outputs.empty()) return {};
  written.flip();
  island.inputs = marked(graph, read, written);
  graph.inputs = island.inputs;
  graph.outputs = island.outputs;
  graph.declared.clear();
  graph.declared_outputs.clear();
  graph.remove_dead();
  OXPLOW_ASSIGN([[maybe_unused]] auto reports, run_passes(graph, {memo_, machine_, passes_}));
  OXPLOW_ASSIGN(Plan plan, make_plan(graph, machine_));
  OXPLOW_ASSIGN(island.execution, Execution::create(std::move(plan)));
  return {};
}

Result<std::unique_ptr<Stepwise::Island>> Stepwise::make_island(const Stage& stage, const Environment& known, int depth) {
  auto island = std::make_unique<Island>();
  Graph graph = stage.rest;
  for (ValueId id : stage.reads) {
    const Tensor* tensor = known[static_cast<size_t>(id)].tensor();
    island->types.push_back(tensor ? std::optional(tensor->type()) : std::nullopt);
    graph[id].typed = tensor != nullptr;
    if (tensor) graph[id].type = tensor->type();
  }
  const bool everything = depth >= kMostStages;
  if (!everything) OXPLOW_TRY(infer_what_is_known(graph, memo_, machine_));
  Parts parts = part(graph, stage.reads, everything);

  // The next stage is what is left, with what was folded here as constants.
  Graph& rest = island->next.rest;
  rest = graph;  // its nodes have been parted
  rest.nodes = std::move(parts.later);
  for (Value& value : rest.values) value.typed = value.constant.has_value();
  set_producers(rest);
  std::vector<bool> needed(graph.values.size());
  mark_reads(rest.nodes, needed);
  for (ValueId id : rest.outputs) needed[static_cast<size_t>(id)] = true;
  island->next.reads = marked(rest, needed, parts.known);
  for (size_t id = 0; id < needed.size(); ++id) {
    if (parts.known[id] && !needed[id]) island->released.push_back(static_cast<ValueId>(id));
  }

  mark_reads(parts.evaluated, needed);
  graph.nodes = std::move(parts.planned);
  OXPLOW_TRY(plan_island(*island, std::move(graph), needed));
  island->evaluated = std::move(parts.evaluated);
  return island;
}

Status Stepwise::run_island(Island& island, Environment& known) {
  OXPLOW_TRY(count_step());
  if (island.execution) {
    std::vector<const void*> in;
    std::vector<void*> out;
    for (ValueId id : island.inputs) in.push_back(known[static_cast<size_t>(id)].tensor()->data());
    for (size_t i = 0; i < island.outputs.size(); ++i) {
      OXPLOW_ASSIGN(Tensor result, Tensor::allocate(island.execution->plan().outputs[i]));
      out.push_back(result.mutable_data());
      known[static_cast<size_t>(island.outputs[i])] = std::move(result);
    }
    island.execution->run(in, out, machine_.pool);
  }
  for (const Node& node : island.evaluated) {
    if (Status status = evaluate_node(island.next.rest, node, known); !status.ok())
      return in_context("node '" + node.name + "' (" + node.op->name + ")", status.error());
  }
  for (ValueId id : island.released) known[static_cast<size_t>(id)] = {};
  return {};
}

Status Stepwise::evaluate_node(const Graph& graph, const Node& node, Environment& known) {
  OXPLOW_TRY(count_step());
  std::vector<Datum> inputs;
  for (ValueId id : node.inputs) {
    const Tensor* constant = graph.constant(id);
    inputs.push_back(id == kNoValue ? Datum() : constant ? Datum(*constant) : known[static_cast<size_t>(id)]);
  }
  OXPLOW_ASSIGN(auto results, evaluate(*node.op, node.attributes, inputs, static_cast<int>(node.outputs.size()), machine_, this));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue) known[static_cast<size_t>(node.outputs[i])] = std::move(results[i]);
  }
  return {};
}

}  // namespace oxplow
