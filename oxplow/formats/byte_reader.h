#pragma once
// What every reader of untrusted bytes stands on: arithmetic that cannot wrap, a cursor that cannot leave its bytes, and a budget
// that bounds what a file may cost. Parsers keep their own stack: none recurses on its input.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "oxplow/base/result.h"

namespace oxplow {

// Nothing where the exact answer does not fit.
constexpr std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}
constexpr std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// The product of extents that must not be negative; nothing when it does not fit or one is negative. No extents: 1.
// An extent of 0 hides no overflow: [2^62, 4, 0] is refused, whatever the order.
constexpr std::optional<uint64_t> checked_elements(std::span<const int64_t> extents) {
  uint64_t nonzero = 1;
  bool empty = false;
  for (int64_t extent : extents) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) {
      empty = true;
      continue;
    }
    const auto next = checked_multiply(nonzero, static_cast<uint64_t>(extent));
    if (!next || *next > uint64_t{INT64_MAX}) return std::nullopt;
    nonzero = *next;
  }
  return empty ? 0 : nonzero;
}

// What one file may cost its reader: heap bytes of parsed structures, nesting, and steps of work that its size does not already
// bound. Passed by reference to every parser that reads a part of the file; spent, never refilled.
struct Budget {
  size_t bytes = 0;
  int depth = 0;
  size_t steps = 0;

  // The default for a file of `file_bytes`: with the mapped file itself it stays under 64 MiB + 2 x the file.
  static Budget for_file(size_t file_bytes) {
    return {.bytes = (size_t{48} << 20) + 2 * file_bytes, .depth = 100, .steps = size_t{8} << 20};
  }

  // False, and nothing spent, when `count` elements of `size` bytes are too many.
  bool spend_bytes(size_t count, size_t size) {
    const auto total = checked_multiply(count, size);
    if (!total || *total > bytes) return false;
    bytes -= *total;
    return true;
  }
  bool spend_steps(size_t count) {
    if (count > steps) return false;
    steps -= count;
    return true;
  }
};

// A cursor over bytes. A read that asks for more than remains returns nothing and moves nothing.
class ByteReader {
 public:
  ByteReader() = default;
  // `origin` is where the bytes begin in the file: offsets count from the file's start.
  explicit ByteReader(std::span<const std::byte> bytes, uint64_t origin = 0) : bytes_(bytes), origin_(origin) {}

  uint64_t offset() const { return origin_ + at_; }
  size_t remaining() const { return bytes_.size() - at_; }
  bool at_end() const { return at_ == bytes_.size(); }

  std::optional<std::span<const std::byte>> take(uint64_t count) {
    if (count > remaining()) return std::nullopt;
    const auto taken = bytes_.subspan(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return taken;
  }
  std::optional<uint8_t> take_byte() {
    if (at_end()) return std::nullopt;
    return static_cast<uint8_t>(bytes_[at_++]);
  }
  // A number of T's size, little-endian in the file.
  template <typename T>
  std::optional<T> little() {
    return number<T, std::endian::little>();
  }
  template <typename T>
  std::optional<T> big() {
    return number<T, std::endian::big>();
  }

 private:
  template <typename T, std::endian kOrder>
  std::optional<T> number() {
    static_assert(std::is_arithmetic_v<T>);
    const auto taken = take(sizeof(T));
    if (!taken) return std::nullopt;
    std::byte ordered[sizeof(T)];
    for (size_t i = 0; i < sizeof(T); ++i) ordered[i] = (*taken)[kOrder == std::endian::native ? i : sizeof(T) - 1 - i];
    T value;
    std::memcpy(&value, ordered, sizeof(T));
    return value;
  }

  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  uint64_t origin_ = 0;
};

inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A file's own text as an error may show it: in quotes, at most 80 characters, whatever is not printable ASCII as \xNN.
std::string in_quotes(std::string_view text);

}  // namespace oxplow
