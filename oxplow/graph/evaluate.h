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

// The same for whatever data; `bodies` runs the bodies of control flow ops (null: there are none to run). An op that wants tensors
// refuses sequences and maps (invalid_model).
Result<std::vector<Datum>> evaluate(const OpSpec& op, const Attributes& attributes, std::span<const Datum> inputs, int outputs,
                                    const Machine& machine, BodyRunner* bodies);

}  // namespace oxplow
