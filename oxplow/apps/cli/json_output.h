#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "oxplow/base/result.h"

namespace oxplow::cli {

// Writes a document to a file, or to standard output for "-".
Status write_json(const std::string& path, const nlohmann::ordered_json& value);

}  // namespace oxplow::cli
