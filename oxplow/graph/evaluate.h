#pragma once

#include <span>
#include <vector>

#include "oxplow/graph/graph.h"

namespace oxplow {

// What preparing and running ops needs of its surroundings. State is passed, never global.
struct Machine {
  Isa isa = Isa{};
  ThreadPool& pool;
  PackCache& packs;
};

// Runs one op at once (eager mode): through the same rules and kernels as a plan. `inputs` may hold undefined tensors for
// optional inputs left out.
Result<std::vector<Tensor>> evaluate(const OpSpec& op, const Attributes& attributes, std::span<const Tensor> inputs, int outputs,
                                     const Machine& machine);

}  // namespace oxplow
