#include "oxplow/kernels/reduce/reduce.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "oxplow/kernels/reduce/reference.h"
#include "oxplow/kernels/test_memory.h"

namespace oxplow {
namespace {

std::vector<ReduceOp> all_ops() {
  return {
#define OXPLOW_REDUCE_OP(name, initial, map, combine, finish) ReduceOp::name,
#include "oxplow/kernels/reduce/reduce_ops.inc"
#undef OXPLOW_REDUCE_OP
  };
}

struct Case {
  ReduceArgs args;
  int64_t x_length = 0, y_length = 0;
};

// x laid out as [outer0][reduced0][outer1][reduced1][outer2][reduced2][inner] with gaps here and there.
Case make_case(std::mt19937& rng, bool rows, int64_t longest) {
  Case c;
  ReduceArgs& args = c.args;
  args.inner = rows ? 1 : 1 + rng() % 150;
  int64_t x = args.inner, y = args.inner;
  if (!rows && rng() % 4 == 0) args.inner = x = y = 500 + rng() % 200;
  for (int d = kMaxReduceDims - 1; d >= 0; --d) {
    args.reduced[d] = rng() % 2 ? 1 : d == 2 ? rng() % longest : 1 + rng() % 5;
    args.x_reduced[d] = x;
    x = x * args.reduced[d] + (rng() % 3 == 0 ? rng() % 4 : 0);
    args.outer[d] = rng() % 2 ? 1 : 1 + rng() % 4;
    args.x_outer[d] = x;
    x = x * args.outer[d] + (rng() % 3 == 0 ? rng() % 4 : 0);
    args.y_outer[d] = y;
    y = y * args.outer[d] + (rng() % 3 == 0 ? rng() % 4 : 0);
  }
  c.x_length = x;
  c.y_length = y + 4;
  return c;
}

// The elements that result [o][i] is made of.
std::vector<double> elements_of_result(const ReduceArgs& args, const TestMemory& x, int64_t o, int64_t i) {
  const int64_t* n = args.outer;
  const int64_t at = o % n[2] * args.x_outer[2] + o / n[2] % n[1] * args.x_outer[1] + o / n[2] / n[1] * args.x_outer[0] + i;
  std::vector<double> values;
  for (int64_t a = 0; a < args.reduced[0]; ++a) {
    for (int64_t b = 0; b < args.reduced[1]; ++b) {
      for (int64_t c = 0; c < args.reduced[2]; ++c) {
        values.push_back(x.get(at + a * args.x_reduced[0] + b * args.x_reduced[1] + c * args.x_reduced[2]));
      }
    }
  }
  return values;
}

// Roundings on the way from an element to the sum: chains of a block, the blocks, the lanes (or groups of rows).
double sum_bound(const std::vector<double>& values, double (*map)(double)) {
  double magnitude = 0;
  for (double v : values) magnitude += std::fabs(map(v));
  return (80 + static_cast<double>(values.size()) / 128) * (FLT_EPSILON / 2) * magnitude;
}

double tolerance(ReduceOp op, const std::vector<double>& values, double y, DType y_type) {
  const double n = static_cast<double>(values.size());
  const auto itself = [](double v) { return v; };
  const auto square = [](double v) { return v * v; };
  double bound = 0;
  if (op == ReduceOp::sum || op == ReduceOp::l1) bound = sum_bound(values, itself);
  if (op == ReduceOp::mean) bound = sum_bound(values, itself) / n + FLT_EPSILON * std::fabs(y);
  if (op == ReduceOp::sum_square) bound = sum_bound(values, square);
  if (op == ReduceOp::l2) bound = y > 0 ? sum_bound(values, square) / y : 0;
  if (op == ReduceOp::log_sum) bound = sum_bound(values, itself) / std::exp(y) + 2e-6 * std::fabs(y) + 1e-37;
  if (op == ReduceOp::log_sum_exp) bound = 1e-5 + 2e-6 * std::fabs(y);
  if (op == ReduceOp::prod) bound = n * FLT_EPSILON * std::fabs(y) + FLT_MIN;
  if (y_type == DType::bf16) bound += std::fabs(y) / 256;
  if (y_type == DType::f16) bound += std::fabs(y) / 2048 + 6e-8;
  return bound;
}

void expect_results(const Case& c, const TestMemory& x, const TestMemory& y, const std::string& where) {
  const ReduceArgs& args = c.args;
  const int64_t* n = args.outer;
  std::vector<bool> is_result(static_cast<size_t>(c.y_length));
  for (int64_t o = 0; o < n[0] * n[1] * n[2]; ++o) {
    for (int64_t i = 0; i < args.inner; ++i) {
      const int64_t at = o % n[2] * args.y_outer[2] + o / n[2] % n[1] * args.y_outer[1] + o / n[2] / n[1] * args.y_outer[0] + i;
      is_result[static_cast<size_t>(at)] = true;
      const auto values = elements_of_result(args, x, o, i);
      const double want = reduce_reference::evaluate(args.op, values);
      const float got = y.get(at);
      if (std::isnan(want) || std::isnan(got)) {
        ASSERT_EQ(std::isnan(want), std::isnan(got)) << where << "result " << o << ", " << i << ": " << got << " not " << want;
      } else if (std::isinf(want) || std::isinf(got)) {
        ASSERT_EQ(static_cast<float>(want), got) << where << "result " << o << ", " << i;
      } else {
        ASSERT_NEAR(got, want, tolerance(args.op, values, want, args.y_type)) << where << "result " << o << ", " << i;
      }
    }
  }
  for (int64_t k = 0; k < c.y_length; ++k) {
    if (!is_result[static_cast<size_t>(k)]) ASSERT_EQ(y.get(k), 1.0f) << where << "wrote outside at " << k;
  }
}

TEST(Reduce, RandomSpaces) {
  constexpr DType kTypes[] = {DType::f32, DType::f32, DType::bf16, DType::f16};
  std::mt19937 rng(5);
  std::normal_distribution<float> normal(0, 1);
  for (int round = 0; round < 400; ++round) {
    const bool rows = round % 2 == 0;
    Case c = make_case(rng, rows, round % 10 == 0 ? 3000 : rows ? 300 : 30);
    c.args.x_type = kTypes[rng() % 4];
    c.args.y_type = kTypes[rng() % 4];
    c.args.op = all_ops()[rng() % all_ops().size()];
    TestMemory x(c.args.x_type, c.x_length);
    const bool with_nan = round % 7 == 0;
    for (int64_t i = 0; i < c.x_length; ++i) {
      float value = normal(rng);
      if (c.args.op == ReduceOp::log_sum) value = std::fabs(value);
      if (c.args.op == ReduceOp::prod) value = 1 + 0.1f * value;
      x.set(i, with_nan && rng() % 100 == 0 ? NAN : value);
    }
    for (Isa isa : available_isas()) {
      TestMemory y(c.args.y_type, c.y_length);
      y.fill(1);
      ReduceArgs args = c.args;
      args.x = x.bytes.data();
      args.y = y.bytes.data();
      const int64_t n = args.results(), cut = round % 3 == 0 ? n / 3 : 0;
      reduce_kernels(isa).reduce(args, 0, cut);
      reduce_kernels(isa).reduce(args, cut, n);
      expect_results(c, x, y,
                     std::string(name_of(isa)) + " " + std::string(name_of(args.op)) + " round " + std::to_string(round) + ": ");
      if (HasFatalFailure()) return;
    }
  }
}

ReduceArgs row_args(ReduceOp op, const std::vector<float>& x, float* y) {
  ReduceArgs args;
  args.op = op;
  args.reduced[2] = static_cast<int64_t>(x.size());
  args.x = x.data();
  args.x_reduced[2] = 1;
  args.y = y;
  return args;
}

TEST(Reduce, ExtremesAndNothing) {
  for (Isa isa : available_isas()) {
    const auto run = [&](ReduceOp op, const std::vector<float>& x) {
      float y = 0;
      reduce_kernels(isa).reduce(row_args(op, x, &y), 0, 1);
      return y;
    };
    EXPECT_EQ(run(ReduceOp::sum, {}), 0);
    EXPECT_EQ(run(ReduceOp::prod, {}), 1);
    EXPECT_EQ(run(ReduceOp::max, {}), -INFINITY);
    EXPECT_EQ(run(ReduceOp::min, {}), INFINITY);
    EXPECT_TRUE(std::isnan(run(ReduceOp::mean, {})));
    EXPECT_EQ(run(ReduceOp::log_sum_exp, {}), -INFINITY);
    EXPECT_FLOAT_EQ(run(ReduceOp::log_sum_exp, {1000, 1000}), 1000 + std::log(2.0f));
    EXPECT_FLOAT_EQ(run(ReduceOp::log_sum_exp, {-1000, -1000}), -1000 + std::log(2.0f));
    EXPECT_EQ(run(ReduceOp::log_sum_exp, {1, INFINITY}), INFINITY);
    EXPECT_EQ(run(ReduceOp::log_sum_exp, {-INFINITY, -INFINITY}), -INFINITY);
    EXPECT_TRUE(std::isnan(run(ReduceOp::log_sum_exp, {NAN, 1})));
    for (size_t n : {1, 3, 16, 17, 200}) {
      for (size_t at = 0; at < n; ++at) {
        std::vector<float> x(n, -5.0f);
        x[at] = NAN;
        EXPECT_TRUE(std::isnan(run(ReduceOp::max, x))) << name_of(isa) << n << " " << at;
        EXPECT_TRUE(std::isnan(run(ReduceOp::min, x))) << name_of(isa) << n << " " << at;
      }
    }
  }
}

TEST(Reduce, LongSumsStayAccurate) {
  std::vector<float> x(3'000'000, 0.1f);
  for (Isa isa : available_isas()) {
    float y = 0;
    reduce_kernels(isa).reduce(row_args(ReduceOp::sum, x, &y), 0, 1);
    EXPECT_NEAR(y, 3e6 * double{0.1f}, 3e5 * 2e-5) << name_of(isa);
  }
}

int64_t first_or_last_best(const std::vector<float>& v, bool least, bool last) {
  int64_t best = 0;
  const auto compare = [&](float a, float b) {  // > 0: a is better
    if (std::isnan(a) || std::isnan(b)) return int{std::isnan(a)} - int{std::isnan(b)};
    return a == b ? 0 : (a > b) != least ? 1 : -1;
  };
  for (size_t i = 1; i < v.size(); ++i) {
    const int order = compare(v[i], v[static_cast<size_t>(best)]);
    if (order > 0 || (order == 0 && last)) best = static_cast<int64_t>(i);
  }
  return best;
}

TEST(Reduce, ArgMaxAndArgMin) {
  constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16};
  std::mt19937 rng(8);
  for (int round = 0; round < 400; ++round) {
    ArgReduceArgs args;
    args.least = rng() % 2;
    args.last = rng() % 2;
    args.outer = 1 + rng() % 3;
    args.axis = 1 + rng() % (round % 10 == 0 ? 2000 : 70);
    args.inner = rng() % 2 ? 1 : 1 + rng() % 40;
    args.x_type = kTypes[rng() % 3];
    args.x_axis = args.inner + (args.inner > 1 && rng() % 3 == 0 ? 3 : 0);
    args.x_outer = args.axis * args.x_axis + rng() % 3;
    TestMemory x(args.x_type, args.outer * args.x_outer);
    const int values = rng() % 2 ? 5 : 1000;  // few: many equals
    const bool with_nan = rng() % 4 == 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      const float value = static_cast<float>(static_cast<int>(rng() % values) - values / 2);
      x.set(i, with_nan && rng() % 30 == 0 ? NAN : rng() % 50 == 0 ? -INFINITY : value);
    }
    args.x = x.bytes.data();
    for (Isa isa : available_isas()) {
      const int64_t n = args.outer * args.inner, cut = n / 2;
      std::vector<int64_t> y(static_cast<size_t>(n) + 1, -7);
      args.y = y.data();
      reduce_kernels(isa).arg_reduce(args, 0, cut);
      reduce_kernels(isa).arg_reduce(args, cut, n);
      EXPECT_EQ(y.back(), -7);
      for (int64_t k = 0; k < n; ++k) {
        std::vector<float> v;
        for (int64_t r = 0; r < args.axis; ++r) {
          v.push_back(x.get(k / args.inner * args.x_outer + r * args.x_axis + k % args.inner));
        }
        ASSERT_EQ(y[static_cast<size_t>(k)], first_or_last_best(v, args.least, args.last))
            << name_of(isa) << " round " << round << " axis " << args.axis << " inner " << args.inner;
      }
    }
  }
}

}  // namespace
}  // namespace oxplow
