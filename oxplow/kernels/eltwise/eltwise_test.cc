#include "oxplow/kernels/eltwise/eltwise.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <random>
#include <vector>

#include "oxplow/kernels/eltwise/reference.h"
#include "oxplow/kernels/test_memory.h"

namespace oxplow {
namespace {

constexpr float kInf = INFINITY;
constexpr float kAlpha = 0.75f, kBeta = 1.5f;

double evaluate(EltwiseOp op, double a, double b, double c, double alpha, double beta) {
  switch (op) {
#define OXPLOW_ELTWISE_OP(name, arity, formula) \
  case EltwiseOp::name: return eltwise_reference::evaluate<EltwiseOp::name, double>(a, b, c, alpha, beta);
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
  }
  return NAN;
}

std::vector<EltwiseOp> all_ops() {
  return {
#define OXPLOW_ELTWISE_OP(name, arity, formula) EltwiseOp::name,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
  };
}

// Everyday numbers, and every few one that is not.
std::vector<float> numbers(size_t n, int64_t seed, float spread) {
  constexpr float kSpecial[] = {0.0f,  -0.0f, 1.0f,   -1.0f, 0.5f,   -0.5f, 1.5f,  2.5f, -2.5f,  kInf,
                                -kInf, NAN,   1e-40f, 1e15f, -1e15f, 3.0f,  -3.0f, 6.0f, 1e-20f, -1e-3f};
  std::mt19937 rng(static_cast<uint32_t>(seed));
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> out(n);
  for (float& x : out) x = rng() % 5 == 0 ? kSpecial[rng() % std::size(kSpecial)] : normal(rng);
  return out;
}

// Relative error that an op may have: one rounding where the processor computes it, what math.h and the C library promise where they
// do, and what roundings of intermediate results become where a sum cancels or an exponential magnifies them.
double tolerance(EltwiseOp op, double y, double a, double b, double c) {
  constexpr double kEps = FLT_EPSILON;
  const double least = 4 * 1.4e-45;
  switch (op) {
    case EltwiseOp::mul_add: return kEps * (std::fabs(a * b) + std::fabs(c)) + least;
    case EltwiseOp::hard_sigmoid: return kEps * (std::fabs(kAlpha * a) + kBeta + std::fabs(y));
    case EltwiseOp::hard_swish: return 2 * kEps * (std::fabs(a) * (std::fabs(a) / 6 + 1));
    case EltwiseOp::gelu_tanh: return (2e-6 + 8 * kEps * std::fabs(a + a * a * a)) * std::fabs(y) + FLT_MIN * std::fabs(a);
    case EltwiseOp::gelu: return 1e-7 * std::fabs(a) + (2e-6 + 2 * kEps * a * a) * std::fabs(y);
    case EltwiseOp::sigmoid: return 2e-6 * std::fabs(y) + FLT_MIN;
    case EltwiseOp::silu: return 2e-6 * std::fabs(y) + FLT_MIN * std::fabs(a);
    case EltwiseOp::celu: return 4e-6 * std::fabs(y) + least;
    default: return 3e-6 * std::fabs(y) + least;
  }
}

bool is_exact(EltwiseOp op) {
  switch (op) {
    case EltwiseOp::mul_add:
    case EltwiseOp::rsqrt:
    case EltwiseOp::pow: return false;
    case EltwiseOp::fmod: return true;
    default: break;
  }
  return op <= EltwiseOp::mul_add ? op <= EltwiseOp::max || op == EltwiseOp::prelu
                                  : op <= EltwiseOp::trunc || op == EltwiseOp::clip || op == EltwiseOp::leaky_relu ||
                                        op >= EltwiseOp::thresholded_relu;
}

void expect_close(EltwiseOp op, float got, double a, double b, double c, std::string_view where) {
  const double exact = evaluate(op, a, b, c, kAlpha, kBeta);
  const float want = static_cast<float>(exact);
  if (std::isnan(want) || std::isnan(got)) {
    EXPECT_EQ(std::isnan(want), std::isnan(got)) << where << name_of(op) << "(" << a << ", " << b << ", " << c << ") = " << got;
  } else if (is_exact(op) || std::isinf(want) || std::isinf(got)) {
    EXPECT_EQ(got, want) << where << name_of(op) << "(" << a << ", " << b << ", " << c << ")";
  } else {
    EXPECT_NEAR(got, exact, tolerance(op, exact, a, b, c)) << where << name_of(op) << "(" << a << ", " << b << ", " << c << ")";
  }
}

std::string label(Isa isa) { return std::string(name_of(isa)) + ": "; }

ChainArgs one_step(EltwiseOp op, const float* a, const float* b, const float* c, float* y, int64_t n) {
  ChainArgs args;
  args.extents[0] = n;
  args.num_inputs = 3;
  const float* operands[] = {a, b, c};
  for (int i = 0; i < 3; ++i) {
    args.inputs[i].data = operands[i];
    args.inputs[i].strides[0] = 1;
  }
  args.num_steps = 1;
  args.steps[0] = {.op = op, .a = 0, .b = 1, .c = 2, .alpha = kAlpha, .beta = kBeta};
  args.num_outputs = 1;
  args.outputs[0].data = y;
  args.outputs[0].value = 3;
  args.outputs[0].strides[0] = 1;
  return args;
}

TEST(Eltwise, EveryOpMatchesItsFormula) {
  for (Isa isa : available_isas()) {
    for (EltwiseOp op : all_ops()) {
      for (int64_t n : {0, 1, 3, 4, 5, 8, 15, 16, 17, 31, 64, 65, 127, 1000}) {
        const size_t offset = static_cast<size_t>(n % 3);  // misaligned operands
        const auto a = numbers(n + offset, 1 + n, n % 2 ? 1.0f : 10.0f);
        const auto b = numbers(n + offset, 2 + n, 3.0f);
        const auto c = numbers(n + offset, 3 + n, 3.0f);
        std::vector<float> y(n + offset + 16, 77.0f);
        const auto args = one_step(op, a.data() + offset, b.data() + offset, c.data() + offset, y.data() + offset, n);
        ASSERT_TRUE(is_valid(args));
        eltwise_kernels(isa).chain(args, 0, n);
        for (size_t i = 0; i < y.size(); ++i) {
          if (i < offset || i >= offset + n) {
            ASSERT_EQ(y[i], 77.0f) << label(isa) << name_of(op) << " wrote outside, n = " << n;
          } else {
            expect_close(op, y[i], a[i], b[i], c[i], label(isa));
          }
        }
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Eltwise, PowerOfOneExponent) {
  for (Isa isa : available_isas()) {
    for (float exponent : {2.0f, 3.0f, 0.5f, -0.5f, -1.0f, 0.0f, 1.7f}) {
      const auto a = numbers(100, 5, 3.0f);
      std::vector<float> y(100);
      auto args = one_step(EltwiseOp::pow, a.data(), &exponent, &exponent, y.data(), 100);
      args.inputs[1].strides[0] = args.inputs[2].strides[0] = 0;
      eltwise_kernels(isa).chain(args, 0, 100);
      for (int i = 0; i < 100; ++i) expect_close(EltwiseOp::pow, y[i], a[i], exponent, 0, label(isa));
    }
  }
}

struct RandomChain {
  ChainArgs args;
  std::vector<TestMemory> inputs, outputs;
  bool in_place = false;
};

// Strides of a random view: dense, with gaps after rows, broadcast in some dimensions, or with a stride inside; and its length.
int64_t random_strides(std::mt19937& rng, const ChainArgs& args, bool may_broadcast, int64_t* strides) {
  int64_t length = 1;
  const bool scalar = may_broadcast && rng() % 6 == 0;
  for (int d = args.dims - 1; d >= 0; --d) {
    if (scalar || (may_broadcast && rng() % 4 == 0)) {
      strides[d] = 0;
      continue;
    }
    if (d == args.dims - 1 && rng() % 8 == 0) length = 2;
    strides[d] = length;
    length *= args.extents[d];
    if (rng() % 3 == 0) length += rng() % 5;
  }
  return length;
}

// Ops whose f32 result is the rounded exact one: chains of them have one right answer, to the bit.
constexpr EltwiseOp kExactOps[] = {EltwiseOp::add,  EltwiseOp::sub,    EltwiseOp::mul, EltwiseOp::clip,     EltwiseOp::max,
                                   EltwiseOp::min,  EltwiseOp::select, EltwiseOp::neg, EltwiseOp::constant, EltwiseOp::abs,
                                   EltwiseOp::less, EltwiseOp::div,    EltwiseOp::clip};

RandomChain random_chain(std::mt19937& rng) {
  constexpr DType kTypes[] = {DType::f32, DType::f32, DType::f32, DType::bf16, DType::f16, DType::boolean};
  RandomChain chain;
  ChainArgs& args = chain.args;
  args.dims = static_cast<int>(1 + rng() % 4);
  const int64_t limits[] = {1500, 40, 9, 6};
  for (int d = 0; d < args.dims; ++d) args.extents[d] = 1 + rng() % limits[args.dims - 1];
  if (args.dims > 1 && rng() % 4 == 0) args.extents[args.dims - 1] = 500 + rng() % 600;
  args.num_inputs = static_cast<int>(rng() % 5);
  args.num_steps = static_cast<int>(rng() % 9);
  if (args.num_inputs == 0) args.num_steps += 1;
  std::normal_distribution<float> normal(0, 2);
  for (int i = 0; i < args.num_inputs; ++i) {
    ChainInput& input = args.inputs[i];
    input.type = kTypes[rng() % std::size(kTypes)];
    const int64_t length = random_strides(rng, args, true, input.strides);
    TestMemory& memory = chain.inputs.emplace_back(input.type, length);
    for (int64_t k = 0; k < length; ++k) memory.set(k, rng() % 20 ? normal(rng) : NAN);
  }
  for (int s = 0; s < args.num_steps; ++s) {
    const int known = args.num_inputs + s;
    args.steps[s].op = known == 0 ? EltwiseOp::constant : kExactOps[rng() % std::size(kExactOps)];
    const auto operand = [&] { return static_cast<uint8_t>(known == 0 ? 0 : rng() % 2 ? known - 1 : rng() % known); };
    args.steps[s] = {args.steps[s].op, operand(), operand(), operand(), -0.5f, 1.25f};
  }
  args.num_outputs = static_cast<int>(1 + rng() % 2);
  for (int o = 0; o < args.num_outputs; ++o) {
    ChainOutput& output = args.outputs[o];
    output.value =
        static_cast<uint8_t>(rng() % 2 ? args.num_inputs + args.num_steps - 1 : rng() % (args.num_inputs + args.num_steps));
    output.type = kTypes[rng() % std::size(kTypes)];
    const int64_t length = random_strides(rng, args, false, output.strides);
    TestMemory& memory = chain.outputs.emplace_back(output.type, length + 8);
    memory.fill(1);
  }
  return chain;
}

float to_memory_and_back(float x, DType type) {
  TestMemory memory(type, 1);
  memory.set(0, x);
  return memory.get(0);
}

// What the outputs must hold, point by point.
void run_oracle(const RandomChain& chain, std::vector<TestMemory>& outputs) {
  const ChainArgs& args = chain.args;
  for (int64_t p = 0; p < args.elements(); ++p) {
    int64_t index[kMaxChainDims];
    int64_t rest = p;
    for (int d = args.dims - 1; d >= 0; --d) index[d] = rest % args.extents[d], rest /= args.extents[d];
    const auto offset = [&](const int64_t* strides) {
      int64_t sum = 0;
      for (int d = 0; d < args.dims; ++d) sum += index[d] * strides[d];
      return sum;
    };
    std::vector<float> values;
    for (int i = 0; i < args.num_inputs; ++i) values.push_back(chain.inputs[i].get(offset(args.inputs[i].strides)));
    for (int s = 0; s < args.num_steps; ++s) {
      const ChainStep& step = args.steps[s];
      const auto value = [&](int v) { return values.empty() ? 0.0f : values[v]; };
      values.push_back(static_cast<float>(
          evaluate(step.op, value(step.a), value(step.b), value(step.c), double{step.alpha}, double{step.beta})));
    }
    for (int o = 0; o < args.num_outputs; ++o) outputs[o].set(offset(args.outputs[o].strides), values[args.outputs[o].value]);
  }
}

void expect_same(const TestMemory& got, const TestMemory& want, const std::string& where) {
  for (size_t i = 0; i < got.bytes.size() / (bits_of(got.type) / 8); ++i) {
    const float g = got.get(i), w = want.get(i);
    if (std::isnan(g) && std::isnan(w)) continue;
    ASSERT_EQ(g, w) << where << "element " << i;
  }
}

std::string describe(const ChainArgs& args) {
  std::string text = "extents";
  for (int d = 0; d < args.dims; ++d) text += " " + std::to_string(args.extents[d]);
  for (int i = 0; i < args.num_inputs; ++i) {
    text += "; input " + std::string(name_of(args.inputs[i].type));
    for (int d = 0; d < args.dims; ++d) text += " " + std::to_string(args.inputs[i].strides[d]);
  }
  for (int s = 0; s < args.num_steps; ++s) {
    const ChainStep& step = args.steps[s];
    text += "; " + std::string(name_of(step.op));
    for (int v : {step.a, step.b, step.c}) text += " " + std::to_string(v);
  }
  for (int o = 0; o < args.num_outputs; ++o) {
    text += "; output " + std::string(name_of(args.outputs[o].type)) + " of " + std::to_string(args.outputs[o].value);
    for (int d = 0; d < args.dims; ++d) text += " " + std::to_string(args.outputs[o].strides[d]);
  }
  return text;
}

TEST(Eltwise, RandomChainsAreExact) {
  std::mt19937 rng(7);
  for (int round = 0; round < 600; ++round) {
    RandomChain chain = random_chain(rng);
    auto want = chain.outputs;
    run_oracle(chain, want);
    for (Isa isa : available_isas()) {
      auto got = chain.outputs;
      ChainArgs args = chain.args;
      for (int i = 0; i < args.num_inputs; ++i) args.inputs[i].data = chain.inputs[i].bytes.data();
      for (int o = 0; o < args.num_outputs; ++o) args.outputs[o].data = got[o].bytes.data();
      if (round % 3 == 0) collapse(args);
      ASSERT_TRUE(is_valid(args));
      const int64_t n = args.elements();
      const int64_t cut = round % 2 ? n / 3 : 0, second = cut + (n - cut) / 2;
      eltwise_kernels(isa).chain(args, 0, cut);
      eltwise_kernels(isa).chain(args, cut, second);
      eltwise_kernels(isa).chain(args, second, n);
      for (int o = 0; o < args.num_outputs; ++o) {
        SCOPED_TRACE(describe(chain.args));
        expect_same(got[o], want[o], label(isa) + "round " + std::to_string(round) + " output " + std::to_string(o) + " ");
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Eltwise, InPlaceWithLaterReadsOfTheInput) {
  for (Isa isa : available_isas()) {
    auto x = numbers(3000, 11, 2.0f);
    const auto before = x;
    std::vector<float> second(x.size());
    ChainArgs args;
    args.extents[0] = 3000;
    args.num_inputs = 1;
    args.inputs[0].data = x.data();
    args.inputs[0].strides[0] = 1;
    args.num_steps = 2;
    args.steps[0] = {.op = EltwiseOp::neg, .a = 0};
    args.steps[1] = {.op = EltwiseOp::add, .a = 0, .b = 0};
    args.num_outputs = 2;
    args.outputs[0] = {.data = x.data(), .value = 1, .strides = {1}};
    args.outputs[1] = {.data = second.data(), .value = 2, .strides = {1}};
    eltwise_kernels(isa).chain(args, 0, 3000);
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(before[i])) continue;
      ASSERT_EQ(x[i], -before[i]);
      ASSERT_EQ(second[i], before[i] + before[i]);
    }
  }
}

TEST(Eltwise, EmptySpace) {
  ChainArgs args;
  args.dims = 2;
  args.extents[0] = 5;
  args.num_outputs = 1;
  args.num_steps = 1;
  args.steps[0].op = EltwiseOp::constant;
  ASSERT_TRUE(is_valid(args));
  collapse(args);
  for (Isa isa : available_isas()) eltwise_kernels(isa).chain(args, 0, args.elements());
}

TEST(Eltwise, CollapseKeepsWhatMustStayApart) {
  ChainArgs args;  // [2, 1, 3, 4] with a bias along the last dimension
  args.dims = 4;
  const int64_t extents[] = {2, 1, 3, 4}, dense[] = {12, 12, 4, 1};
  args.num_inputs = 2;
  args.num_outputs = 1;
  for (int d = 0; d < 4; ++d) {
    args.extents[d] = extents[d];
    args.inputs[0].strides[d] = args.outputs[0].strides[d] = dense[d];
  }
  args.inputs[1].strides[3] = 1;
  collapse(args);
  EXPECT_EQ(args.dims, 2);
  EXPECT_EQ(args.extents[0], 6);
  EXPECT_EQ(args.extents[1], 4);
  EXPECT_EQ(args.inputs[0].strides[0], 4);
  EXPECT_EQ(args.inputs[1].strides[0], 0);
}

TEST(Eltwise, ConvertsEveryPair) {
  constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16, DType::boolean};
  std::mt19937 rng(3);
  for (Isa isa : available_isas()) {
    for (DType from : kTypes) {
      for (DType to : kTypes) {
        for (int64_t n : {0, 1, 7, 16, 100, 1025}) {
          TestMemory x(from, n), y(to, n + 4);
          const auto values = numbers(n, 9, 100.0f);
          for (int64_t i = 0; i < n; ++i) x.set(i, from == DType::boolean ? static_cast<float>(rng() % 2) : values[i]);
          y.fill(1);
          eltwise_kernels(isa).convert(x.bytes.data(), from, y.bytes.data(), to, n);
          for (int64_t i = 0; i < n + 4; ++i) {
            const float want = i < n ? to_memory_and_back(x.get(i), to) : 1.0f;
            if (std::isnan(want)) {
              ASSERT_TRUE(std::isnan(y.get(i))) << label(isa);
            } else if (to != DType::bf16 || std::fabs(want) >= FLT_MIN || y.get(i) != 0) {  // AVX512-BF16 knows no subnormals
              ASSERT_EQ(y.get(i), want) << label(isa) << name_of(from) << " to " << name_of(to) << " of " << x.get(i);
            }
          }
        }
      }
    }
  }
}

TEST(Eltwise, NamesLeadBack) {
  for (EltwiseOp op : all_ops()) EXPECT_EQ(eltwise_op_named(name_of(op)), op);
  EXPECT_FALSE(eltwise_op_named("none"));
  EXPECT_EQ(eltwise_op_of(Activation::hard_swish), EltwiseOp::hard_swish);
}

}  // namespace
}  // namespace oxplow
