// Values of the ops that move elements: views (by copies, as eager mode runs them), Gather, Concat, Pad, Cast, ConstantOfShape, Range.

#include <cstring>
#include <limits>
#include <numeric>

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using I = std::vector<int64_t>;

Tensor counted(const Shape& shape) {
  std::vector<int64_t> values(static_cast<size_t>(elements_of(shape)));
  std::iota(values.begin(), values.end(), int64_t{0});
  return tensor<int64_t>(shape, values);
}

TEST(Move, Views) {
  const Tensor x = counted({2, 3, 4});
  EXPECT_EQ(values_of<int64_t>(run_op("Reshape", {x, integers({4, -1})})), values_of<int64_t>(x));
  EXPECT_EQ(run_op("Flatten", {x}).shape(), (Shape{2, 12}));
  const Tensor t = run_op("Transpose", {x}, attributes_of({{"perm", ints({2, 0, 1})}}));
  EXPECT_EQ(t.shape(), (Shape{4, 2, 3}));
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 6; ++j) EXPECT_EQ(t.values<int64_t>()[static_cast<size_t>(i * 6 + j)], j * 4 + i);
  }
  EXPECT_EQ(values_of<int64_t>(run_op("Expand", {counted({2, 1}), integers({2, 2, 3})})),
            (I{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(values_of<int64_t>(run_op("Identity", {x})), values_of<int64_t>(x));
  EXPECT_EQ(run_op("Squeeze", {counted({1, 3, 1})}).shape(), (Shape{3}));
  EXPECT_EQ(run_op("Unsqueeze", {counted({3}), integers({0, 2})}).shape(), (Shape{1, 3, 1}));
}

TEST(Move, ViewsOfEverySize) {
  for (DType type : {DType::boolean, DType::i8, DType::bf16, DType::u16, DType::f32, DType::i32, DType::f64, DType::u64}) {
    Tensor x = Tensor::allocate({type, Shape{3, 5}}).take();
    auto* bytes = static_cast<uint8_t*>(x.mutable_data());
    for (size_t i = 0; i < x.bytes(); ++i) bytes[i] = type == DType::boolean ? i % 2 : static_cast<uint8_t>(i * 37);
    const Tensor y = run_op("Transpose", {x});
    const size_t size = static_cast<size_t>(bits_of(type)) / 8;
    for (size_t i = 0; i < 3; ++i) {
      for (size_t j = 0; j < 5; ++j) {
        EXPECT_EQ(std::memcmp(static_cast<const uint8_t*>(y.data()) + (j * 3 + i) * size, bytes + (i * 5 + j) * size, size), 0)
            << name_of(type);
      }
    }
  }
}

TEST(Move, Slice) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();
  const auto slice = [](const Tensor& x, const I& starts, const I& ends, const I& axes, const I& steps) {
    return values_of<int64_t>(run_op("Slice", {x, integers(starts), integers(ends), integers(axes), integers(steps)}));
  };
  const Tensor x = counted({10});
  EXPECT_EQ(slice(x, {2}, {8}, {0}, {3}), (I{2, 5}));
  EXPECT_EQ(slice(x, {-1}, {kMin}, {0}, {-1}), (I{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(slice(x, {7}, {-9}, {0}, {-3}), (I{7, 4}));
  EXPECT_EQ(slice(x, {kMax}, {0}, {0}, {-4}), (I{9, 5, 1}));
  EXPECT_EQ(slice(x, {5}, {5}, {0}, {1}), (I{}));
  EXPECT_EQ(slice(counted({3, 4}), {-1, 1}, {kMin, kMax}, {0, 1}, {-2, 2}), (I{9, 11, 1, 3}));
}

TEST(Move, Split) {
  const auto parts = run_ops("Split", {counted({2, 5}), integers({2, 0, 3})}, attributes_of({{"axis", int64_t{1}}}), 3);
  EXPECT_EQ(values_of<int64_t>(parts[0]), (I{0, 1, 5, 6}));
  EXPECT_EQ(values_of<int64_t>(parts[1]), (I{}));
  EXPECT_EQ(values_of<int64_t>(parts[2]), (I{2, 3, 4, 7, 8, 9}));
}

TEST(Move, Gather) {
  const Tensor x = counted({3, 2});
  EXPECT_EQ(values_of<int64_t>(run_op("Gather", {x, integers({2, -3})})), (I{4, 5, 0, 1}));
  EXPECT_EQ(values_of<int64_t>(run_op("Gather", {x, tensor<int32_t>({1, 2}, {1, 1})}, attributes_of({{"axis", int64_t{-1}}}))),
            (I{1, 1, 3, 3, 5, 5}));
  EXPECT_EQ(values_of<int64_t>(run_op("Gather", {x, Tensor::scalar<int64_t>(1)})), (I{2, 3}));
  EXPECT_EQ(run_op("Gather", {x, integers({})}).shape(), (Shape{0, 2}));
}

// In a run, indices are data: outside of the axis they are clamped, and nothing else is read.
TEST(Move, GatherOfIndicesOutside) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{3, 2}}), i = g.input("i", {DType::i64, Shape{4}});
  g.output(g.op("Gather", {x, i}));
  const Tensor values = tensor<float>({3, 2}, {0, 1, 2, 3, 4, 5});
  const Tensor indices = integers({3, -4, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()});
  EXPECT_EQ(values_of<float>(planned(g.graph, {values, indices})[0]), (std::vector<float>{4, 5, 0, 1, 4, 5, 0, 1}));
}

TEST(Move, Concat) {
  EXPECT_EQ(values_of<int64_t>(
                run_op("Concat", {counted({2, 1}), counted({2, 2}), counted({2, 0})}, attributes_of({{"axis", int64_t{-1}}}))),
            (I{0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(values_of<int64_t>(run_op("Concat", {counted({1, 2}), counted({2, 2})}, attributes_of({{"axis", int64_t{0}}}))),
            (I{0, 1, 0, 1, 2, 3}));
  EXPECT_EQ(values_of<int64_t>(run_op("Concat", {counted({3})}, attributes_of({{"axis", int64_t{0}}}))), (I{0, 1, 2}));
}

TEST(Move, ConcatOnManyThreads) {
  const Tensor a = random_f32({37, 500}, 1), b = random_f32({37, 311}, 2);
  const auto attributes = attributes_of({{"axis", int64_t{1}}});
  const Tensor y = run_op("Concat", {a, b, a}, attributes, best_isa(), 3);
  for (size_t i = 0; i < 37; ++i) {
    for (size_t j = 0; j < 1311; ++j) {
      const float expected = j < 500   ? a.values<float>()[i * 500 + j]
                             : j < 811 ? b.values<float>()[i * 311 + j - 500]
                                       : a.values<float>()[i * 500 + j - 811];
      ASSERT_EQ(y.values<float>()[i * 1311 + j], expected);
    }
  }
}

TEST(Move, Pad) {
  const auto pad = [](const Shape& shape, const I& pads, const Tensor& value = {}, const Tensor& axes = {}) {
    return values_of<int64_t>(run_op("Pad", {counted(shape), integers(pads), value, axes}));
  };
  EXPECT_EQ(pad({2, 2}, {0, 1, 1, 0}, Tensor::scalar<int64_t>(9)), (I{9, 0, 1, 9, 2, 3, 9, 9, 9}));
  EXPECT_EQ(pad({2, 2}, {0, 1, 0, 0}), (I{0, 0, 1, 0, 2, 3}));
  EXPECT_EQ(pad({5}, {-2, -1}), (I{2, 3}));
  EXPECT_EQ(pad({5}, {-2, 1}, Tensor::scalar<int64_t>(7)), (I{2, 3, 4, 7}));
  EXPECT_EQ(pad({5}, {2, -4}, Tensor::scalar<int64_t>(7)), (I{7, 7, 0}));
  EXPECT_EQ(pad({5}, {-5, 2}, Tensor::scalar<int64_t>(7)), (I{7, 7}));
  EXPECT_EQ(pad({2, 3}, {-1, 1}, {}, integers({1})), (I{1, 2, 0, 4, 5, 0}));
  EXPECT_EQ(pad({2, 0}, {1, 0, 0, 1}), (I{0, 0, 0}));
}

template <typename To, typename From>
std::vector<To> cast(std::vector<From> values) {
  const Shape shape{static_cast<int64_t>(values.size())};
  return values_of<To>(
      run_op("Cast", {tensor<From>(shape, std::move(values))}, attributes_of({{"to", static_cast<int64_t>(dtype_of<To>())}})));
}

TEST(Move, CastTruncatesAndSaturates) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  EXPECT_EQ((cast<int64_t, float>({1.9f, -1.9f, kNan, kInf, -kInf, 1e30f})),
            (I{1, -1, 0, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(),
               std::numeric_limits<int64_t>::max()}));
  EXPECT_EQ((cast<uint8_t, float>({-1.0f, 255.9f, 256.0f, kNan})), (std::vector<uint8_t>{0, 255, 255, 0}));
  EXPECT_EQ((cast<int8_t, double>({-128.9, 127.9, 1e300})), (std::vector<int8_t>{-128, 127, 127}));
  EXPECT_EQ((cast<int32_t, int64_t>({int64_t{1} << 32, -5})), (std::vector<int32_t>{0, -5})) << "integers keep their low bits";
  EXPECT_EQ((cast<bool, float>({0.0f, -0.0f, 0.5f, kNan})), (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ((cast<bool, int64_t>({0, 256, -1})), (std::vector<bool>{false, true, true}));
  EXPECT_EQ((cast<float, bool>({true, false})), (std::vector<float>{1, 0}));
  EXPECT_EQ((cast<float, uint64_t>({std::numeric_limits<uint64_t>::max()})), (std::vector<float>{0x1p64f}));
  EXPECT_EQ((cast<double, float>({0.1f})), (std::vector<double>{static_cast<double>(0.1f)}));
}

TEST(Move, CastOfHalves) {
  const auto bf16 = run_op("Cast", {tensor<float>({3}, {1.0f, 1.00390625f, -3.5f})},
                           attributes_of({{"to", static_cast<int64_t>(DType::bf16)}}));
  const Tensor back = run_op("Cast", {bf16}, attributes_of({{"to", static_cast<int64_t>(DType::f32)}}));
  EXPECT_EQ(values_of<float>(back), (std::vector<float>{1.0f, 1.0f, -3.5f})) << "rounded to nearest even";
  EXPECT_EQ(values_of<int32_t>(run_op("Cast", {bf16}, attributes_of({{"to", static_cast<int64_t>(DType::i32)}}))),
            (std::vector<int32_t>{1, 1, -3}));
  const auto f16 = run_op("Cast", {tensor<int32_t>({2}, {7, 70000})}, attributes_of({{"to", static_cast<int64_t>(DType::f16)}}));
  EXPECT_EQ(static_cast<float>(f16.values<Float16>()[0]), 7.0f);
  EXPECT_TRUE(std::isinf(static_cast<float>(f16.values<Float16>()[1])));
}

TEST(Move, ShapeValues) {
  EXPECT_EQ(values_of<int64_t>(run_op("Shape", {counted({2, 3, 4})})), (I{2, 3, 4}));
  EXPECT_EQ(values_of<int64_t>(run_op("Shape", {counted({2, 3, 4})}, attributes_of({{"start", int64_t{-2}}}))), (I{3, 4}));
  EXPECT_EQ(values_of<int64_t>(run_op("Size", {counted({2, 3})})), (I{6}));
  EXPECT_EQ(values_of<float>(run_op("ConstantOfShape", {integers({2, 2})}, attributes_of({{"value", number(3)}}))),
            (std::vector<float>{3, 3, 3, 3}));
  EXPECT_EQ(values_of<float>(run_op("ConstantOfShape", {integers({})})), (std::vector<float>{0}));
  EXPECT_EQ(
      values_of<int64_t>(run_op("Range", {Tensor::scalar<int64_t>(5), Tensor::scalar<int64_t>(-2), Tensor::scalar<int64_t>(-3)})),
      (I{5, 2, -1}));
  EXPECT_EQ(values_of<float>(run_op("Range", {number(0), number(1), number(0.25f)})),
            (std::vector<float>{0, 0.25f, 0.5f, 0.75f}));
}

}  // namespace
}  // namespace oxplow
