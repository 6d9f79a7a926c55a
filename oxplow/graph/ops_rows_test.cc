// Values of reductions, layer normalization and softmax against the loops of their definitions, on every tier.

#include <functional>

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

double at(const Tensor& t, int64_t i) { return static_cast<double>(t.values<float>()[static_cast<size_t>(i)]); }

class RowValues : public testing::TestWithParam<Isa> {};

double reduced(std::string_view op, const std::vector<double>& v) {
  const auto n = static_cast<double>(v.size());
  const auto sum = [&](auto f) {
    double total = 0;
    for (double x : v) total += f(x);
    return total;
  };
  const double top = v.empty() ? -INFINITY : *std::max_element(v.begin(), v.end());
  if (op == "ReduceSum") return sum([](double x) { return x; });
  if (op == "ReduceMean") return sum([](double x) { return x; }) / n;
  if (op == "ReduceMax") return top;
  if (op == "ReduceMin") return *std::min_element(v.begin(), v.end());
  if (op == "ReduceSumSquare") return sum([](double x) { return x * x; });
  if (op == "ReduceL1") return sum([](double x) { return std::fabs(x); });
  if (op == "ReduceL2") return std::sqrt(sum([](double x) { return x * x; }));
  if (op == "ReduceLogSum") return std::log(sum([](double x) { return x; }));
  if (op == "ReduceLogSumExp") return std::log(sum([&](double x) { return std::exp(x - top); })) + top;
  double product = 1;
  for (double x : v) product *= x;
  return product;
}

constexpr const char* kReductions[] = {"ReduceSum",       "ReduceMean", "ReduceMax", "ReduceMin",    "ReduceProd",
                                       "ReduceSumSquare", "ReduceL1",   "ReduceL2",  "ReduceLogSum", "ReduceLogSumExp"};

void check_reduction(const char* op, const Shape& shape, const std::vector<int64_t>& axes, bool keep, Isa isa) {
  const Tensor x = random_f32(shape, 1, 0.5f, 1.5f);
  std::vector<bool> gone(shape.size(), axes.empty());
  for (int64_t a : axes) gone[static_cast<size_t>(a < 0 ? a + shape.rank() : a)] = true;
  Shape out;
  int64_t results = 1;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!gone[static_cast<size_t>(d)])
      out.push_back(shape[d]), results *= shape[d];
    else if (keep)
      out.push_back(1);
  }
  std::vector<std::vector<double>> groups(static_cast<size_t>(results));
  for (int64_t i = 0; i < x.elements(); ++i) {
    int64_t rest = i, index = 0, stride = 1;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (!gone[static_cast<size_t>(d)]) index += rest % shape[d] * stride, stride *= shape[d];
      rest /= shape[d];
    }
    groups[static_cast<size_t>(index)].push_back(at(x, i));
  }
  Expected y(out);
  for (size_t i = 0; i < groups.size(); ++i) {
    y.values[i] = reduced(op, groups[i]);
    y.tolerance[i] = (static_cast<double>(groups[i].size()) + 16) * kUnit * (std::fabs(y.values[i]) + 1);
  }
  std::vector<Tensor> inputs{x};
  if (!axes.empty()) inputs.push_back(integers(axes));
  SCOPED_TRACE(std::string(op) + " of " + to_string(shape));
  for (int threads : {1, 3}) expect_near(run_op(op, inputs, attributes_of({{"keepdims", int64_t{keep}}}), isa, threads), y);
}

TEST_P(RowValues, Reductions) {
  for (const char* op : kReductions) {
    check_reduction(op, {3, 37}, {1}, true, GetParam());
    check_reduction(op, {37, 3}, {0}, false, GetParam());
    check_reduction(op, {2, 5, 6, 33}, {1, 2}, true, GetParam());
    check_reduction(op, {4, 3, 2, 5}, {0, 2}, false, GetParam());
    check_reduction(op, {4, 3, 2, 5}, {-1, 1}, true, GetParam());
    check_reduction(op, {7, 9}, {}, true, GetParam());
    check_reduction(op, {2, 3, 4, 5, 3, 2}, {0, 2, 4}, false, GetParam());
    check_reduction(op, {1, 1, 17}, {0}, false, GetParam());
    check_reduction(op, {}, {}, false, GetParam());
  }
  check_reduction("ReduceSum", {1, 5000}, {1}, false, GetParam());
  check_reduction("ReduceMean", {64, 7, 7, 200}, {1, 2}, true, GetParam());
}

TEST_P(RowValues, LayerNormalization) {
  struct NormCase {
    Shape shape;
    int64_t axis;
    bool bias, residual;
  };
  for (const NormCase& c : {NormCase{{5, 384}, -1, true, false},
                            {{2, 3, 17}, -1, false, false},
                            {{3, 4, 5, 6}, 2, true, true},
                            {{1}, 0, true, false},
                            {{2, 1}, 1, true, true}}) {
    const int axis = static_cast<int>(c.axis < 0 ? c.axis + c.shape.rank() : c.axis);
    const int64_t columns = product(c.shape, axis, c.shape.rank()), rows = product(c.shape, 0, axis);
    const Tensor x = random_f32(c.shape, 1, -2, 3), residual = random_f32(c.shape, 2), gamma = random_f32({columns}, 3),
                 beta = random_f32({columns}, 4);
    Expected y(c.shape);
    for (int64_t i = 0; i < rows; ++i) {
      std::vector<double> v;
      for (int64_t j = 0; j < columns; ++j)
        v.push_back(at(x, i * columns + j) + (c.residual ? at(residual, i * columns + j) : 0));
      const double mean = reduced("ReduceMean", v);
      double variance = 0;
      for (double e : v) variance += (e - mean) * (e - mean) / static_cast<double>(columns);
      for (int64_t j = 0; j < columns; ++j) {
        const double scaled = (v[static_cast<size_t>(j)] - mean) / std::sqrt(variance + 1e-3);
        const auto index = static_cast<size_t>(i * columns + j);
        y.values[index] = scaled * at(gamma, j) + (c.bias ? at(beta, j) : 0);
        // v and the mean are off by some units of 4, which 1 / sqrt(variance + epsilon) magnifies.
        y.tolerance[index] = (static_cast<double>(columns) + 32) * kUnit * (4 / std::sqrt(variance + 1e-3) + 2);
      }
    }
    std::vector<Tensor> inputs{x, gamma, c.bias ? beta : Tensor{}};
    if (c.residual) inputs.push_back(residual);
    const auto attributes = attributes_of({{"axis", c.axis}, {"epsilon", 1e-3f}});
    SCOPED_TRACE(to_string(c.shape));
    expect_near(run_op("LayerNormalization", inputs, attributes, GetParam()), y);
    if (!c.residual) continue;
    const auto both = run_ops("LayerNormalization", inputs, attributes, 2, GetParam());
    expect_near(both[0], y);
    EXPECT_TRUE(same_bits(both[1], run_op("Add", {x, residual}))) << "the second output is the sum";
  }
}

void check_softmax(const Shape& shape, int64_t axis, bool coerce, Isa isa) {
  const Tensor x = random_f32(shape, 1, -8, 8);
  const int first = static_cast<int>(axis < 0 ? axis + shape.rank() : axis);
  const int64_t length = coerce ? product(shape, first, shape.rank()) : shape[first],
                inner = coerce ? 1 : product(shape, first + 1, shape.rank());
  Expected y(shape), log(shape);
  for (int64_t o = 0; o < product(shape, 0, first); ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      double top = -INFINITY, sum = 0;
      for (int64_t r = 0; r < length; ++r) top = std::max(top, at(x, (o * length + r) * inner + i));
      for (int64_t r = 0; r < length; ++r) sum += std::exp(at(x, (o * length + r) * inner + i) - top);
      for (int64_t r = 0; r < length; ++r) {
        const auto index = static_cast<size_t>((o * length + r) * inner + i);
        log.values[index] = at(x, static_cast<int64_t>(index)) - top - std::log(sum);
        y.values[index] = std::exp(log.values[index]);
        log.tolerance[index] = (static_cast<double>(length) + 64) * kUnit;
        y.tolerance[index] = (static_cast<double>(length) + 64) * kUnit * y.values[index];
      }
    }
  }
  const auto attributes = attributes_of({{"axis", axis}, {"coerce", int64_t{coerce}}});
  SCOPED_TRACE(to_string(shape) + " along " + std::to_string(axis));
  const Tensor one = run_op("Softmax", {x}, attributes, isa, 1);
  expect_near(one, y);
  EXPECT_TRUE(same_bits(run_op("Softmax", {x}, attributes, isa, 3), one));
  for (int threads : {1, 3}) expect_near(run_op("LogSoftmax", {x}, attributes, isa, threads), log);
}

TEST_P(RowValues, Softmax) {
  check_softmax({5, 1000}, -1, false, GetParam());
  check_softmax({2, 3, 37}, 1, false, GetParam());
  check_softmax({2, 3, 37}, 0, false, GetParam());
  check_softmax({7, 641}, 0, false, GetParam());
  check_softmax({1, 16384}, -1, false, GetParam());
  check_softmax({3, 20001}, -1, false, GetParam());
  check_softmax({3, 40, 1000}, 1, false, GetParam());
  check_softmax({2, 3, 4, 5}, 1, true, GetParam());
  check_softmax({2, 3, 4, 5}, -2, true, GetParam());
  check_softmax({1}, 0, false, GetParam());
  check_softmax({3, 1}, 1, false, GetParam());
  check_softmax({64, 49, 49}, -1, false, GetParam());
}

TEST_P(RowValues, NothingToReduce) {
  EXPECT_EQ(run_op("ReduceSum", {random_f32({0, 4}, 1), integers({1})}, {}, GetParam()).shape(), (Shape{0, 1}));
  EXPECT_EQ(values_of<float>(run_op("ReduceSum", {random_f32({3, 0}, 1), integers({1})}, {}, GetParam())),
            (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(run_op("Softmax", {random_f32({0, 4}, 1)}, {}, GetParam()).shape(), (Shape{0, 4}));
  EXPECT_EQ(run_op("Softmax", {random_f32({4, 0}, 1)}, {}, GetParam()).shape(), (Shape{4, 0}));
  EXPECT_EQ(run_op("LayerNormalization", {random_f32({0, 4}, 1), random_f32({4}, 2)}, {}, GetParam()).shape(), (Shape{0, 4}));
}

INSTANTIATE_TEST_SUITE_P(Tiers, RowValues, testing::ValuesIn(available_isas().begin(), available_isas().end()),
                         [](const auto& tier) { return std::string(name_of(tier.param)); });

TEST(Reduce, NoAxesAndNoop) {
  const Tensor x = random_f32({3, 5}, 1);
  EXPECT_TRUE(same_bits(run_op("ReduceSum", {x, integers({})}, attributes_of({{"noop_with_empty_axes", int64_t{1}}})), x));
  EXPECT_NE(op_error("ReduceSum", {tensor<bool>({1}, {true})}).find("reduction of boolean"), std::string::npos);
}

}  // namespace
}  // namespace oxplow
