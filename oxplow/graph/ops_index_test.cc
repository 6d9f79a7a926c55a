// Values of the ops that move elements by index or by rule: gather, scatter, one-hot, triangles, tiles, frames, sequences, the largest.

#include <limits>
#include <numeric>

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using I = std::vector<int64_t>;
using F = std::vector<float>;

Tensor counted(const Shape& shape) {
  std::vector<int64_t> values(static_cast<size_t>(elements_of(shape)));
  std::iota(values.begin(), values.end(), int64_t{0});
  return tensor<int64_t>(shape, values);
}

I run(std::string_view op, std::vector<Tensor> inputs, const Attributes& attributes = {}) {
  return values_of<int64_t>(run_op(op, std::move(inputs), attributes));
}

TEST(Index, GatherElements) {
  const Tensor x = counted({3, 3}), indices = tensor<int64_t>({2, 3}, {1, 2, 0, 2, 0, -3});
  EXPECT_EQ(run("GatherElements", {x, indices}), (I{3, 7, 2, 6, 1, 2}));
  EXPECT_EQ(run("GatherElements", {x, indices}, attributes_of({{"axis", int64_t{1}}})), (I{1, 2, 0, 5, 3, 3}));
  EXPECT_NE(op_error("GatherElements", {x, tensor<int64_t>({1, 1}, {3})}).find("index 3 is outside"), std::string::npos);
  EXPECT_NE(op_error("GatherElements", {x, tensor<int64_t>({1, 4}, {0, 0, 0, 0})}).find("do not lie within"), std::string::npos);
}

TEST(Index, GatherND) {
  const Tensor x = counted({2, 2, 2});
  EXPECT_EQ(run("GatherND", {x, tensor<int64_t>({2, 2}, {0, 1, 1, -2})}), (I{2, 3, 4, 5}));
  EXPECT_EQ(run("GatherND", {x, tensor<int64_t>({2, 1}, {1, 0})}, attributes_of({{"batch_dims", int64_t{1}}})), (I{2, 3, 4, 5}));
  EXPECT_NE(op_error("GatherND", {x, tensor<int64_t>({1, 4}, {0, 0, 0, 0})}).find("indices of [1, 4]"), std::string::npos);
}

TEST(Index, ScatterElements) {
  const Tensor x = tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6}), indices = tensor<int64_t>({2, 2}, {0, 0, 2, -1});
  const Tensor updates = tensor<float>({2, 2}, {10, 20, 30, 40});
  const auto scatter = [&](const char* reduction) {
    return values_of<float>(run_op("ScatterElements", {x, indices, updates},
                                   attributes_of({{"axis", int64_t{1}}, {"reduction", std::string(reduction)}})));
  };
  EXPECT_EQ(scatter("none"), (F{20, 2, 3, 4, 5, 40}));
  EXPECT_EQ(scatter("add"), (F{31, 2, 3, 4, 5, 76}));
  EXPECT_EQ(scatter("mul"), (F{200, 2, 3, 4, 5, 7200}));
  EXPECT_EQ(scatter("max"), (F{20, 2, 3, 4, 5, 40}));
  EXPECT_EQ(scatter("min"), (F{1, 2, 3, 4, 5, 6}));
}

TEST(Index, ScatterND) {
  EXPECT_EQ(run("ScatterND", {counted({4}), tensor<int64_t>({2, 1}, {1, -1}), integers({10, 20})}), (I{0, 10, 2, 20}));
  const Attributes add = attributes_of({{"reduction", std::string("add")}});
  EXPECT_EQ(run("ScatterND", {counted({2, 2}), tensor<int64_t>({2, 1}, {1, 1}), tensor<int64_t>({2, 2}, {1, 2, 3, 4})}, add),
            (I{0, 1, 6, 9}));
}

// In a run indices are data: what lies outside is clamped, and nothing else is written.
TEST(Index, ScatterOfIndicesOutside) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{3}}), i = g.input("i", {DType::i64, Shape{2, 1}});
  g.output(g.op("ScatterND", {x, i, g.constant(tensor<float>({2}, {8, 9}))}));
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(values_of<float>(planned(g.graph, {tensor<float>({3}, {0, 1, 2}), tensor<int64_t>({2, 1}, {kMax, kMin})})[0]),
            (F{9, 1, 8}));
}

TEST(Index, TensorScatter) {
  const Tensor cache = counted({2, 3, 1}), update = tensor<int64_t>({2, 2, 1}, {10, 11, 12, 13});
  EXPECT_EQ(run("TensorScatter", {cache, update, integers({1, 0})}), (I{0, 10, 11, 12, 13, 5}));
  EXPECT_EQ(run("TensorScatter", {cache, update, integers({2, 5})}, attributes_of({{"mode", std::string("circular")}})),
            (I{11, 1, 10, 13, 4, 12}));
}

TEST(Index, OneHotAndTriangles) {
  const Tensor values = tensor<int64_t>({2}, {5, 7});
  EXPECT_EQ(run("OneHot", {integers({1, -1, 9}), Tensor::scalar<int64_t>(2), values}), (I{5, 7, 5, 7, 5, 5}));
  EXPECT_EQ(run("OneHot", {integers({1, 0}), Tensor::scalar<float>(2), values}, attributes_of({{"axis", int64_t{0}}})),
            (I{5, 7, 7, 5}));
  const Tensor x = counted({2, 3});
  EXPECT_EQ(run("Trilu", {x}), (I{0, 1, 2, 0, 4, 5}));
  EXPECT_EQ(run("Trilu", {x, Tensor::scalar<int64_t>(-1)}, attributes_of({{"upper", int64_t{0}}})), (I{0, 0, 0, 3, 0, 0}));
  EXPECT_EQ(run("Trilu", {x, Tensor::scalar<int64_t>(std::numeric_limits<int64_t>::min())}), (I{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(run("EyeLike", {x}, attributes_of({{"k", int64_t{1}}})), (I{0, 1, 0, 0, 0, 1}));
}

TEST(Index, TopK) {
  const Tensor x = tensor<float>({2, 4}, {1, 3, 3, NAN, -1, -2, 0, -5});
  const auto top = run_ops("TopK", {x, integers({2})}, {}, 2);
  EXPECT_EQ(values_of<int64_t>(top[1]), (I{3, 1, 2, 0}));
  const auto least = run_ops("TopK", {x, integers({2})}, attributes_of({{"largest", int64_t{0}}, {"axis", int64_t{0}}}), 2);
  EXPECT_EQ(values_of<int64_t>(least[1]), (I{1, 1, 1, 1, 0, 0, 0, 0}));
  // A heap and a selection agree.
  const Tensor many = random_f32({3, 100}, 1);
  const auto all = run_ops("TopK", {many, integers({100})}, {}, 2), few = run_ops("TopK", {many, integers({5})}, {}, 2);
  for (size_t row = 0; row < 3; ++row) {
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(few[1].values<int64_t>()[row * 5 + i], all[1].values<int64_t>()[row * 100 + i]);
  }
  EXPECT_NE(op_error("TopK", {x, integers({5})}, {}, 2).find("k of a TopK"), std::string::npos);
}

TEST(Index, TilesAndBlocks) {
  EXPECT_EQ(run("Tile", {counted({1, 2}), integers({2, 2})}), (I{0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(run("Tile", {counted({2}), integers({0})}), (I{}));
  EXPECT_NE(op_error("Tile", {counted({2}), integers({-1})}).find("impossible repeats"), std::string::npos);
  const Attributes two = attributes_of({{"blocksize", int64_t{2}}});
  const Tensor deep = counted({1, 8, 1, 1});
  EXPECT_EQ(run("DepthToSpace", {deep}, two), (I{0, 2, 4, 6, 1, 3, 5, 7}));
  EXPECT_EQ(run("DepthToSpace", {deep}, attributes_of({{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}})),
            (I{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(values_of<int64_t>(run_op("SpaceToDepth", {run_op("DepthToSpace", {deep}, two)}, two)), values_of<int64_t>(deep));
}

TEST(Index, PadModes) {
  const auto pad = [](const char* mode, const I& pads) {
    return run("Pad", {counted({3}), integers(pads)}, attributes_of({{"mode", std::string(mode)}}));
  };
  EXPECT_EQ(pad("edge", {2, 1}), (I{0, 0, 0, 1, 2, 2}));
  EXPECT_EQ(pad("reflect", {2, 5}), (I{2, 1, 0, 1, 2, 1, 0, 1, 2, 1}));
  EXPECT_EQ(pad("wrap", {4, 1}), (I{2, 0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(pad("reflect", {-1, 1}), (I{1, 2, 1}));
  EXPECT_EQ(run("Pad", {counted({2, 2}), integers({1, 0}), Tensor::scalar<int64_t>(7), integers({-1})}), (I{7, 0, 1, 7, 2, 3}));
  EXPECT_NE(
      op_error("Pad", {counted({0}), integers({1, 0})}, attributes_of({{"mode", std::string("edge")}})).find("nothing to pad"),
      std::string::npos);
  EXPECT_EQ(run("CenterCropPad", {counted({5}), integers({2})}), (I{1, 2}));
  EXPECT_EQ(run("CenterCropPad", {counted({2}), integers({5})}), (I{0, 0, 1, 0, 0}));
}

TEST(Index, ReverseSequence) {
  EXPECT_EQ(run("ReverseSequence", {counted({3, 2}), integers({2, 3})}), (I{2, 5, 0, 3, 4, 1}));
  EXPECT_EQ(run("ReverseSequence", {counted({2, 3}), integers({1, 99})},
                attributes_of({{"time_axis", int64_t{1}}, {"batch_axis", int64_t{0}}})),
            (I{0, 1, 2, 5, 4, 3}));
}

}  // namespace
}  // namespace oxplow
