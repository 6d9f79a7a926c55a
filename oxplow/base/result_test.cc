#include "oxplow/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace oxplow {
namespace {

Result<int> half_of(int n) {
  if (n % 2 != 0) return Error{ErrorCode::invalid_argument, std::to_string(n) + " is odd"};
  return n / 2;
}

Result<int> quarter_of(int n) {
  OXPLOW_ASSIGN(const int half, half_of(n));
  int quarter = 0;
  OXPLOW_ASSIGN(quarter, half_of(half));
  return quarter;
}

Status must_be_even(int n) {
  OXPLOW_TRY(half_of(n));
  return {};
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_TRUE(half_of(4).ok());
  EXPECT_EQ(*half_of(4), 2);
  const auto odd = half_of(3);
  EXPECT_FALSE(odd);
  EXPECT_EQ(odd.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(odd.error().message, "3 is odd");
}

TEST(Result, LeavesWithTheFirstError) {
  EXPECT_EQ(*quarter_of(8), 2);
  EXPECT_EQ(quarter_of(6).error().message, "3 is odd");
  EXPECT_TRUE(must_be_even(2).ok());
  EXPECT_EQ(must_be_even(5).error().message, "5 is odd");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> boxed = std::make_unique<int>(5);
  ASSERT_TRUE(boxed.ok());
  EXPECT_EQ(**boxed, 5);
  const std::unique_ptr<int> taken = boxed.take();
  EXPECT_EQ(*taken, 5);
}

TEST(Result, MisuseIsAProgrammersError) {
  const auto odd = half_of(3);
  EXPECT_DEATH(static_cast<void>(*odd), "internal error");
  const auto even = half_of(2);
  EXPECT_DEATH(static_cast<void>(even.error()), "internal error");
}

TEST(Error, TakesContext) {
  const Error error = in_context("model.onnx", in_context("node Conv_3", {ErrorCode::invalid_model, "kernel_shape is missing"}));
  EXPECT_EQ(error.message, "model.onnx: node Conv_3: kernel_shape is missing");
  EXPECT_EQ(error.code, ErrorCode::invalid_model);
}

TEST(Error, CodesHaveTheContractsNames) {
  EXPECT_STREQ(error_code_name(ErrorCode::invalid_argument), "INVALID_ARGUMENT");
  EXPECT_STREQ(error_code_name(ErrorCode::invalid_model), "INVALID_MODEL");
  EXPECT_STREQ(error_code_name(ErrorCode::unsupported), "UNSUPPORTED");
  EXPECT_STREQ(error_code_name(ErrorCode::not_found), "NOT_FOUND");
  EXPECT_STREQ(error_code_name(ErrorCode::out_of_memory), "OUT_OF_MEMORY");
  EXPECT_STREQ(error_code_name(ErrorCode::io), "IO");
  EXPECT_STREQ(error_code_name(ErrorCode::internal), "INTERNAL");
}

}  // namespace
}  // namespace oxplow
