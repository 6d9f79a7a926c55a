#pragma once
// Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding/), read field by field from memory: no
// recursion, no allocation, no copies. What a field means is its caller's matter.

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/formats/byte_reader.h"

namespace oxplow {

enum class WireType : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// "varint", "fixed64", "length-delimited", "fixed32".
const char* name_of(WireType type);

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::varint;
  uint64_t scalar = 0;               // varint, fixed32 and fixed64: the bits
  std::span<const std::byte> bytes;  // length-delimited: the content
  uint64_t offset = 0;               // where the field's tag stands in the file
  uint64_t content = 0;              // where its content begins
};

// Walks one message's fields. After next() returned false, failure() is null at the sound end of the message; otherwise it says
// what is malformed (an unterminated or too large varint, a length beyond the message, a group, field number 0) at offset().
class WireReader {
 public:
  WireReader() = default;
  explicit WireReader(std::span<const std::byte> message, uint64_t origin = 0) : reader_(message, origin) {}

  bool next(WireField& field);
  const char* failure() const { return failure_; }
  uint64_t offset() const { return failure_ ? failed_at_ : reader_.offset(); }

 private:
  bool fail(const char* why, uint64_t at);
  bool varint(uint64_t& value);

  ByteReader reader_;
  const char* failure_ = nullptr;
  uint64_t failed_at_ = 0;
};

// One varint of a packed field, at most ten bytes; nothing when it ends too early or does not fit 64 bits.
std::optional<uint64_t> read_varint(ByteReader& reader);

}  // namespace oxplow
