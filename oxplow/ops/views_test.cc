// Shape rules and windows of the ops that rename elements.

#include <gtest/gtest.h>

#include <limits>

#include "oxplow/ops/infer_call.h"

namespace oxplow {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();

std::string reshape(const Shape& from, std::vector<int64_t> to, int64_t allowzero = 0) {
  return InferCall("Reshape").f32(from).integers(std::move(to)).set("allowzero", allowzero).text();
}

TEST(Reshape, Shapes) {
  EXPECT_EQ(reshape({2, 3, 4}, {6, 4}), "f32[6, 4]");
  EXPECT_EQ(reshape({2, 3, 4}, {-1, 4}), "f32[6, 4]");
  EXPECT_EQ(reshape({2, 3, 4}, {0, -1}), "f32[2, 12]");
  EXPECT_EQ(reshape({}, {1, 1}), "f32[1, 1]");
  EXPECT_EQ(reshape({1}, {}), "f32[]");
  EXPECT_EQ(reshape({0, 3}, {3, 0}, 1), "f32[3, 0]");
  EXPECT_EQ(reshape({0, 3}, {0, -1}), "error: cannot reshape [0, 3]: -1 has no whole value");
}

TEST(Reshape, Errors) {
  expect_error(InferCall("Reshape").f32({6}).integers({4, -1}), "-1 has no whole value");
  expect_error(InferCall("Reshape").f32({6}).integers({-1, -1}), "two extents");
  expect_error(InferCall("Reshape").f32({6}).integers({5}), "number of elements differs");
  expect_error(InferCall("Reshape").f32({6}).integers({1, 0}), "does not have");
  expect_error(InferCall("Reshape").f32({6}).integers({-2, 3}), "impossible extent");
  expect_error(InferCall("Reshape").f32({6}).integers({int64_t{1} << 40, int64_t{1} << 40}), "impossible extent");
  expect_error(InferCall("Reshape").f32({1}).integers(std::vector<int64_t>(11, 1)), "more than 10 axes");
  expect_error(InferCall("Reshape").f32({6}).in(DType::i64, {1}), "depends on data");
  expect_error(InferCall("Reshape").f32({6}).constant(Tensor::scalar<float>(6)), "must be integers");
  expect_error(InferCall("Reshape").f32({6}), "lacks its input 1");
}

TEST(Flatten, Shapes) {
  const auto flatten = [](const Shape& from, int64_t axis) { return InferCall("Flatten").f32(from).set("axis", axis).text(); };
  EXPECT_EQ(InferCall("Flatten").f32({2, 3, 4}).text(), "f32[2, 12]");
  EXPECT_EQ(flatten({2, 3, 4}, 0), "f32[1, 24]");
  EXPECT_EQ(flatten({2, 3, 4}, 3), "f32[24, 1]");
  EXPECT_EQ(flatten({2, 3, 4}, -1), "f32[6, 4]");
  EXPECT_EQ(flatten({}, 0), "f32[1, 1]");
  expect_error(InferCall("Flatten").f32({2, 3}).set("axis", int64_t{3}), "axis 3 is outside of 2 axes");
}

TEST(Squeeze, Shapes) {
  EXPECT_EQ(InferCall("Squeeze").f32({1, 3, 1}).text(), "f32[3]");
  EXPECT_EQ(InferCall("Squeeze").f32({1, 3, 1}).integers({-1}).text(), "f32[1, 3]");
  EXPECT_EQ(InferCall("Squeeze").f32({1, 3, 1}).integers({}).text(), "f32[1, 3, 1]");
  expect_error(InferCall("Squeeze").f32({1, 3}).integers({1}), "axis 1 of [1, 3] is not 1");
  expect_error(InferCall("Squeeze").f32({1, 3}).integers({2}), "outside");
}

TEST(Unsqueeze, Shapes) {
  EXPECT_EQ(InferCall("Unsqueeze").f32({3}).integers({0, 2}).text(), "f32[1, 3, 1]");
  EXPECT_EQ(InferCall("Unsqueeze").f32({3}).integers({-1, 0}).text(), "f32[1, 3, 1]");
  EXPECT_EQ(InferCall("Unsqueeze").f32({}).integers({0}).text(), "f32[1]");
  expect_error(InferCall("Unsqueeze").f32({3}).integers({0, -3}), "given twice");
  expect_error(InferCall("Unsqueeze").f32({3}).integers({3}), "outside");
  expect_error(InferCall("Unsqueeze").f32({3}).integers(std::vector<int64_t>(10, 0)), "more than 10 axes");
}

TEST(Transpose, Shapes) {
  const auto transpose = [](const Shape& from, std::vector<int64_t> perm) {
    return InferCall("Transpose").f32(from).set("perm", std::move(perm)).text();
  };
  EXPECT_EQ(transpose({2, 3, 4}, {2, 0, 1}), "f32[4, 2, 3]");
  EXPECT_EQ(InferCall("Transpose").f32({2, 3, 4}).text(), "f32[4, 3, 2]");
  EXPECT_EQ(InferCall("Transpose").f32({}).text(), "f32[]");
  EXPECT_TRUE(transpose({2, 3}, {0, 0}).starts_with("error: perm"));
  EXPECT_TRUE(transpose({2, 3}, {0}).starts_with("error: perm"));
  EXPECT_TRUE(transpose({2, 3}, {0, 2}).starts_with("error: perm"));
  EXPECT_TRUE(transpose({2, 3}, {1, -2}).starts_with("error: perm"));
}

std::string slice(const Shape& from, std::vector<int64_t> starts, std::vector<int64_t> ends, std::vector<int64_t> axes,
                  std::vector<int64_t> steps) {
  return InferCall("Slice")
      .f32(from)
      .integers(std::move(starts))
      .integers(std::move(ends))
      .integers(std::move(axes))
      .integers(std::move(steps))
      .text();
}

TEST(Slice, Shapes) {
  EXPECT_EQ(slice({10}, {2}, {8}, {0}, {1}), "f32[6]");
  EXPECT_EQ(slice({10}, {2}, {8}, {0}, {4}), "f32[2]");
  EXPECT_EQ(slice({10}, {-3}, {kMax}, {0}, {1}), "f32[3]");
  EXPECT_EQ(slice({10}, {8}, {2}, {0}, {1}), "f32[0]");
  EXPECT_EQ(slice({10}, {-1}, {kMin}, {0}, {-1}), "f32[10]");
  EXPECT_EQ(slice({10}, {kMax}, {kMin}, {0}, {-1}), "f32[10]");
  EXPECT_EQ(slice({10}, {-1}, {-11}, {0}, {-1}), "f32[10]");
  EXPECT_EQ(slice({10}, {8}, {0}, {0}, {-3}), "f32[3]");
  EXPECT_EQ(slice({10}, {0}, {10}, {0}, {kMax}), "f32[1]");
  EXPECT_EQ(slice({10}, {9}, {kMin}, {0}, {kMin}), "f32[1]");
  EXPECT_EQ(slice({4, 10}, {1, 1}, {3, 9}, {-1, 0}, {1, 1}), "f32[3, 2]");
  EXPECT_EQ(InferCall("Slice").f32({4, 10}).integers({1}).integers({3}).text(), "f32[2, 10]");
}

TEST(Slice, EmptyAxisBackwards) { EXPECT_EQ(slice({0, 3}, {-1}, {kMin}, {0}, {-1}), "f32[0, 3]"); }

TEST(Slice, Errors) {
  EXPECT_TRUE(slice({10}, {0}, {1}, {0}, {0}).find("step 0") != std::string::npos);
  EXPECT_TRUE(slice({10}, {0}, {1}, {1}, {1}).find("outside") != std::string::npos);
  EXPECT_TRUE(slice({10}, {0, 1}, {1}, {0}, {1}).find("differ in length") != std::string::npos);
  expect_error(InferCall("Slice").f32({10}).in(DType::i64, {1}).integers({3}), "starts (input 1) depends on data");
}

TEST(Split, Shapes) {
  EXPECT_EQ(InferCall("Split", 3).f32({2, 7}).set("axis", int64_t{1}).text(), "f32[2, 3], f32[2, 3], f32[2, 1]");
  EXPECT_EQ(InferCall("Split", 2).f32({4, 7}).integers({1, 3}).text(), "f32[1, 7], f32[3, 7]");
  EXPECT_EQ(InferCall("Split", 2).f32({2, 7}).integers({0, 7}).set("axis", int64_t{-1}).text(), "f32[2, 0], f32[2, 7]");
  EXPECT_EQ(InferCall("Split", 2).f32({4}).set("num_outputs", int64_t{2}).text(), "f32[2], f32[2]");
  expect_error(InferCall("Split", 2).f32({4}).integers({1, 2}), "do not make up");
  expect_error(InferCall("Split", 2).f32({4}).integers({1, 1, 2}), "do not make up");
  expect_error(InferCall("Split", 2).f32({4}).integers({-1, 5}), "impossible size");
  expect_error(InferCall("Split", 2).f32({4}).set("num_outputs", int64_t{3}), "num_outputs differs");
  expect_error(InferCall("Split", 5).f32({3}), "more parts than elements");
  expect_error(InferCall("Split", 2).f32({}), "outside of 0 axes");
}

TEST(Expand, Shapes) {
  EXPECT_EQ(InferCall("Expand").f32({3, 1}).integers({2, 1, 6}).text(), "f32[2, 3, 6]");
  EXPECT_EQ(InferCall("Expand").f32({3, 4}).integers({1}).text(), "f32[3, 4]") << "an extent of 1 keeps the input's";
  EXPECT_EQ(InferCall("Expand").f32({1}).integers({0}).text(), "f32[0]");
  expect_error(InferCall("Expand").f32({3}).integers({2}), "cannot be broadcast");
  expect_error(InferCall("Expand").f32({3}).integers({-1}), "negative extent");
  expect_error(InferCall("Expand").f32({1}).integers({int64_t{1} << 40, int64_t{1} << 40}), "impossible");
}

TEST(Views, ReshapeOfStridesThatMerge) {
  // [4, 6] seen as [4, 2, 3] from a tensor whose rows are 10 apart.
  Operand x;
  x.type = {DType::f32, Shape{4, 6}};
  x.strides = Dims{10, 1};
  x.present = true;
  const std::vector<Operand> inputs{x, x};
  const Attributes none;
  const InferContext context{none, inputs};
  const auto split = ops::Reshape.view(context, Shape{4, 2, 3}, 0);
  ASSERT_TRUE(split);
  EXPECT_EQ(split->strides, (Dims{10, 3, 1}));
  EXPECT_FALSE(ops::Reshape.view(context, Shape{24}, 0)) << "the rows do not touch";
  EXPECT_FALSE(ops::Reshape.view(context, Shape{2, 12}, 0));
  const auto ones = ops::Reshape.view(context, Shape{2, 1, 2, 6, 1}, 0);
  ASSERT_TRUE(ones);
  EXPECT_EQ(ones->strides[0], 20);
  EXPECT_EQ(ones->strides[2], 10);
  EXPECT_EQ(ones->strides[3], 1);
}

TEST(Views, SliceAndSplitOffsets) {
  Operand x;
  x.type = {DType::f32, Shape{4, 6}};
  x.strides = Dims{6, 1};
  x.present = true;
  const auto numbers = [](std::vector<int64_t> v) { return Tensor::of<int64_t>(v, Shape{static_cast<int64_t>(v.size())}); };
  const auto given = [](const Tensor& t) {
    Operand o;
    o.type = t.type();
    o.strides = dense_strides(t.shape());
    o.constant = &t;
    o.present = true;
    return o;
  };
  const Tensor starts = numbers({-1, 1}), ends = numbers({kMin, 6}), axes = numbers({0, 1}), steps = numbers({-2, 2});
  const std::vector<Operand> slice_inputs{x, given(starts), given(ends), given(axes), given(steps)};
  const Attributes none;
  const auto window = ops::Slice.view({none, slice_inputs}, Shape{2, 3}, 0);
  ASSERT_TRUE(window);
  EXPECT_EQ(window->strides, (Dims{-12, 2}));
  EXPECT_EQ(window->offset, 3 * 6 + 1);

  Attributes axis;
  axis.set("axis", int64_t{1});
  const Tensor sizes = numbers({1, 5});
  const std::vector<Operand> split_inputs{x, given(sizes)};
  const auto second = ops::Split.view({axis, split_inputs, 2}, Shape{4, 5}, 1);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->strides, (Dims{6, 1}));
  EXPECT_EQ(second->offset, 1);
}

}  // namespace
}  // namespace oxplow
