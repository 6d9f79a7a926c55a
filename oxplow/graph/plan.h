#pragma once

#include <memory>
#include <string>
#include <vector>

#include "oxplow/graph/evaluate.h"

namespace oxplow {

// Where an operand's first element is in a run.
struct Location {
  enum class Where : uint8_t { none, arena, constant, input, output };
  Where where = Where::none;
  int index = 0;      // of the constant, graph input or graph output
  size_t offset = 0;  // bytes from its start
  // Bytes further in each turn of a loop.
  int64_t advance = 0;
};

struct PlannedStep {
  std::unique_ptr<Step> step;
  std::string op;
  std::string node;    // the model's name for it
  std::string result;  // type of the first output
  Cost cost;           // of all turns
  bool bf16 = false;   // computes in bf16, so its limit is bf16's
  std::vector<Location> inputs;
  std::vector<Location> outputs;
  Location workspace;
};

// Steps [first, end) run one after another, `turns` times over: once for each slice of the batch.
struct BatchLoop {
  int first = 0;
  int end = 0;
  int turns = 1;
};

// A graph made ready for one set of input shapes: steps in order, all memory placed. Immutable; runs may share it.
struct Plan {
  std::vector<PlannedStep> steps;
  std::vector<BatchLoop> loops;  // in order, side by side; steps of none run once
  std::vector<Tensor> constants;
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  size_t arena_bytes = 0;
};

// Plans a graph that passes have finished with: chooses layouts (borders, views), prepares every step, places memory.
Result<Plan> make_plan(const Graph& graph, const Machine& machine);

}  // namespace oxplow
