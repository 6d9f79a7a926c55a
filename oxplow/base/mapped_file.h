#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "oxplow/base/result.h"

namespace oxplow {

// A whole regular file, mapped read-only. Moves, never copies.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  // Errors: not_found, or io for what is not a regular file (directories, FIFOs, devices). An empty file maps to no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);
  // Maps what an open descriptor stands for; the descriptor stays the caller's. `name` is for messages. Errors as open().
  static Result<MappedFile> map(int descriptor, const std::string& name);

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace oxplow
