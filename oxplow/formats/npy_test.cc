#include "oxplow/formats/npy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "oxplow/formats/byte_reader.h"

namespace oxplow {
namespace {

// An .npy file of version 1.0 with this header dictionary and these data.
std::string npy(std::string header, std::string_view data, char major = 1) {
  header += '\n';
  std::string file("\x93NUMPY");
  file += {major, '\0', static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  if (major > 1) file += std::string(2, '\0');
  return file + header + std::string(data);
}

Result<NpyArray> parse(std::string_view file) { return parse_npy(std::as_bytes(std::span(file))); }

std::string failure_of(std::string_view file) {
  const auto array = parse(file);
  return array.ok() ? "" : std::string(error_code_name(array.error().code)) + " " + array.error().message;
}

TEST(Npy, ReadsWhatNumPyWrites) {
  const auto array =
      parse(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }     ", std::string("\1\0\2\0\3\0\4\0\5\0\6\0", 12)));
  ASSERT_TRUE(array.ok()) << array.error().message;
  EXPECT_EQ(array->dtype, DType::i16);
  EXPECT_EQ(array->shape, (Shape{2, 3}));
  EXPECT_EQ(array->bytes.size(), 12u);
  EXPECT_TRUE(array->owned.empty());
}

TEST(Npy, ReadsEveryVersionOrderOfKeysAndShape) {
  EXPECT_EQ(failure_of(npy("{'shape': (), \"descr\": '<f4', 'fortran_order': False}", "abcd", 2)), "");
  EXPECT_EQ(failure_of(npy("{'descr':'|b1','fortran_order':True,'shape':(3L,)}", std::string("\0\1\2", 3), 3)), "");
  EXPECT_EQ(failure_of(npy("{'descr':'=u1','fortran_order':True,'shape':(4,0,2)}", "")), "");
}

TEST(Npy, TurnsFortranOrderIntoRowMajor) {
  const auto array = parse(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }", "abcdefghijkl"));
  ASSERT_TRUE(array.ok()) << array.error().message;
  // Element (i, j, k) of the file stands at i + 2 j + 6 k.
  EXPECT_EQ(text_of(array->bytes), "agciekbhdjfl");
}

TEST(Npy, BooleansBecomeZeroAndOne) {
  const auto array = parse(npy("{'descr': '|b1', 'fortran_order': True, 'shape': (2, 2), }", std::string("\0\5\xff\1", 4)));
  ASSERT_TRUE(array.ok()) << array.error().message;
  EXPECT_EQ(text_of(array->bytes), std::string_view("\0\1\1\1", 4));
}

TEST(Npy, RefusesWhatIsNotSound) {
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "abcd");
  ASSERT_EQ(failure_of(good), "");
  for (size_t size = 0; size < good.size(); ++size) EXPECT_NE(failure_of(good.substr(0, size)), "") << "cut at " << size;
  EXPECT_NE(failure_of(good + "x"), "") << "a byte left over";
  const auto with = [](std::string_view descr, std::string_view order, std::string_view shape) {
    return failure_of(npy(
        "{'descr': " + std::string(descr) + ", 'fortran_order': " + std::string(order) + ", 'shape': " + std::string(shape) + "}",
        ""));
  };
  EXPECT_EQ(with("'<f4'", "False", "(0,)"), "");
  EXPECT_NE(with("'<f4'", "False", "(-1,)"), "");
  EXPECT_NE(with("'<f4'", "False", "(4294967296, 4294967296)"), "");
  EXPECT_NE(with("'<f4'", "False", "(0, 4294967296, 4294967296)"), "");
  EXPECT_NE(with("'<f8'", "False", "(2305843009213693952,)"), "") << "2^61 elements of 8 bytes";
  EXPECT_NE(with("'<f4'", "False", "(99999999999999999999,)"), "");
  EXPECT_NE(with("'<f4'", "Falsy", "(0,)"), "");
  EXPECT_NE(with("'<f4'", "False", "(0,"), "");
  EXPECT_NE(with("'<f4'", "False", "(0,), 'shape': (0,)"), "") << "a key twice";
  EXPECT_NE(with("'<f4'", "False", "(0,), 'extra': 1"), "");
  EXPECT_TRUE(with("'>f4'", "False", "(0,)").starts_with("UNSUPPORTED"));
  EXPECT_TRUE(with("'|O'", "False", "(0,)").starts_with("UNSUPPORTED"));
  EXPECT_TRUE(with("'<c8'", "False", "(0,)").starts_with("UNSUPPORTED"));
  EXPECT_TRUE(with("'|f4'", "False", "(0,)").starts_with("UNSUPPORTED"));
  EXPECT_TRUE(with("''", "False", "(0,)").starts_with("UNSUPPORTED"));
  EXPECT_TRUE(with("[('a', '<f4')]", "False", "(0,)").starts_with("UNSUPPORTED"));
  EXPECT_TRUE(with("'<f4'", "False", "(0,0,0,0,0,0,0,0,0,0,0)").starts_with("UNSUPPORTED"));
  EXPECT_NE(failure_of(npy("{'descr': '<f4'}", "")), "");
  EXPECT_NE(failure_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)} x", "")), "");
  EXPECT_NE(failure_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", "", 4)), "");
}

TEST(Npy, SurvivesRandomDamage) {
  const std::string good = npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }", "abcdefghijkl");
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string file = good;
    for (auto n = 1 + random() % 4; n > 0; --n) file[random() % file.size()] = static_cast<char>(random());
    (void)parse(file);
  }
}

TEST(Npy, WritesWhatItReads) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("oxplow_npy_" + std::to_string(::getpid()) + ".npy");
  for (DType dtype : {DType::f64, DType::f32, DType::f16, DType::i64, DType::i32, DType::i16, DType::i8, DType::u64, DType::u32,
                      DType::u16, DType::u8, DType::boolean}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 2}, Shape{2, 1, 3}, Shape{1, 1, 1, 1, 1, 1, 1, 1, 1, 2}}) {
      std::string data(bytes_of(dtype, static_cast<size_t>(elements_of(shape))), '\1');
      ASSERT_TRUE(write_npy(path, dtype, shape, std::as_bytes(std::span(data))).ok());
      const auto array = read_npy(path);
      ASSERT_TRUE(array.ok()) << array.error().message;
      EXPECT_EQ(array->dtype, dtype);
      EXPECT_EQ(array->shape, shape);
      EXPECT_EQ(text_of(array->bytes), data);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(array->bytes.data()) % 64, 0u);
    }
  }
  std::filesystem::remove(path);
}

TEST(Npy, WritesWhatNumPyHasNoTypeFor) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("oxplow_npy_" + std::to_string(::getpid()) + ".npy");
  const BFloat16 halves[] = {BFloat16(1.5f), BFloat16(-2.0f), BFloat16(0.0f)};
  ASSERT_TRUE(write_npy(path, DType::bf16, Shape{3}, std::as_bytes(std::span(halves))).ok());
  auto array = read_npy(path);
  ASSERT_TRUE(array.ok());
  ASSERT_EQ(array->dtype, DType::f32);
  const float* values = reinterpret_cast<const float*>(array->bytes.data());
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_EQ(values[1], -2.0f);
  EXPECT_EQ(values[2], 0.0f);
  const uint8_t nibbles[] = {0x8f, 0x07};
  ASSERT_TRUE(write_npy(path, DType::i4, Shape{3}, std::as_bytes(std::span(nibbles))).ok());
  array = read_npy(path);
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->dtype, DType::i8);
  EXPECT_EQ(text_of(array->bytes), "\xff\xf8\x07");
  ASSERT_TRUE(write_npy(path, DType::u4, Shape{3}, std::as_bytes(std::span(nibbles))).ok());
  array = read_npy(path);
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->dtype, DType::u8);
  EXPECT_EQ(text_of(array->bytes), "\x0f\x08\x07");
  std::filesystem::remove(path);
}

TEST(Npy, NamesTheFile) {
  EXPECT_EQ(read_npy("/nonexistent/x.npy").error().code, ErrorCode::not_found);
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("oxplow_npy_" + std::to_string(::getpid()) + ".npy");
  std::ofstream(path) << "not numpy";
  EXPECT_EQ(read_npy(path).error().message, path.string() + ": npy: at byte 0: this is not an .npy file");
  std::filesystem::remove(path);
  const float one = 1;
  const Status status = write_npy("/nonexistent/x.npy", DType::f32, Shape{}, std::as_bytes(std::span(&one, 1)));
  EXPECT_EQ(status.error().code, ErrorCode::io);
}

}  // namespace
}  // namespace oxplow
