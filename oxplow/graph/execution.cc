#include "oxplow/graph/execution.h"

#include <chrono>

namespace oxplow {

Result<std::unique_ptr<Execution>> Execution::create(Plan plan) {
  std::unique_ptr<Execution> execution(new Execution(std::move(plan)));
  OXPLOW_ASSIGN(execution->arena_, Buffer::allocate(execution->plan_.arena_bytes));
  size_t pointers = 0, phases = 0;
  for (const PlannedStep& planned : execution->plan_.steps) {
    pointers += planned.inputs.size() + planned.outputs.size();
    phases += planned.step->phase_tasks.size();
  }
  execution->pointers_.assign(pointers, nullptr);
  execution->buffers_.reserve(execution->plan_.steps.size());
  execution->bound_.reserve(phases);  // phases_ points into it
  void** next = execution->pointers_.data();
  for (const PlannedStep& planned : execution->plan_.steps) {
    void** outputs = next + planned.inputs.size();
    execution->buffers_.push_back({next, outputs, execution->arena_.data() + planned.workspace.offset});
    next = outputs + planned.outputs.size();
    execution->first_phase_.push_back(execution->phases_.size());
    for (size_t phase = 0; phase < planned.step->phase_tasks.size(); ++phase) {
      execution->bound_.push_back({planned.step.get(), &execution->buffers_.back(), static_cast<int>(phase)});
      execution->phases_.push_back({planned.step->phase_tasks[phase],
                                    [](void* state, int task, int worker) {
                                      const auto& bound = *static_cast<const BoundPhase*>(state);
                                      bound.step->run(*bound.buffers, bound.phase, task, worker);
                                    },
                                    &execution->bound_.back()});
    }
  }
  execution->first_phase_.push_back(execution->phases_.size());
  return execution;
}

void* Execution::resolve(const Location& location, std::span<const void* const> inputs, std::span<void* const> outputs) {
  const auto index = static_cast<size_t>(location.index);
  const void* start = nullptr;
  switch (location.where) {
    case Location::Where::none: return nullptr;
    case Location::Where::arena: start = arena_.data(); break;
    case Location::Where::constant: start = plan_.constants[index].data(); break;
    case Location::Where::input: start = inputs[index]; break;
    case Location::Where::output: start = outputs[index]; break;
  }
  return const_cast<std::byte*>(static_cast<const std::byte*>(start) + location.offset);
}

void Execution::bind(std::span<const void* const> inputs, std::span<void* const> outputs) {
  void** next = pointers_.data();
  for (const PlannedStep& planned : plan_.steps) {
    for (const Location& location : planned.inputs) *next++ = resolve(location, inputs, outputs);
    for (const Location& location : planned.outputs) *next++ = resolve(location, inputs, outputs);
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
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    pool.run(std::span(phases_).subspan(first_phase_[i], first_phase_[i + 1] - first_phase_[i]));
    const auto now = Clock::now();
    seconds[i] += std::chrono::duration<double>(now - start).count();
    start = now;
  }
}

}  // namespace oxplow
