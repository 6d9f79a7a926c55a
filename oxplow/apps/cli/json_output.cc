#include "oxplow/apps/cli/json_output.h"

#include <fstream>
#include <iostream>

namespace oxplow::cli {

Status write_json(const std::string& path, const nlohmann::ordered_json& value) {
  if (path == "-") {
    std::cout << value.dump(2) << "\n";
    return {};
  }
  std::ofstream file(path);
  file << value.dump(2) << "\n";
  if (!file) return Error{ErrorCode::io, "cannot write " + path};
  return {};
}

}  // namespace oxplow::cli
