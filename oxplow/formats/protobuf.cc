#include "oxplow/formats/protobuf.h"

namespace oxplow {
namespace {

constexpr const char* kBadVarint = "unterminated or too large varint";

}  // namespace

const char* name_of(WireType type) {
  switch (type) {
    case WireType::varint: return "varint";
    case WireType::fixed64: return "fixed64";
    case WireType::bytes: return "length-delimited";
    case WireType::fixed32: return "fixed32";
  }
  return "unknown";
}

std::optional<uint64_t> read_varint(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    const auto byte = reader.take_byte();
    if (!byte || (shift == 63 && *byte > 1)) return std::nullopt;
    value |= uint64_t{*byte & 0x7fu} << shift;
    if (*byte < 0x80) return value;
  }
  return std::nullopt;
}

bool WireReader::fail(const char* why, uint64_t at) {
  failure_ = why;
  failed_at_ = at;
  return false;
}

bool WireReader::varint(uint64_t& value) {
  const uint64_t at = reader_.offset();
  const auto read = read_varint(reader_);
  if (!read) return fail(kBadVarint, at);
  value = *read;
  return true;
}

bool WireReader::next(WireField& field) {
  if (failure_ || reader_.at_end()) return false;
  field.offset = reader_.offset();
  uint64_t tag = 0;
  if (!varint(tag)) return false;
  if (tag >> 3 == 0 || tag >> 32 != 0) return fail("field number out of range", field.offset);
  field.number = static_cast<uint32_t>(tag >> 3);
  field.content = reader_.offset();
  field.bytes = {};
  switch (tag & 7) {
    case 0: field.type = WireType::varint; return varint(field.scalar);
    case 1: {
      field.type = WireType::fixed64;
      const auto value = reader_.little<uint64_t>();
      field.scalar = value.value_or(0);
      return value ? true : fail("fixed64 runs past the end", field.offset);
    }
    case 2: {
      field.type = WireType::bytes;
      uint64_t length = 0;
      if (!varint(length)) return false;
      field.content = reader_.offset();
      const auto content = reader_.take(length);
      if (!content) return fail("length runs past the end", field.offset);
      field.bytes = *content;
      return true;
    }
    case 5: {
      field.type = WireType::fixed32;
      const auto value = reader_.little<uint32_t>();
      field.scalar = value.value_or(0);
      return value ? true : fail("fixed32 runs past the end", field.offset);
    }
    default: return fail("group or unknown wire type", field.offset);
  }
}

}  // namespace oxplow
