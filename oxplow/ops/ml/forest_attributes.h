#pragma once

#include "oxplow/kernels/tree/forest.h"
#include "oxplow/ops/attributes.h"

namespace oxplow {

// A forest as the attributes of a TreeEnsemble node, and back. What comes back is sound; attributes that say no sound forest are an error
// (invalid_model).
Attributes attributes_of(const Forest& forest);
Result<Forest> forest_of(const Attributes& attributes);

}  // namespace oxplow
