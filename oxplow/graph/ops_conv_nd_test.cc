// Values of convolutions over any number of axes, their transposes, and folded columns: products of patches against plain loops.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using F = std::vector<float>;

// The f32 result, made by products, is near that of f64, made by plain loops.
void expect_like_f64(std::string_view op, const std::vector<Tensor>& inputs, const Attributes& attributes) {
  const Tensor fast = run_op(op, inputs, attributes);
  std::vector<Tensor> wide;
  for (const Tensor& input : inputs) wide.push_back(widened(input));
  const Tensor slow = run_op(op, wide, attributes);
  ASSERT_EQ(fast.shape(), slow.shape());
  const double tolerance = static_cast<double>(product(inputs[1].shape(), 0, inputs[1].shape().rank())) * 2 * kUnit;
  for (size_t i = 0; i < static_cast<size_t>(fast.elements()); ++i)
    ASSERT_NEAR(static_cast<double>(fast.values<float>()[i]), slow.values<double>()[i], tolerance) << i;
  EXPECT_TRUE(same_bits(fast, run_op(op, inputs, attributes, best_isa(), 3)));
}

TEST(ConvNd, CubesAndGroups) {
  expect_like_f64("ConvNd", {random_f32({2, 4, 5, 6, 7}, 1), random_f32({6, 2, 3, 1, 2}, 2), random_f32({6}, 3)},
                  attributes_of({{"group", int64_t{2}},
                                 {"strides", ints({2, 1, 3})},
                                 {"pads", ints({1, 0, 2, 0, 1, 1})},
                                 {"dilations", ints({1, 2, 2})}}));
}

TEST(ConvNd, Sums) {
  const Tensor x = tensor<double>({1, 1, 3}, {1, 2, 3}), w = tensor<double>({1, 1, 2}, {10, 1});
  EXPECT_EQ(values_of<double>(run_op("ConvNd", {x, w}, attributes_of({{"pads", ints({1, 0})}}))),
            (std::vector<double>{1, 12, 23}));
  EXPECT_NE(op_error("ConvNd", {x, tensor<double>({1, 2, 2}, {1, 1, 1, 1})}).find("do not fit"), std::string::npos);
}

TEST(ConvTranspose, Sums) {
  const Tensor x = tensor<float>({1, 1, 2}, {1, 2}), w = tensor<float>({1, 1, 3}, {1, 10, 100}), bias = tensor<float>({1}, {5});
  EXPECT_EQ(values_of<float>(run_op("ConvTranspose", {x, w, bias}, attributes_of({{"strides", ints({2})}}))),
            (F{6, 15, 107, 25, 205}));
  EXPECT_EQ(
      values_of<float>(run_op("ConvTranspose", {x, w},
                              attributes_of({{"strides", ints({2})}, {"pads", ints({1, 1})}, {"output_padding", ints({1})}}))),
      (F{10, 102, 20, 200}));
  EXPECT_EQ(
      values_of<float>(run_op("ConvTranspose", {x, w}, attributes_of({{"strides", ints({2})}, {"output_shape", ints({4})}}))),
      (F{10, 102, 20, 200}));
}

TEST(ConvTranspose, ImagesAndGroups) {
  expect_like_f64(
      "ConvTranspose", {random_f32({2, 4, 5, 3}, 1), random_f32({4, 3, 3, 2}, 2), random_f32({6}, 3)},
      attributes_of(
          {{"group", int64_t{2}}, {"strides", ints({2, 1})}, {"pads", ints({1, 0, 2, 1})}, {"dilations", ints({1, 2})}}));
}

TEST(Col2Im, AddsOverlaps) {
  const Tensor columns = tensor<float>({1, 2, 2}, {1, 2, 10, 20});
  EXPECT_EQ(values_of<float>(run_op("Col2Im", {columns, integers({1, 3}), integers({1, 2})})), (F{1, 12, 20}));
  EXPECT_NE(op_error("Col2Im", {columns, integers({1, 9}), integers({1, 2})}).find("do not make images"), std::string::npos);
}

// Without moves and weights of 1 it is a convolution.
TEST(DeformConv, OfNoOffsets) {
  const Tensor x = random_f32({1, 2, 4, 4}, 1), w = random_f32({3, 2, 2, 2}, 2);
  const Tensor offset = random_f32({1, 8, 3, 3}, 3, 0, 0), mask = random_f32({1, 4, 3, 3}, 4, 1, 1);
  expect_close(run_op("DeformConv", {x, w, offset, Tensor{}, mask}), run_op("ConvNd", {x, w}), 1e-6);
  const Tensor far = random_f32({1, 8, 3, 3}, 3, 1e20f, 1e20f);
  EXPECT_EQ(values_of<float>(run_op("DeformConv", {x, w, far})), F(27, 0));
}

}  // namespace
}  // namespace oxplow
