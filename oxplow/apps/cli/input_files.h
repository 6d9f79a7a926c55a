#pragma once

#include <string>
#include <vector>

#include "oxplow/graph/model.h"

namespace oxplow::cli {

// The model's inputs, in its order, from "NAME=FILE.npy" flags. Errors name the input that is missing, unknown or given twice.
Result<std::vector<Tensor>> read_inputs(const std::vector<std::string>& flags, const Model& model);

}  // namespace oxplow::cli
