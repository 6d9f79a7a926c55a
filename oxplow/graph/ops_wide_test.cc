// Values of ops over elements of any type: what is loaded as wide numbers, computed and stored.

#include <cmath>
#include <limits>

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

template <typename T>
std::vector<T> reduced(const char* op, const Shape& shape, std::vector<T> values, std::vector<int64_t> axes) {
  return values_of<T>(run_op(op, {tensor<T>(shape, std::move(values)), integers(std::move(axes))}));
}

TEST(WideReduce, Integers) {
  using I = std::vector<int32_t>;
  const I x{1, -2, 3, 4, 5, -6};
  EXPECT_EQ(reduced<int32_t>("ReduceSum", {2, 3}, x, {1}), (I{2, 3}));
  EXPECT_EQ(reduced<int32_t>("ReduceSum", {2, 3}, x, {0}), (I{5, 3, -3}));
  EXPECT_EQ(reduced<int32_t>("ReduceProd", {2, 3}, x, {0, 1}), (I{720}));
  EXPECT_EQ(reduced<int32_t>("ReduceMax", {2, 3}, x, {1}), (I{3, 5}));
  EXPECT_EQ(reduced<int32_t>("ReduceMin", {2, 3}, x, {1}), (I{-2, -6}));
  EXPECT_EQ(reduced<int32_t>("ReduceL1", {2, 3}, x, {1}), (I{6, 15}));
  EXPECT_EQ(reduced<int32_t>("ReduceSumSquare", {2, 3}, x, {1}), (I{14, 77}));
  EXPECT_EQ(reduced<int32_t>("ReduceMean", {2, 3}, {-1, -2, -2, 4, 5, 6}, {1}), (I{-1, 5})) << "toward zero";
  EXPECT_EQ(reduced<int32_t>("ReduceSum", {2}, {std::numeric_limits<int32_t>::max(), 1}, {0}),
            (I{std::numeric_limits<int32_t>::min()}))
      << "overflow wraps";
}

TEST(WideReduce, NoElements) {
  EXPECT_EQ(reduced<int8_t>("ReduceMax", {2, 0}, {}, {1}), (std::vector<int8_t>{-128, -128}));
  EXPECT_EQ(reduced<uint16_t>("ReduceMin", {2, 0}, {}, {1}), (std::vector<uint16_t>{65535, 65535}));
  EXPECT_EQ(reduced<bool>("ReduceMax", {1, 0}, {}, {1}), (std::vector<bool>{false}));
  EXPECT_EQ(reduced<double>("ReduceMin", {1, 0}, {}, {1}), (std::vector<double>{kInf}));
  EXPECT_EQ(reduced<double>("ReduceLogSumExp", {1, 0}, {}, {1}), (std::vector<double>{-kInf}));
}

TEST(WideReduce, Doubles) {
  EXPECT_EQ(reduced<double>("ReduceL2", {2}, {3, 4}, {0}), (std::vector<double>{5}));
  EXPECT_NEAR(reduced<double>("ReduceLogSumExp", {2}, {1000, 1000}, {0})[0], 1000 + std::log(2.0), 1e-12) << "no overflow";
  EXPECT_TRUE(std::isnan(reduced<double>("ReduceMax", {3}, {1, kNan, 2}, {0})[0]));
}

TEST(WideReduce, MoreGroupsOfAxesThanTheKernelsHave) {
  const Tensor x = random_f32({2, 2, 2, 2, 2, 2, 2, 2}, 1);
  const Tensor at_once = run_op("ReduceSum", {x, integers({0, 2, 4, 6})});
  Tensor by_one = x;
  for (int64_t axis : {0, 2, 4, 6}) by_one = run_op("ReduceSum", {by_one, integers({axis})});
  for (size_t i = 0; i < 16; ++i) ASSERT_NEAR(at_once.values<float>()[i], by_one.values<float>()[i], 16 * 16 * kUnit);
}

TEST(WideReduce, ThreadsGiveTheSameBits) {
  const Tensor x = run_op("Cast", {random_f32({301, 77}, 1)}, attributes_of({{"to", static_cast<int64_t>(DType::f64)}}));
  EXPECT_TRUE(same_bits(run_op("ReduceSum", {x, integers({0})}, {}, best_isa(), 1),
                        run_op("ReduceSum", {x, integers({0})}, {}, best_isa(), 3)));
}

TEST(ArgReduce, FirstAndLast) {
  const auto arg = [](const char* op, const Tensor& x, int64_t last) {
    return values_of<int64_t>(run_op(op, {x}, attributes_of({{"axis", int64_t{1}}, {"select_last_index", last}})));
  };
  using I = std::vector<int64_t>;
  const Tensor floats = tensor<float>({2, 4}, {1, 5, 5, 2, 0, -1, -1, 0}),
               small = tensor<int8_t>({2, 4}, {1, 5, 5, 2, 0, -1, -1, 0});
  for (const Tensor& x : {floats, small}) {
    EXPECT_EQ(arg("ArgMax", x, 0), (I{1, 0}));
    EXPECT_EQ(arg("ArgMax", x, 1), (I{2, 3}));
    EXPECT_EQ(arg("ArgMin", x, 0), (I{0, 1}));
    EXPECT_EQ(arg("ArgMin", x, 1), (I{0, 2}));
  }
  EXPECT_EQ(arg("ArgMax", tensor<double>({1, 3}, {1, kNan, 9}), 0), (I{1}));
  EXPECT_EQ(run_op("ArgMax", {floats}, attributes_of({{"keepdims", int64_t{0}}})).shape(), (Shape{4}));
  EXPECT_NE(op_error("ArgMax", {tensor<float>({0, 2}, {})}).find("no elements"), std::string::npos);
}

TEST(Cumulative, Directions) {
  const auto run = [](const char* op, int64_t axis, int64_t exclusive, int64_t reverse) {
    return values_of<int32_t>(run_op(op, {tensor<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6}), Tensor::scalar<int64_t>(axis)},
                                     attributes_of({{"exclusive", exclusive}, {"reverse", reverse}})));
  };
  using I = std::vector<int32_t>;
  EXPECT_EQ(run("CumSum", 1, 0, 0), (I{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(run("CumSum", 0, 0, 0), (I{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(run("CumSum", -1, 1, 0), (I{0, 1, 3, 0, 4, 9}));
  EXPECT_EQ(run("CumSum", 1, 1, 1), (I{5, 3, 0, 11, 6, 0}));
  EXPECT_EQ(run("CumProd", 1, 0, 1), (I{6, 6, 3, 120, 30, 6}));
}

TEST(Rows, SoftmaxOfDoubles) {
  const Tensor x = tensor<double>({1, 2, 2}, {1, 2, 3, 5});
  const auto y = values_of<double>(run_op("Softmax", {x}, attributes_of({{"axis", int64_t{1}}})));
  EXPECT_NEAR(y[0], 1 / (1 + std::exp(2.0)), 1e-15);
  EXPECT_NEAR(y[3], 1 / (1 + std::exp(-3.0)), 1e-15);
  EXPECT_NEAR(values_of<double>(run_op("LogSoftmax", {x}))[1], -std::log1p(std::exp(-1.0)), 1e-15);
}

TEST(Rows, Hardmax) {
  EXPECT_EQ(values_of<float>(run_op("Hardmax", {tensor<float>({2, 3}, {3, 1, 3, 0, 9, 2})})),
            (std::vector<float>{1, 0, 0, 0, 1, 0}));
}

TEST(Rows, LpNormalization) {
  const auto run = [](int64_t p) {
    return values_of<float>(
        run_op("LpNormalization", {tensor<float>({2, 2}, {3, 0, -4, 0})}, attributes_of({{"p", p}, {"axis", int64_t{0}}})));
  };
  EXPECT_EQ(run(2), (std::vector<float>{0.6f, 0, -0.8f, 0}));
  EXPECT_EQ(run(1), (std::vector<float>{3.0f / 7, 0, -4.0f / 7, 0}));
}

TEST(Rows, LocalResponseNormalization) {
  const auto y = values_of<float>(run_op("LRN", {tensor<float>({1, 3, 1}, {1, 2, 3})},
                                         attributes_of({{"size", int64_t{2}}, {"alpha", 2.0f}, {"beta", 1.0f}})));
  EXPECT_EQ(y, (std::vector<float>{1.0f / 6, 2.0f / 14, 3.0f / 10})) << "a window of two looks ahead";
}

Tensor as_type(const Tensor& x, DType type) { return run_op("Cast", {x}, attributes_of({{"to", static_cast<int64_t>(type)}})); }

// The same function in f64, which goes by wide numbers, and in f32, which the kernels have.
TEST(Norms, DoublesAndKernelsAgree) {
  const Tensor x = random_f32({3, 4, 17}, 1), scale = random_f32({4, 17}, 2), bias = random_f32({4, 17}, 3);
  const auto attributes = attributes_of({{"axis", int64_t{1}}});
  for (const char* op : {"LayerNormalization", "RMSNormalization"}) {
    const auto by_kernel = run_ops(op, {x, scale, bias}, attributes, 3);
    const auto wide = run_ops(op, {as_type(x, DType::f64), as_type(scale, DType::f64), as_type(bias, DType::f64)}, attributes, 3);
    const Tensor y = as_type(wide[0], DType::f32);
    for (size_t i = 0; i < y.values<float>().size(); ++i)
      ASSERT_NEAR(by_kernel[0].values<float>()[i], y.values<float>()[i], 100 * kUnit) << op;
    if (std::string_view(op) == "RMSNormalization") continue;
    EXPECT_EQ(wide[1].shape(), (Shape{3, 1, 1}));
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(by_kernel[1].values<float>()[i], wide[1].values<float>()[i], 16 * kUnit);
      EXPECT_NEAR(by_kernel[2].values<float>()[i], wide[2].values<float>()[i], 100 * kUnit);
    }
  }
}

TEST(Norms, ScaleOfOtherExtents) {
  const Tensor x = tensor<float>({2, 2}, {1, 3, 5, 9});
  EXPECT_EQ(
      values_of<float>(run_op("LayerNormalization", {x, tensor<float>({2, 1}, {1, 10})}, attributes_of({{"epsilon", 0.0f}}))),
      (std::vector<float>{-1, 1, -10, 10}))
      << "a scale for each row";
  EXPECT_NE(op_error("LayerNormalization", {x, tensor<float>({3}, {1, 1, 1})}).find("scale or bias"), std::string::npos);
}

TEST(Norms, Groups) {
  const Tensor x = tensor<float>({1, 4, 1}, {1, 3, 10, 30}), scale = tensor<float>({4}, {1, 2, 3, 4}),
               bias = tensor<float>({4}, {0, 0, 0, 1});
  const auto exact = [](int64_t groups) { return attributes_of({{"num_groups", groups}, {"epsilon", 0.0f}}); };
  EXPECT_EQ(values_of<float>(run_op("GroupNormalization", {x, scale, bias}, exact(2))), (std::vector<float>{-1, 2, -3, 5}));
  const Tensor two = tensor<float>({2}, {1, 5});
  EXPECT_EQ(values_of<float>(run_op("GroupNormalization", {x, two, tensor<float>({2}, {0, 0})}, exact(2))),
            (std::vector<float>{-1, 1, -5, 5}))
      << "a scale for each group";
  EXPECT_NE(op_error("GroupNormalization", {x, scale, bias}, exact(3)).find("4 channels in 3 groups"), std::string::npos);
  const Tensor pixels = tensor<float>({1, 2, 2}, {1, 3, 10, 30});
  EXPECT_EQ(values_of<float>(run_op("InstanceNormalization", {pixels, two, tensor<float>({2}, {0, 7})}, exact(0))),
            (std::vector<float>{-1, 1, 2, 12}));
}

TEST(Quantize, RoundsToEvenAndSaturates) {
  const Tensor x = tensor<float>({6}, {-1000, -1, 1, 3, 5, 1000}), scale = number(2);
  EXPECT_EQ(values_of<uint8_t>(run_op("QuantizeLinear", {x, scale, Tensor::scalar<uint8_t>(128)})),
            (std::vector<uint8_t>{0, 128, 128, 130, 130, 255}));
  EXPECT_EQ(values_of<int8_t>(run_op("QuantizeLinear", {x, scale, Tensor::scalar<int8_t>(0)})),
            (std::vector<int8_t>{-128, 0, 0, 2, 2, 127}));
  const Tensor small = run_op("QuantizeLinear", {x, scale}, attributes_of({{"output_dtype", static_cast<int64_t>(DType::i4)}}));
  EXPECT_EQ(values_of<int8_t>(as_type(small, DType::i8)), (std::vector<int8_t>{-8, 0, 0, 2, 2, 7}));
  const Tensor floats =
      run_op("QuantizeLinear", {x, scale}, attributes_of({{"output_dtype", static_cast<int64_t>(DType::f8e4m3fn)}}));
  EXPECT_EQ(values_of<float>(run_op("DequantizeLinear", {floats, scale})), (std::vector<float>{-896, -1, 1, 3, 5, 896}));
}

TEST(Quantize, ScalesByAxisAndBlock) {
  const Tensor x = tensor<int8_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto axis = [](int64_t a, int64_t block) { return attributes_of({{"axis", a}, {"block_size", block}}); };
  EXPECT_EQ(
      values_of<float>(run_op("DequantizeLinear", {x, tensor<float>({2}, {1, 10}), tensor<int8_t>({2}, {0, 4})}, axis(0, 0))),
      (std::vector<float>{1, 2, 3, 0, 10, 20}));
  EXPECT_EQ(values_of<float>(run_op("DequantizeLinear", {x, tensor<float>({2, 2}, {1, 10, 2, 20})}, axis(1, 2))),
            (std::vector<float>{1, 2, 30, 8, 10, 120}))
      << "a last block that is short";
  EXPECT_EQ(values_of<float>(run_op("DequantizeLinear", {x, tensor<float>({1, 3}, {1, 10, 100})}, axis(0, 2))),
            (std::vector<float>{1, 20, 300, 4, 50, 600}));
  EXPECT_NE(op_error("DequantizeLinear", {x, tensor<float>({4}, {1, 1, 1, 1})}, axis(0, 0)).find("[2] would do"),
            std::string::npos);
}

TEST(WideMatMul, EveryType) {
  const Tensor a = tensor<int32_t>({2, 2}, {1, 2, 3, 4}), b = tensor<int32_t>({2, 2}, {5, 6, 7, 8});
  EXPECT_EQ(values_of<int32_t>(run_op("MatMul", {a, b})), (std::vector<int32_t>{19, 22, 43, 50}));
  const Tensor big = tensor<int32_t>({1, 1}, {1 << 20});
  EXPECT_EQ(values_of<int32_t>(run_op("MatMul", {big, big})), (std::vector<int32_t>{0})) << "wraps";
  const auto transposed = attributes_of({{"trans_w", int64_t{1}}});
  EXPECT_EQ(values_of<double>(run_op("Linear", {as_type(a, DType::f64), as_type(b, DType::f64)}, transposed)),
            (std::vector<double>{17, 23, 39, 53}));
  const Tensor batch = random_f32({3, 1, 9, 20}, 1), right = random_f32({2, 20, 11}, 2);
  const Tensor expected = run_op("MatMul", {batch, right});
  const Tensor actual = run_op("MatMul", {as_type(batch, DType::f64), as_type(right, DType::f64)}, {}, best_isa(), 3);
  EXPECT_TRUE(same_bits(actual, run_op("MatMul", {as_type(batch, DType::f64), as_type(right, DType::f64)}, {}, best_isa(), 1)));
  for (size_t i = 0; i < 3 * 2 * 99; ++i)
    ASSERT_NEAR(static_cast<double>(expected.values<float>()[i]), actual.values<double>()[i], 40 * kUnit);
}

TEST(Einsum, Equations) {
  const auto run = [](const char* equation, std::vector<Tensor> inputs) {
    return run_op("Einsum", std::move(inputs), attributes_of({{"equation", std::string(equation)}}));
  };
  const Tensor a = tensor<int32_t>({2, 2}, {1, 2, 3, 4}), b = tensor<int32_t>({2}, {10, 1});
  EXPECT_EQ(values_of<int32_t>(run("ij->ji", {a})), (std::vector<int32_t>{1, 3, 2, 4}));
  EXPECT_EQ(values_of<int32_t>(run("ij,j->i", {a, b})), (std::vector<int32_t>{12, 34}));
  EXPECT_EQ(values_of<int32_t>(run("ij,j", {a, b})), (std::vector<int32_t>{12, 34}));
  EXPECT_EQ(values_of<int32_t>(run("ii", {a})), (std::vector<int32_t>{5})) << "a trace";
  EXPECT_EQ(values_of<int32_t>(run("...j->...", {a})), (std::vector<int32_t>{3, 7}));
  EXPECT_EQ(values_of<int32_t>(run("i,j,k->ijk", {b, b, b})).size(), 8u);
  const auto refused = [](const char* equation, const Tensor& x) {
    return op_error("Einsum", {x}, attributes_of({{"equation", std::string(equation)}}));
  };
  EXPECT_NE(refused("ijk->i", a).find("does not fit"), std::string::npos);
  EXPECT_NE(refused("ij->k", a).find("in its result only"), std::string::npos);
  EXPECT_NE(refused("i?->i", a).find("no letter"), std::string::npos);
}

TEST(Det, Pivots) {
  EXPECT_EQ(values_of<double>(run_op("Det", {tensor<double>({2, 2, 2}, {0, 1, 1, 0, 2, 1, 1, 3})})),
            (std::vector<double>{-1, 5}));
  EXPECT_EQ(values_of<double>(run_op("Det", {tensor<double>({2, 2}, {1, 2, 2, 4})})), (std::vector<double>{0}));
}

TEST(Loss, Reductions) {
  const Tensor scores = tensor<float>({3, 2}, {-1, -2, -3, -4, -5, -6}), classes = tensor<int64_t>({3}, {0, 1, 1});
  const auto run = [&](const char* reduction, std::optional<int64_t> ignored, bool weighted) {
    Attributes attributes = attributes_of({{"reduction", std::string(reduction)}});
    if (ignored) attributes.set("ignore_index", *ignored);
    std::vector<Tensor> inputs{scores, classes};
    if (weighted) inputs.push_back(tensor<float>({2}, {1, 3}));
    return values_of<float>(run_op("NegativeLogLikelihoodLoss", inputs, attributes));
  };
  EXPECT_EQ(run("none", {}, false), (std::vector<float>{1, 4, 6}));
  EXPECT_EQ(run("sum", {}, true), (std::vector<float>{31}));
  EXPECT_EQ(run("mean", {}, true), (std::vector<float>{31.0f / 7}));
  EXPECT_EQ(run("mean", 1, false), (std::vector<float>{1}));
  const Tensor wrong = tensor<int64_t>({3}, {0, 9, -9});
  EXPECT_EQ(
      values_of<float>(run_op("NegativeLogLikelihoodLoss", {scores, wrong}, attributes_of({{"reduction", std::string("sum")}}))),
      (std::vector<float>{1}))
      << "no class, no loss";
}

TEST(Random, ASeedGivesTheSameNumbersForAnyThreads) {
  const auto attributes = attributes_of({{"shape", ints({5, 1000})}, {"seed", 3.0f}, {"low", -1.0f}, {"high", 1.0f}});
  const Tensor one = run_op("RandomUniform", {}, attributes, best_isa(), 1);
  EXPECT_TRUE(same_bits(one, run_op("RandomUniform", {}, attributes, best_isa(), 3)));
  for (float v : one.values<float>()) ASSERT_TRUE(v >= -1 && v <= 1);
  EXPECT_EQ(run_op("RandomNormalLike", {one}).type(), one.type());
  const auto other = attributes_of({{"shape", ints({5, 1000})}});
  EXPECT_FALSE(same_bits(run_op("RandomNormal", {}, other), run_op("RandomNormal", {}, other)));
}

TEST(Random, Choices) {
  const Tensor certain = tensor<float>({4}, {0, 1, 1, 0});
  EXPECT_EQ(values_of<bool>(run_op("Bernoulli", {certain}, attributes_of({{"dtype", static_cast<int64_t>(DType::boolean)}}))),
            (std::vector<bool>{false, true, true, false}));
  const Tensor logs = tensor<float>({2, 3}, {-100, 0, -100, -100, -100, 0});
  EXPECT_EQ(values_of<int32_t>(run_op("Multinomial", {logs}, attributes_of({{"sample_size", int64_t{2}}}))),
            (std::vector<int32_t>{1, 1, 2, 2}));
}

TEST(Random, Dropout) {
  const Tensor x = Tensor::of<float>(std::vector<float>(10000, 3), Shape{10000});
  const auto off = run_ops("Dropout", {x, number(0.25f), Tensor::scalar<bool>(false)}, {}, 2);
  EXPECT_TRUE(same_bits(off[0], x));
  const auto on = run_ops("Dropout", {x, number(0.25f), Tensor::scalar<bool>(true)}, {}, 2);
  int kept = 0;
  for (size_t i = 0; i < 10000; ++i) {
    kept += on[1].values<bool>()[i];
    ASSERT_EQ(on[0].values<float>()[i], on[1].values<bool>()[i] ? 4 : 0);
  }
  EXPECT_NEAR(kept, 7500, 5 * std::sqrt(10000 * 0.25 * 0.75));
}

}  // namespace
}  // namespace oxplow
