#pragma once
// Writes Protocol Buffers' wire format: split models, and the sound and broken files of tests. Fields come out in the order of the calls.

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace oxplow {

class ProtobufWriter {
 public:
  ProtobufWriter& varint(uint32_t field, int64_t value) {
    tag(field, 0);
    raw_varint(static_cast<uint64_t>(value));
    return *this;
  }
  ProtobufWriter& text(uint32_t field, std::string_view value) {
    tag(field, 2);
    raw_varint(value.size());
    out_ += value;
    return *this;
  }
  ProtobufWriter& message(uint32_t field, const ProtobufWriter& value) { return text(field, value.out_); }
  ProtobufWriter& real(uint32_t field, float value) {
    tag(field, 5);
    char bytes[sizeof(value)];
    std::memcpy(bytes, &value, sizeof(value));
    out_.append(bytes, sizeof(value));
    return *this;
  }
  ProtobufWriter& packed_varints(uint32_t field, std::initializer_list<int64_t> values) {
    ProtobufWriter content;
    for (int64_t value : values) content.raw_varint(static_cast<uint64_t>(value));
    return text(field, content.out_);
  }
  template <typename T>
  ProtobufWriter& packed(uint32_t field, std::initializer_list<T> values) {
    return text(field, {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)});
  }
  void tag(uint32_t field, uint32_t wire_type) { raw_varint(uint64_t{field} << 3 | wire_type); }
  void raw_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void raw(std::string_view bytes) { out_ += bytes; }

  const std::string& str() const { return out_; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(out_)); }

 private:
  std::string out_;
};

}  // namespace oxplow
