#pragma once

#include "oxplow/kernels/eltwise/eltwise.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// The attributes of a Chain node: its steps as numbers. Steps count inputs first, then results (see ChainStep).
void set_chain_steps(Attributes& attributes, std::span<const ChainStep> steps);
std::vector<ChainStep> chain_steps(const Attributes& attributes);

// A step that applies `steps` to the node's inputs, broadcast together; the last result goes to output 0. Types: f32, bf16, f16, boolean.
Result<std::unique_ptr<Step>> prepare_chain(const PrepareContext& context, std::span<const ChainStep> steps);

// The single step that a node of an elementwise op stands for (operands 0, 1, 2 are its inputs), if it can be part of a chain.
std::optional<ChainStep> chain_step_of(const OpSpec& op, const Attributes& attributes);

}  // namespace oxplow
