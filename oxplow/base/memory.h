#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "oxplow/base/result.h"

namespace oxplow {

inline constexpr size_t kCacheLine = 64;
inline constexpr size_t kHugePage = size_t{2} << 20;

// Anonymous memory of its own, zeroed, page aligned; from 2 MiB up aligned to 2 MiB and on huge pages where the system
// grants them (madvise). Pages are touched first by whoever writes them first. Moves, never copies.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer();

  // An error (out_of_memory) when the system refuses.
  static Result<Buffer> allocate(size_t bytes);
  // Memory that is somebody else's, to be read only and given back by him after this.
  static Buffer borrow(std::span<const std::byte> bytes);

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
  }
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

constexpr size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Resident set of this process in bytes: now, and at its peak.
size_t resident_bytes();
size_t peak_resident_bytes();

}  // namespace oxplow
