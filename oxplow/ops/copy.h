#pragma once

#include "oxplow/ops/op.h"

namespace oxplow {

// Copies input 0 to output 0 element by element; both may lie anyhow. Element types are equal, or both floating (converted).
Result<std::unique_ptr<Step>> prepare_copy(const PrepareContext& context);

}  // namespace oxplow
