// Values of the ops on images: resizing, sampling, regions of interest, pooling over any number of axes.

#include <limits>

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using I = std::vector<int64_t>;
using F = std::vector<float>;

F run(std::string_view op, std::vector<Tensor> inputs, const Attributes& attributes = {}) {
  return values_of<float>(run_op(op, std::move(inputs), attributes));
}

TEST(Image, Resize) {
  const Tensor x = tensor<float>({1, 1, 1, 4}, {0, 1, 2, 3}), scales = tensor<float>({4}, {1, 1, 1, 2});
  EXPECT_EQ(run("Resize", {x, Tensor{}, scales}), (F{0, 0, 1, 1, 2, 2, 3, 3}));
  const Attributes linear = attributes_of({{"mode", std::string("linear")}});
  EXPECT_EQ(run("Resize", {x, Tensor{}, scales}, linear), (F{0, 0.25f, 0.75f, 1.25f, 1.75f, 2.25f, 2.75f, 3}));
  EXPECT_EQ(
      run("Resize", {x, Tensor{}, Tensor{}, integers({1, 1, 2, 7})},
          attributes_of({{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("align_corners")}})),
      (F{0, 0.5f, 1, 1.5f, 2, 2.5f, 3, 0, 0.5f, 1, 1.5f, 2, 2.5f, 3}));
  EXPECT_EQ(run("Resize", {x, Tensor{}, tensor<float>({4}, {1, 1, 1, 0.5f})},
                attributes_of({{"mode", std::string("linear")}, {"antialias", int64_t{1}}})),
            (F{0.625f, 2.375f}));
  EXPECT_EQ(run("Resize", {x, tensor<float>({2}, {0.5f, 2}), Tensor{}, integers({2})},
                attributes_of({{"mode", std::string("linear")},
                               {"axes", ints({3})},
                               {"extrapolation_value", 9.0f},
                               {"coordinate_transformation_mode", std::string("tf_crop_and_resize")}})),
            (F{1.5f, 9}));
  EXPECT_NE(op_error("Resize", {x, Tensor{}, tensor<float>({4}, {1, 1, 1, 1e30f})}).find("a scale of"), std::string::npos);
  EXPECT_NE(op_error("Resize", {x, Tensor{}, Tensor{}, integers({1 << 20, 1 << 20, 9, 9})}).find("16 GiB"), std::string::npos);
}

TEST(Image, ResizeDoesNotDependOnThreads) {
  const Tensor x = random_f32({2, 3, 31, 17}, 1);
  const Attributes cubic = attributes_of({{"mode", std::string("cubic")}});
  const Tensor sizes = integers({2, 3, 40, 41});
  EXPECT_TRUE(same_bits(run_op("Resize", {x, Tensor{}, Tensor{}, sizes}, cubic, best_isa(), 1),
                        run_op("Resize", {x, Tensor{}, Tensor{}, sizes}, cubic, best_isa(), 3)));
}

TEST(Image, GridSample) {
  const Tensor x = tensor<float>({1, 1, 2, 2}, {0, 1, 2, 3});
  const Tensor grid = tensor<float>({1, 1, 3, 2}, {0, 0, -1, -1, 3, 0});
  const Attributes corners = attributes_of({{"align_corners", int64_t{1}}});
  EXPECT_EQ(run("GridSample", {x, grid}, corners), (F{1.5f, 0, 0}));
  EXPECT_EQ(run("GridSample", {x, grid}, attributes_of({{"align_corners", int64_t{1}}, {"padding_mode", std::string("border")}})),
            (F{1.5f, 0, 2}));
  EXPECT_EQ(run("GridSample", {x, tensor<float>({1, 1, 1, 2}, {NAN, std::numeric_limits<float>::infinity()})}), (F{0}));
  EXPECT_EQ(run("AffineGrid", {tensor<float>({1, 2, 3}, {1, 0, 0.5f, 0, 1, 0}), integers({1, 1, 1, 2})}), (F{0, 0, 1, 0}));
}

TEST(Image, RegionsOfInterest) {
  const Tensor x = tensor<float>({1, 1, 2, 2}, {0, 1, 2, 3});
  EXPECT_EQ(
      run("RoiAlign", {x, tensor<float>({1, 4}, {0, 0, 2, 2}), integers({0})}, attributes_of({{"sampling_ratio", int64_t{1}}})),
      (F{1.5f}));
  EXPECT_EQ(run("MaxRoiPool", {x, tensor<float>({1, 5}, {0, 0, 0, 1, 1})}, attributes_of({{"pooled_shape", ints({1, 2})}})),
            (F{2, 3}));
}

TEST(Image, PoolsOfAnyRank) {
  const Attributes cube = attributes_of({{"kernel_shape", ints({2, 2, 2})}});
  const Tensor x = tensor<float>({1, 1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(run("AveragePoolNd", {x}, cube), (F{3.5f}));
  const auto pooled = run_ops("MaxPoolNd", {tensor<float>({1, 1, 4}, {3, 5, 4, 5})},
                              attributes_of({{"kernel_shape", ints({2})}, {"pads", ints({1, 1})}}), 2);
  EXPECT_EQ(values_of<float>(pooled[0]), (F{3, 5, 5, 5, 5}));
  EXPECT_EQ(values_of<int64_t>(pooled[1]), (I{0, 1, 1, 3, 3}));
  EXPECT_EQ(run("LpPoolNd", {tensor<float>({1, 1, 2}, {3, 4})}, attributes_of({{"kernel_shape", ints({2})}})), (F{5}));
  const auto bytes =
      run_op("MaxPool", {tensor<uint8_t>({1, 1, 3, 1}, {9, 200, 7})}, attributes_of({{"kernel_shape", ints({1, 2})}}));
  EXPECT_EQ(values_of<uint8_t>(bytes), (std::vector<uint8_t>{200, 200}));
  const Tensor wide = tensor<double>({1, 1, 2, 1}, {1, 2});
  EXPECT_EQ(values_of<double>(run_op("AveragePool", {wide}, attributes_of({{"kernel_shape", ints({1, 2})}}))),
            (std::vector<double>{1.5}));
  EXPECT_NE(op_error("MaxPoolNd", {x}, attributes_of({{"kernel_shape", ints({1, 1, int64_t{1} << 40})}})).find("out of range"),
            std::string::npos);
}

TEST(Image, MaxUnpool) {
  const Attributes pairs = attributes_of({{"kernel_shape", ints({2})}, {"strides", ints({2})}});
  const Tensor x = tensor<float>({1, 1, 2}, {5, 6}), places = tensor<int64_t>({1, 1, 2}, {1, 2});
  EXPECT_EQ(run("MaxUnpoolNd", {x, places}, pairs), (F{0, 5, 6, 0}));
  EXPECT_EQ(run("MaxUnpoolNd", {x, tensor<int64_t>({1, 1, 2}, {-9, 99}), integers({1, 1, 5})}, pairs), (F{0, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace oxplow
