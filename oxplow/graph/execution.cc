#include "oxplow/graph/execution.h"

#include <chrono>

namespace oxplow {

Result<std::unique_ptr<Execution>> Execution::create(Plan plan) {
  std::unique_ptr<Execution> execution(new Execution(std::move(plan)));
  OXPLOW_TRY(execution->prepare());
  return execution;
}

void Execution::add_turns(int first, int end, int turns) {
  for (int turn = 0; turn < turns; ++turn) {
    for (int step = first; step < end; ++step) turns_.push_back({step, turn});
  }
}

Status Execution::prepare() {
  OXPLOW_ASSIGN(arena_, Buffer::allocate(plan_.arena_bytes));
  int step = 0;
  for (const BatchLoop& loop : plan_.loops) {
    add_turns(step, loop.first, 1);
    add_turns(loop.first, loop.end, loop.turns);
    step = loop.end;
  }
  add_turns(step, static_cast<int>(plan_.steps.size()), 1);
  size_t pointers = 0, phases = 0;
  for (const Turn& turn : turns_) {
    const PlannedStep& planned = plan_.steps[static_cast<size_t>(turn.step)];
    pointers += planned.inputs.size() + planned.outputs.size();
    phases += planned.step->phase_tasks.size();
  }
  pointers_.assign(pointers, nullptr);
  buffers_.reserve(turns_.size());
  bound_.reserve(phases);  // phases_ points into it
  void** next = pointers_.data();
  for (Turn& turn : turns_) {
    const PlannedStep& planned = plan_.steps[static_cast<size_t>(turn.step)];
    void** outputs = next + planned.inputs.size();
    buffers_.push_back({next, outputs, arena_.data() + planned.workspace.offset});
    next = outputs + planned.outputs.size();
    turn.first_phase = phases_.size();
    for (size_t phase = 0; phase < planned.step->phase_tasks.size(); ++phase) {
      bound_.push_back({planned.step.get(), &buffers_.back(), static_cast<int>(phase)});
      phases_.push_back({planned.step->phase_tasks[phase],
                         [](void* state, int task, int worker) {
                           const auto& bound = *static_cast<const BoundPhase*>(state);
                           bound.step->run(*bound.buffers, bound.phase, task, worker);
                         },
                         &bound_.back()});
    }
  }
  return {};
}

void* Execution::resolve(const Location& location, int turn, std::span<const void* const> inputs,
                         std::span<void* const> outputs) {
  const auto index = static_cast<size_t>(location.index);
  const void* start = nullptr;
  switch (location.where) {
    case Location::Where::none: return nullptr;
    case Location::Where::arena: start = arena_.data(); break;
    case Location::Where::constant: start = plan_.constants[index].data(); break;
    case Location::Where::input: start = inputs[index]; break;
    case Location::Where::output: start = outputs[index]; break;
  }
  const auto* first = static_cast<const std::byte*>(start) + location.offset;
  return const_cast<std::byte*>(first + location.advance * turn);
}

void Execution::bind(std::span<const void* const> inputs, std::span<void* const> outputs) {
  void** next = pointers_.data();
  for (const Turn& turn : turns_) {
    const PlannedStep& planned = plan_.steps[static_cast<size_t>(turn.step)];
    for (const Location& location : planned.inputs) *next++ = resolve(location, turn.turn, inputs, outputs);
    for (const Location& location : planned.outputs) *next++ = resolve(location, turn.turn, inputs, outputs);
  }
}

void Execution::run(std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool) {
  bind(inputs, outputs);
  pool.run(phases_);
}

void Execution::run_profiled(std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool& pool,
                             std::span<double> seconds) {
  using Clock = std::chrono::steady_clock;
  bind(inputs, outputs);
  auto start = Clock::now();
  for (size_t i = 0; i < turns_.size(); ++i) {
    const size_t first = turns_[i].first_phase, end = i + 1 < turns_.size() ? turns_[i + 1].first_phase : phases_.size();
    pool.run(std::span(phases_).subspan(first, end - first));
    const auto now = Clock::now();
    seconds[static_cast<size_t>(turns_[i].step)] += std::chrono::duration<double>(now - start).count();
    start = now;
  }
}

}  // namespace oxplow
