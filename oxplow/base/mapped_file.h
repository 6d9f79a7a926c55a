#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
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

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace oxplow
