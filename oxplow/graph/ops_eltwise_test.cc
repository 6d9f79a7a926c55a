// Values of the elementwise ops: numbers of every type, broadcasting, and each function of the list against the formula of its kernel.

#include <limits>

#include "oxplow/graph/small_graph.h"
#include "oxplow/kernels/eltwise/eltwise.h"
#include "oxplow/kernels/eltwise/reference.h"
#include "oxplow/ops/chain.h"

namespace oxplow {
namespace {

using I = std::vector<int64_t>;
constexpr int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

TEST(Integers, Arithmetic) {
  const auto two = [](const char* op, I a, I b) {
    return values_of<int64_t>(run_op(op, {integers(std::move(a)), integers(std::move(b))}));
  };
  EXPECT_EQ(two("Add", {1, kMax}, {2, 1}), (I{3, kMin})) << "overflow wraps";
  EXPECT_EQ(two("Sub", {1, kMin}, {2, 1}), (I{-1, kMax}));
  EXPECT_EQ(two("Mul", {-3, kMin}, {4, -1}), (I{-12, kMin}));
  EXPECT_EQ(two("Div", {7, -7, 7, kMin, 5}, {2, 2, -2, -1, 0}), (I{3, -3, -3, kMin, 0}))
      << "division truncates; by zero it gives 0";
  EXPECT_EQ(two("FloorMod", {7, -7, 7, kMin, 5}, {3, 3, -3, -1, 0}), (I{1, 2, -2, 0, 0}));
  EXPECT_EQ(two("Fmod", {7, -7, 7}, {3, 3, -3}), (I{1, -1, 1}));
  EXPECT_EQ(two("Pow", {2, -3, 2, -1}, {10, 3, -1, -3}), (I{1024, -27, 0, -1}));
  EXPECT_EQ(two("Maximum", {1, -5}, {-1, 3}), (I{1, 3}));
  EXPECT_EQ(two("Minimum", {1, -5}, {-1, 3}), (I{-1, -5}));
}

TEST(Integers, OneOperand) {
  const auto one = [](const char* op, I a) { return values_of<int64_t>(run_op(op, {integers(std::move(a))})); };
  EXPECT_EQ(one("Neg", {3, kMin}), (I{-3, kMin}));
  EXPECT_EQ(one("Abs", {-3, kMin}), (I{3, kMin}));
  EXPECT_EQ(one("Sign", {-3, 0, 9}), (I{-1, 0, 1}));
  EXPECT_EQ(one("Relu", {-3, 0, 9}), (I{0, 0, 9}));
  EXPECT_EQ(values_of<int64_t>(run_op("ClipTo", {integers({-9, 0, 9})}, attributes_of({{"alpha", -2.0f}, {"beta", 3.0f}}))),
            (I{-2, 0, 3}));
  EXPECT_EQ(values_of<int64_t>(run_op("ClipTo", {integers({-9, kMax})}, attributes_of({{"alpha", -kInf}, {"beta", kInf}}))),
            (I{-9, kMax}));
  EXPECT_EQ(values_of<int64_t>(run_op("ClipTo", {integers({4})}, attributes_of({{"alpha", kInf}, {"beta", kInf}}))), (I{kMax}))
      << "no crash on odd limits";
  EXPECT_EQ(values_of<int64_t>(run_op("ClipTo", {integers({4})}, attributes_of({{"beta", -kInf}}))), (I{kMin}));
}

TEST(Integers, NarrowTypesWrapIntoTheirOwn) {
  EXPECT_EQ(values_of<uint8_t>(run_op("Add", {tensor<uint8_t>({2}, {250, 1}), tensor<uint8_t>({2}, {10, 1})})),
            (std::vector<uint8_t>{4, 2}));
  EXPECT_EQ(values_of<int8_t>(run_op("Mul", {tensor<int8_t>({1}, {100}), tensor<int8_t>({1}, {3})})), (std::vector<int8_t>{44}));
  EXPECT_EQ(values_of<int32_t>(run_op("Sub", {tensor<int32_t>({2, 1}, {1, 2}), tensor<int32_t>({2}, {10, 20})})),
            (std::vector<int32_t>{-9, -19, -8, -18}));
}

TEST(Integers, UnsignedOf64Bits) {
  using U = std::vector<uint64_t>;
  constexpr uint64_t kTop = ~uint64_t{0};
  const auto two = [](const char* op, U a, U b) {
    const Shape shape{static_cast<int64_t>(a.size())};
    return run_op(op, {tensor<uint64_t>(shape, std::move(a)), tensor<uint64_t>(shape, std::move(b))});
  };
  EXPECT_EQ(values_of<uint64_t>(two("Div", {kTop}, {2})), (U{kTop / 2}));
  EXPECT_EQ(values_of<uint64_t>(two("FloorMod", {kTop}, {10})), (U{kTop % 10}));
  EXPECT_EQ(values_of<uint64_t>(two("Maximum", {kTop}, {1})), (U{kTop}));
  EXPECT_EQ(values_of<bool>(two("Less", {1, kTop}, {kTop, 1})), (std::vector<bool>{true, false}));
}

TEST(Integers, Bits) {
  const Tensor a = tensor<uint8_t>({2, 1}, {0b1100, 0xf0}), b = tensor<uint8_t>({2}, {0b1010, 0xff});
  EXPECT_EQ(values_of<uint8_t>(run_op("BitwiseAnd", {a, b})), (std::vector<uint8_t>{0b1000, 0b1100, 0, 0xf0}));
  EXPECT_EQ(values_of<uint8_t>(run_op("BitwiseOr", {a, b})), (std::vector<uint8_t>{0b1110, 0xff, 0xfa, 0xff}));
  EXPECT_EQ(values_of<uint8_t>(run_op("BitwiseXor", {a, b})), (std::vector<uint8_t>{0b0110, 0xf3, 0xfa, 0x0f}));
  EXPECT_EQ(values_of<int32_t>(run_op("BitwiseNot", {tensor<int32_t>({2}, {0, -5})})), (std::vector<int32_t>{-1, 4}));
  EXPECT_NE(op_error("BitwiseNot", {number(1)}).find("bits of f32"), std::string::npos);
}

TEST(Integers, Shifts) {
  const auto shift = [](const char* direction, auto x, auto by) {
    return run_op("BitShift", {x, by}, attributes_of({{"direction", std::string(direction)}}));
  };
  const Tensor by = tensor<int8_t>({4}, {1, 7, 8, -1}), minus = tensor<int8_t>({4}, {-3, -3, -3, -3});
  EXPECT_EQ(values_of<int8_t>(shift("LEFT", minus, by)), (std::vector<int8_t>{-6, -128, 0, 0}));
  EXPECT_EQ(values_of<int8_t>(shift("RIGHT", minus, by)), (std::vector<int8_t>{-2, -1, -1, -1}));
  const Tensor top = tensor<uint64_t>({2}, {~uint64_t{0}, ~uint64_t{0}}), many = tensor<uint64_t>({2}, {63, 64});
  EXPECT_EQ(values_of<uint64_t>(shift("RIGHT", top, many)), (std::vector<uint64_t>{1, 0}));
  EXPECT_EQ(values_of<uint64_t>(shift("LEFT", top, many)), (std::vector<uint64_t>{uint64_t{1} << 63, 0}));
}

TEST(Integers, ThreadsGiveTheSameBits) {
  const Shape shape{37, 1000};
  std::vector<int32_t> numbers(37000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int32_t>(i * 2654435761u);
  const Tensor a = tensor<int32_t>(shape, numbers), row = tensor<int32_t>({1000}, {numbers.begin(), numbers.begin() + 1000});
  const Tensor one = run_op("Mul", {a, row}, {}, best_isa(), 1);
  EXPECT_TRUE(same_bits(one, run_op("Mul", {a, row}, {}, best_isa(), 3)));
  EXPECT_EQ(one.values<int32_t>()[36999],
            static_cast<int32_t>(static_cast<uint32_t>(numbers[36999]) * static_cast<uint32_t>(numbers[999])));
}

TEST(Cast, TypesForStorage) {
  const auto to = [](DType type) { return attributes_of({{"to", static_cast<int64_t>(type)}}); };
  const Tensor x = random_f32({3, 401}, 1, -8, 8);
  for (DType type : {DType::i4, DType::u2, DType::f4e2m1, DType::f8e5m2}) {
    const Tensor y = run_op("Cast", {x}, to(type));
    EXPECT_EQ(y.dtype(), type);
    EXPECT_TRUE(same_bits(y, run_op("Cast", {x}, to(type), best_isa(), 3)));
    const Tensor back = run_op("Cast", {y}, to(DType::f32));
    EXPECT_TRUE(same_bits(run_op("CastLike", {back, y}), y)) << name_of(type);
    const Tensor turned = run_op("Cast", {run_op("Transpose", {y})}, to(DType::f32));
    EXPECT_TRUE(same_bits(turned, run_op("Transpose", {back}))) << "copies of elements that share bytes";
  }
  EXPECT_EQ(
      values_of<int8_t>(run_op("Cast", {run_op("Cast", {tensor<float>({3}, {-9, 7.9f, 3})}, to(DType::i4))}, to(DType::i8))),
      (std::vector<int8_t>{7, 7, 3}));
}

TEST(Cast, Bits) {
  const auto to = [](DType type) { return attributes_of({{"to", static_cast<int64_t>(type)}}); };
  EXPECT_EQ(values_of<int32_t>(run_op("BitCast", {number(1)}, to(DType::i32))), (std::vector<int32_t>{0x3f800000}));
  EXPECT_EQ(values_of<bool>(run_op("BitCast", {tensor<uint8_t>({2}, {0, 9})}, to(DType::boolean))),
            (std::vector<bool>{false, true}));
  EXPECT_NE(op_error("BitCast", {number(1)}, to(DType::i8)).find("another width"), std::string::npos);
}

TEST(Integers, MixedWithFloats) {
  EXPECT_EQ(values_of<float>(run_op("Pow", {tensor<float>({2}, {3, 2}), integers({2, -1})})), (std::vector<float>{9, 0.5f}));
  EXPECT_EQ(values_of<int32_t>(run_op("Pow", {tensor<int32_t>({4}, {3, 10, -10, 0}), tensor<float>({4}, {2, 60, 61, -1})})),
            (std::vector<int32_t>{9, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::lowest(),
                                  std::numeric_limits<int32_t>::max()}))
      << "what does not fit saturates";
}

TEST(Compare, EveryType) {
  using B = std::vector<bool>;
  EXPECT_EQ(values_of<bool>(run_op("Less", {integers({1, 2, 3}), Tensor::scalar<int64_t>(2)})), (B{true, false, false}));
  EXPECT_EQ(values_of<bool>(run_op("GreaterOrEqual", {tensor<float>({3}, {1, 2, kNan}), number(2)})), (B{false, true, false}));
  EXPECT_EQ(values_of<bool>(run_op("Equal", {tensor<bool>({2}, {true, false}), tensor<bool>({2}, {true, true})})),
            (B{true, false}));
  EXPECT_EQ(values_of<bool>(run_op("Equal", {tensor<double>({2}, {0.1, 5}), tensor<double>({2}, {0.1, 0})})), (B{true, false}));
  EXPECT_EQ(values_of<bool>(run_op("IsNaN", {tensor<float>({3}, {kNan, kInf, 0})})), (B{true, false, false}));
  EXPECT_EQ(values_of<bool>(run_op("And", {tensor<bool>({2, 1}, {true, false}), tensor<bool>({2}, {true, false})})),
            (B{true, false, false, false}));
  EXPECT_EQ(values_of<bool>(run_op("Or", {tensor<bool>({2}, {true, false}), tensor<bool>({}, {false})})), (B{true, false}));
  EXPECT_EQ(values_of<bool>(run_op("Xor", {tensor<bool>({2}, {true, false}), tensor<bool>({}, {true})})), (B{false, true}));
  EXPECT_EQ(values_of<bool>(run_op("Not", {tensor<bool>({2}, {true, false})})), (B{false, true}));
}

TEST(Select, EveryType) {
  const Tensor condition = tensor<bool>({2, 1}, {true, false});
  EXPECT_EQ(values_of<float>(run_op("Select", {condition, tensor<float>({2}, {1, 2}), number(9)})),
            (std::vector<float>{1, 2, 9, 9}));
  EXPECT_EQ(values_of<int64_t>(run_op("Select", {condition, Tensor::scalar<int64_t>(kMax), Tensor::scalar<int64_t>(5)})),
            (I{kMax, 5}));
  EXPECT_EQ(values_of<bool>(run_op("Select", {condition, tensor<bool>({}, {false}), tensor<bool>({}, {true})})),
            (std::vector<bool>{false, true}));
}

TEST(Floats, DoublesKeepTheirPrecision) {
  const double third = 1.0 / 3;
  EXPECT_EQ(values_of<double>(run_op("Add", {tensor<double>({1}, {third}), tensor<double>({1}, {1})})),
            (std::vector<double>{third + 1}));
  EXPECT_EQ(values_of<double>(run_op("Sqrt", {tensor<double>({1}, {2})})), (std::vector<double>{std::sqrt(2.0)}));
  EXPECT_NEAR(run_op("Gelu", {tensor<double>({1}, {2})}).values<double>()[0], 1 + std::erf(std::sqrt(2.0)), 1e-15);
  EXPECT_NE(op_error("Gelu", {tensor<int8_t>({1}, {2})}).find("gelu of i8"), std::string::npos);
}

TEST(Floats, NotANumberStays) {
  const Tensor x = tensor<float>({3}, {kNan, 1, -1}), zero = number(0);
  EXPECT_TRUE(std::isnan(run_op("Maximum", {x, zero}).values<float>()[0]));
  EXPECT_TRUE(std::isnan(run_op("Minimum", {zero, x}).values<float>()[0]));
  EXPECT_TRUE(std::isnan(run_op("Relu", {x}).values<float>()[0]));
}

double formula(const ChainStep& step, double a, double b) {
  switch (step.op) {
#define OXPLOW_ELTWISE_OP(name, arity, expression)                                                        \
  case EltwiseOp::name:                                                                                   \
    return eltwise_reference::evaluate<EltwiseOp::name, double>(a, b, 0, static_cast<double>(step.alpha), \
                                                                static_cast<double>(step.beta));
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
  }
  return 0;
}

// Every op of the list, f32, against the formula of its kernel's own oracle.
TEST(Floats, EveryFunctionOfTheList) {
  const Tensor a = random_f32({3, 1, 50}, 1, 0.05f, 0.95f), b = random_f32({4, 1}, 2, 0.05f, 0.95f);
  Tensor above_one = random_f32({3, 1, 50}, 3, 1.05f, 3);
  for (const OpSpec* op : all_ops()) {
    const auto step = chain_step_of(*op, {});
    if (!step || std::string_view(op->name) == "Select") continue;
    const Tensor& x = step->op == EltwiseOp::acosh ? above_one : a;
    std::vector<Tensor> inputs{x};
    if (arity_of(step->op) == 2) inputs.push_back(b);
    const Tensor y = run_op(op->name, inputs);
    for (int64_t i = 0; i < y.elements(); ++i) {
      const int64_t row = inputs.size() == 2 ? i / 200 : i / 50, column = i % 50;
      const double p = static_cast<double>(x.values<float>()[static_cast<size_t>(row * 50 + column)]);
      const double q = static_cast<double>(b.values<float>()[static_cast<size_t>(i / 50 % 4)]);
      const double expected = formula(*step, p, q);
      const double actual = y.dtype() == DType::boolean ? static_cast<double>(y.values<bool>()[static_cast<size_t>(i)])
                                                        : static_cast<double>(y.values<float>()[static_cast<size_t>(i)]);
      ASSERT_NEAR(actual, expected, 16 * kUnit * (1 + std::fabs(expected))) << op->name << " of " << p << ", " << q;
    }
  }
}

TEST(Floats, HalfTypesRoundOnce) {
  for (DType type : {DType::bf16, DType::f16}) {
    const auto to = attributes_of({{"to", static_cast<int64_t>(type)}});
    const Tensor a = run_op("Cast", {random_f32({5, 33}, 1)}, to), b = run_op("Cast", {random_f32({33}, 2)}, to);
    const Tensor sum = run_op("Add", {a, b});
    EXPECT_EQ(sum.dtype(), type);
    const Tensor exact = run_op("Cast", {run_op("Add", {to_f32(a).take(), to_f32(b).take()})}, to);
    EXPECT_TRUE(same_bits(sum, exact)) << name_of(type);
  }
}

TEST(Floats, RanksBeyondTheKernels) {
  // Eight axes, of which broadcasting lets four pairs merge.
  const Tensor a = random_f32({2, 2, 1, 1, 2, 2, 1, 1}, 1), b = random_f32({1, 1, 3, 2, 1, 1, 2, 3}, 2);
  const Tensor y = run_op("Mul", {a, b});
  EXPECT_EQ(y.shape(), (Shape{2, 2, 3, 2, 2, 2, 2, 3}));
  for (size_t i = 0; i < 576; ++i) {
    const size_t p = i / 144, q = i / 24 % 6, r = i / 6 % 4, s = i % 6;
    ASSERT_EQ(y.values<float>()[i], a.values<float>()[p * 4 + r] * b.values<float>()[q * 6 + s]);
  }
}

TEST(Chain, StepsSurviveAttributes) {
  const ChainStep steps[] = {{EltwiseOp::mul, 0, 1, 0, 0, 0}, {EltwiseOp::clip, 2, 0, 0, -0.5f, 0.25f}};
  Attributes attributes;
  set_chain_steps(attributes, steps);
  const auto back = chain_steps(attributes);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[1].op, EltwiseOp::clip);
  EXPECT_EQ(back[1].a, 2);
  EXPECT_EQ(back[1].alpha, -0.5f);
  EXPECT_EQ(back[1].beta, 0.25f);
  attributes.set("dtype", static_cast<int64_t>(DType::f32));
  const Tensor a = random_f32({300, 70}, 1), b = random_f32({70}, 2);
  const Tensor apart = run_op("ClipTo", {run_op("Mul", {a, b})}, attributes_of({{"alpha", -0.5f}, {"beta", 0.25f}}));
  EXPECT_TRUE(same_bits(run_op("Chain", {a, b}, attributes, best_isa(), 3), apart));
}

}  // namespace
}  // namespace oxplow
