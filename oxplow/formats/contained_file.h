#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "oxplow/base/mapped_file.h"
#include "oxplow/base/result.h"

namespace oxplow {

// A folder whose files a model may name. Locations are data of the model, so they are held inside: no absolute path, no "..", no
// backslash, no symbolic link in any component below the folder, and only regular files that have one name (a hard link can carry
// a file from outside). The check walks descriptor by descriptor: renaming things meanwhile cannot lead it out.
class ContainedFolder {
 public:
  ContainedFolder() = default;
  ContainedFolder(ContainedFolder&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ContainedFolder& operator=(ContainedFolder&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~ContainedFolder();

  // The folder itself is the user's own word: it may be reached through links. Errors: not_found, io.
  static Result<ContainedFolder> open(const std::filesystem::path& folder);

  // Maps the file at `location` ("weights.bin", "data/weights.bin"). Errors: invalid_model for what the rules above refuse,
  // not_found, io. Messages show the location as the model spells it and never the folder.
  Result<MappedFile> map(std::string_view location) const;

 private:
  int descriptor_ = -1;
};

// `location` without "." and empty components, or an error when it breaks a rule that needs no file system to see.
Result<std::string> normal_location(std::string_view location);

}  // namespace oxplow
