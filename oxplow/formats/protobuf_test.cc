#include "oxplow/formats/protobuf.h"

#include <gtest/gtest.h>

#include "oxplow/formats/protobuf_writer.h"

namespace oxplow {
namespace {

// Reads all fields; the failure, or "".
std::string failure_of(std::string_view bytes, uint64_t* offset = nullptr) {
  WireReader reader(std::as_bytes(std::span(bytes)), 10);
  WireField field;
  while (reader.next(field)) {
  }
  if (offset) *offset = reader.offset();
  return reader.failure() ? reader.failure() : "";
}

TEST(Protobuf, ReadsEveryWireType) {
  ProtobufWriter writer;
  writer.varint(1, -1).text(2, "abc").real(3, 1.5f);
  writer.tag(4, 1);
  writer.raw("\1\2\3\4\5\6\7\10");
  WireReader reader(writer.bytes(), 1000);
  WireField field;
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.number, 1u);
  EXPECT_EQ(field.type, WireType::varint);
  EXPECT_EQ(field.scalar, UINT64_MAX);
  EXPECT_EQ(field.offset, 1000u);
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(text_of(field.bytes), "abc");
  EXPECT_EQ(field.offset, 1011u);
  EXPECT_EQ(field.content, 1013u);
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.scalar, 0x3fc00000u);
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.scalar, 0x0807060504030201u);
  EXPECT_FALSE(reader.next(field));
  EXPECT_EQ(reader.failure(), nullptr);
}

TEST(Protobuf, NamesWhatIsMalformedAndWhere) {
  uint64_t offset = 0;
  EXPECT_EQ(failure_of("", &offset), "");
  EXPECT_EQ(failure_of("\x08", &offset), "unterminated or too large varint");
  EXPECT_EQ(failure_of("\x08\x01\x10\x80\x80", &offset), "unterminated or too large varint");
  EXPECT_EQ(offset, 13u);
  const std::string eleven = "\x08" + std::string(10, '\xff') + "\x01";
  EXPECT_NE(failure_of(eleven), "") << "eleven bytes";
  const std::string too_large = "\x08" + std::string(9, '\xff') + "\x02";
  EXPECT_NE(failure_of(too_large), "") << "bit 65";
  const std::string largest = "\x08" + std::string(9, '\xff') + "\x01";
  EXPECT_EQ(failure_of(largest), "");
  EXPECT_EQ(failure_of(std::string_view("\x00\x01", 2)), "field number out of range");
  EXPECT_EQ(failure_of("\x0b"), "group or unknown wire type");
  EXPECT_EQ(failure_of("\x0c"), "group or unknown wire type");
  EXPECT_EQ(failure_of("\x0e"), "group or unknown wire type");
  EXPECT_EQ(failure_of("\x0a\x05yyyy"), "length runs past the end");
  EXPECT_EQ(failure_of("\x0a\xff\xff\xff\xff\x07"), "length runs past the end") << "2 GiB";
  EXPECT_EQ(failure_of("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "length runs past the end") << "2^64 - 1";
  EXPECT_EQ(failure_of("\x0d\x01\x02\x03"), "fixed32 runs past the end");
  EXPECT_EQ(failure_of("\x09\x01\x02\x03\x04\x05\x06\x07"), "fixed64 runs past the end");
}

TEST(Protobuf, AFailureStays) {
  WireReader reader(std::as_bytes(std::span("\x0b\x08\x01", 3)));
  WireField field;
  EXPECT_FALSE(reader.next(field));
  EXPECT_FALSE(reader.next(field));
  EXPECT_NE(reader.failure(), nullptr);
}

}  // namespace
}  // namespace oxplow
