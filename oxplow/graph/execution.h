#pragma once

#include <memory>
#include <span>
#include <vector>

#include "oxplow/graph/plan.h"

namespace oxplow {

// A plan with memory to run in. One run at a time; no allocation per run.
class Execution {
 public:
  static Result<std::unique_ptr<Execution>> create(Plan plan);

  const Plan& plan() const { return plan_; }
  // Reads inputs and writes outputs of the plan's types, dense, in the order of the graph.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool);
  // The same, step by step; adds each step's wall time to `seconds` (beside plan().steps).
  void run_profiled(std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool,
                    std::span<double> seconds);

 private:
  // A step in one turn of its loop.
  struct Turn {
    int step = 0;
    int turn = 0;
    size_t first_phase = 0;
  };
  struct BoundPhase {
    const Step* step;
    const Buffers* buffers;
    int phase;
  };
  explicit Execution(Plan plan) : plan_(std::move(plan)) {}
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs);
  void* resolve(const Location& location, int turn, std::span<const void* const> inputs, std::span<void* const> outputs);
  void add_turns(int first, int end, int turns);
  Status prepare();

  Plan plan_;
  Buffer arena_;
  std::vector<Turn> turns_;      // in the order they run
  std::vector<void*> pointers_;  // of all turns' inputs and outputs
  std::vector<Buffers> buffers_;
  std::vector<BoundPhase> bound_;
  std::vector<ThreadPool::Phase> phases_;
};

}  // namespace oxplow
