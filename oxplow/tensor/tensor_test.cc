#include "oxplow/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace oxplow {
namespace {

TEST(TensorType, CountsElementsAndBytes) {
  EXPECT_EQ((TensorType{DType::f32, Shape{2, 3}}.bytes()), 24u);
  EXPECT_EQ((TensorType{DType::i64, Shape{}}.bytes()), 8u);
  EXPECT_EQ((TensorType{DType::u4, Shape{3}}.bytes()), 2u) << "4-bit elements share bytes";
  EXPECT_EQ((TensorType{DType::f32, Shape{4, 0}}.bytes()), 0u);
  EXPECT_EQ(to_string(TensorType{DType::f32, Shape{1, 3, 224, 224}}), "f32[1, 3, 224, 224]");
  EXPECT_EQ(to_string(TensorType{DType::boolean, Shape{}}), "boolean[]");
}

TEST(Tensor, AllocatesZeros) {
  for (int64_t n : {int64_t{0}, int64_t{1}, int64_t{1000}, int64_t{1} << 20}) {
    auto tensor = Tensor::allocate({DType::f32, Shape{n}});
    ASSERT_TRUE(tensor.ok());
    EXPECT_TRUE(tensor->defined()) << "an empty tensor is a tensor too";
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data()) % 64, 0u);
    for (float v : tensor->values<float>()) ASSERT_EQ(v, 0);
  }
  EXPECT_FALSE(Tensor().defined());
}

TEST(Tensor, RefusesImpossibleTypes) {
  for (const Shape& shape : {Shape{-1}, Shape{int64_t{1} << 40, int64_t{1} << 40}, Shape{std::numeric_limits<int64_t>::max()}}) {
    auto tensor = Tensor::allocate({DType::f32, shape});
    ASSERT_FALSE(tensor.ok()) << to_string(shape);
    EXPECT_EQ(tensor.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Tensor, SaysWhenMemoryCannotBeHad) {
  auto tensor = Tensor::allocate({DType::f32, Shape{int64_t{1} << 44}});
  ASSERT_FALSE(tensor.ok());
  EXPECT_EQ(tensor.error().code, ErrorCode::out_of_memory);
  EXPECT_NE(tensor.error().message.find("67108864 MiB"), std::string::npos) << tensor.error().message;
}

TEST(Tensor, CopiesShareStorage) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor a = Tensor::of<float>(values, Shape{2, 3});
  const Tensor b = a;
  EXPECT_EQ(a.data(), b.data());
  EXPECT_EQ(a.owner(), b.owner());
  const Tensor c = a.reshaped(Shape{3, 2});
  EXPECT_EQ(c.data(), a.data());
  EXPECT_EQ(c.shape(), (Shape{3, 2}));
  EXPECT_EQ(c.values<float>()[5], 6);
}

TEST(Tensor, OutlivesItsOriginal) {
  Tensor view;
  {
    std::vector<int64_t> values(1 << 16);
    std::iota(values.begin(), values.end(), int64_t{0});
    view = Tensor::of<int64_t>(values, Shape{1 << 16}).reshaped(Shape{1 << 8, 1 << 8});
  }
  EXPECT_EQ(view.values<int64_t>().back(), (1 << 16) - 1);
}

TEST(Tensor, BorrowsWithoutCopying) {
  const float values[] = {1, 2};
  auto owner = std::make_shared<int>(0);
  {
    const Tensor tensor = Tensor::borrow({DType::f32, Shape{2}}, values, owner);
    EXPECT_EQ(tensor.data(), values);
    EXPECT_EQ(owner.use_count(), 2);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Tensor, ScalarsAndBooleans) {
  EXPECT_EQ(Tensor::scalar<int32_t>(-5).values<int32_t>()[0], -5);
  EXPECT_TRUE(Tensor::scalar<int32_t>(-5).shape().empty());
  const bool flags[] = {true, false, true};
  EXPECT_EQ(to_int64s(Tensor::of<bool>(flags, Shape{3})), (std::vector<int64_t>{1, 0, 1}));
  const uint8_t bytes[] = {0, 255};
  EXPECT_EQ(to_int64s(Tensor::of<uint8_t>(bytes, Shape{2})), (std::vector<int64_t>{0, 255}));
}

TEST(Tensor, FloatingFormsAsF32) {
  const BFloat16 halves[] = {BFloat16(1.5f), BFloat16(-2.0f)};
  auto from_bf16 = to_f32(Tensor::of<BFloat16>(halves, Shape{1, 2}));
  ASSERT_TRUE(from_bf16.ok());
  EXPECT_EQ(from_bf16->values<float>()[0], 1.5f);
  EXPECT_EQ(from_bf16->shape(), (Shape{1, 2}));
  const Tensor f32 = Tensor::scalar<float>(3);
  EXPECT_EQ(to_f32(f32)->data(), f32.data()) << "f32 is its own f32 form";
}

}  // namespace
}  // namespace oxplow
