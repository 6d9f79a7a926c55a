// Values of Linear, MatMul and Attention against the loops of their definitions, on every tier.

#include "oxplow/graph/small_graph.h"
#include "oxplow/kernels/epilogue.h"
#include "oxplow/ops/conv_geometry.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

double at(const Tensor& t, int64_t i) { return static_cast<double>(t.values<float>()[static_cast<size_t>(i)]); }

class ProductValues : public testing::TestWithParam<Isa> {};

struct LinearCase {
  Shape x;
  int64_t n;
  bool transposed = false, bias = false, residual = false;
};

void check_linear(const LinearCase& c, Isa isa) {
  const int64_t k = c.x.back(), m = product(c.x, 0, c.x.rank() - 1);
  Shape out = c.x;
  out[out.rank() - 1] = c.n;
  const Tensor x = random_f32(c.x, 1), w = random_f32(c.transposed ? Shape{c.n, k} : Shape{k, c.n}, 2),
               bias = random_f32({c.n}, 3), residual = random_f32(out, 4);
  Expected y(out);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = 0, magnitude = 0;
      const auto add = [&](double v) { sum += v, magnitude += std::fabs(v); };
      for (int64_t p = 0; p < k; ++p) add(at(x, i * k + p) * at(w, c.transposed ? j * k + p : p * c.n + j));
      if (c.bias) add(at(bias, j));
      if (c.residual) add(at(residual, i * c.n + j));
      const auto index = static_cast<size_t>(i * c.n + j);
      y.values[index] = sum;
      y.tolerance[index] = static_cast<double>(k + 3) * kUnit * magnitude;
    }
  }
  const auto attributes = attributes_of({{"trans_w", int64_t{c.transposed}}});
  std::vector<Tensor> inputs{x, w, c.bias ? bias : Tensor{}, c.residual ? residual : Tensor{}};
  SCOPED_TRACE(to_string(c.x) + " x " + std::to_string(c.n) + " on " + std::string(name_of(isa)));
  for (int threads : {1, 3}) expect_near(run_op("Linear", inputs, attributes, isa, threads), y);
  // Weights known only in the run.
  SmallGraph g;
  std::vector<ValueId> ids{g.input("x", x.type()), g.input("w", w.type()), c.bias ? g.constant(bias) : kNoValue,
                           c.residual ? g.constant(residual) : kNoValue};
  g.output(g.op("Linear", ids, attributes));
  expect_near(planned(g.graph, {x, w}, {}, 2, isa)[0], y);
}

TEST_P(ProductValues, Linear) {
  check_linear({.x = {5, 7}, .n = 3}, GetParam());
  check_linear({.x = {1, 384}, .n = 1000, .transposed = true, .bias = true}, GetParam());
  check_linear({.x = {2, 33, 65}, .n = 130, .bias = true, .residual = true}, GetParam());
  check_linear({.x = {17}, .n = 5, .transposed = true, .bias = true, .residual = true}, GetParam());
  check_linear({.x = {3, 1}, .n = 1}, GetParam());
  check_linear({.x = {197, 64}, .n = 48, .transposed = true}, GetParam());
  check_linear({.x = {2, 0, 8}, .n = 4, .bias = true}, GetParam());
  check_linear({.x = {3, 8}, .n = 0}, GetParam());
  check_linear({.x = {3, 0}, .n = 20, .bias = true}, GetParam());
}

// Any broadcast product by numpy's rules.
void check_matmul(const Shape& a_shape, const Shape& b_shape, Isa isa) {
  const Tensor a = random_f32(a_shape, 1), b = random_f32(b_shape, 2);
  Shape ae = a_shape, be = b_shape;
  if (ae.rank() == 1) ae.insert(0, 1);
  if (be.rank() == 1) be.insert(1, 1);
  const int64_t m = ae[ae.rank() - 2], k = ae.back(), n = be.back();
  const auto lead = [](const Shape& s) { return Shape(std::span(s.begin(), s.size() - 2)); };
  const Shape batch = *broadcast(lead(ae), lead(be));
  Shape out = batch;
  if (a_shape.rank() > 1) out.push_back(m);
  if (b_shape.rank() > 1) out.push_back(n);
  Expected y(out);
  const auto matrix = [&](const Shape& shape, int64_t entry) {  // the first element of the operand's matrix for this batch entry
    int64_t offset = 0, stride = product(shape, shape.rank() - 2, shape.rank());
    for (int d = batch.rank() - 1, s = shape.rank() - 3; d >= 0; --d, --s) {
      const int64_t index = entry % batch[d];
      entry /= batch[d];
      if (s < 0) continue;
      offset += shape[s] == 1 ? 0 : index * stride;
      stride *= shape[s];
    }
    return offset;
  };
  for (int64_t e = 0; e < elements_of(batch); ++e) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, magnitude = 0;
        for (int64_t p = 0; p < k; ++p) {
          const double v = at(a, matrix(ae, e) + i * k + p) * at(b, matrix(be, e) + p * n + j);
          sum += v, magnitude += std::fabs(v);
        }
        const auto index = static_cast<size_t>((e * m + i) * n + j);
        y.values[index] = sum;
        y.tolerance[index] = static_cast<double>(k + 1) * kUnit * magnitude;
      }
    }
  }
  SCOPED_TRACE(to_string(a_shape) + " x " + to_string(b_shape) + " on " + std::string(name_of(isa)));
  for (int threads : {1, 3}) expect_near(run_op("MatMul", {a, b}, {}, isa, threads), y);
}

TEST_P(ProductValues, MatMul) {
  check_matmul({2, 3}, {3, 4}, GetParam());
  check_matmul({3}, {3, 4}, GetParam());
  check_matmul({2, 3}, {3}, GetParam());
  check_matmul({3}, {3}, GetParam());
  check_matmul({4, 17, 33}, {4, 33, 9}, GetParam());
  check_matmul({5, 1, 6, 7}, {3, 7, 2}, GetParam());
  check_matmul({6, 7}, {2, 3, 7, 5}, GetParam());
  check_matmul({7}, {2, 3, 7, 5}, GetParam());
  check_matmul({2, 3, 5, 7}, {7}, GetParam());
  check_matmul({1, 100, 70}, {1, 70, 90}, GetParam());
  check_matmul({0, 3, 4}, {0, 4, 5}, GetParam());
  check_matmul({2, 3, 0}, {2, 0, 5}, GetParam());
}

// Each operand transposed by a view: the product must read it as it lies, or have it copied.
TEST_P(ProductValues, MatMulOfTransposedViews) {
  const Tensor a = random_f32({2, 5, 9}, 1), b = random_f32({2, 7, 5}, 2);
  SmallGraph g;
  const ValueId x = g.input("a", a.type()), y = g.input("b", b.type());
  g.output(g.op("MatMul", {g.transpose(x, {0, 2, 1}), g.transpose(y, {0, 2, 1})}));
  const auto expected = op_by_op(g.graph, {a, b}, GetParam());
  EXPECT_TRUE(same_bits(planned(g.graph, {a, b}, {}, 2, GetParam())[0], expected[0]));
}

struct AttentionCase {
  int64_t batch, queries, keys, heads, kv_heads, head_dim, value_dim;
  Shape mask = {};
  bool causal = false;
};

void check_attention(const AttentionCase& c, Isa isa) {
  const Tensor q = random_f32({c.batch, c.queries, c.heads, c.head_dim}, 1, -2, 2),
               k = random_f32({c.batch, c.keys, c.kv_heads, c.head_dim}, 2, -2, 2),
               v = random_f32({c.batch, c.keys, c.kv_heads, c.value_dim}, 3);
  const bool has_mask = !c.mask.empty();
  const Tensor mask = random_f32(c.mask, 4, -3, 3);
  const float scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  Operand mask_operand;
  mask_operand.type = mask.type();
  mask_operand.strides = dense_strides(c.mask);
  const Dims ms = broadcast_strides(mask_operand, Shape{c.batch, c.heads, c.queries, c.keys});
  Expected y(Shape{c.batch, c.queries, c.heads, c.value_dim});
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t g = h / (c.heads / c.kv_heads);
      for (int64_t i = 0; i < c.queries; ++i) {
        std::vector<double> p(static_cast<size_t>(c.keys));
        double top = -INFINITY, total = 0;
        for (int64_t j = 0; j < c.keys; ++j) {
          double s = 0;
          for (int64_t d = 0; d < c.head_dim; ++d)
            s += at(q, ((b * c.queries + i) * c.heads + h) * c.head_dim + d) *
                 at(k, ((b * c.keys + j) * c.kv_heads + g) * c.head_dim + d);
          s *= static_cast<double>(scale);
          if (has_mask) s += at(mask, b * ms[0] + h * ms[1] + i * ms[2] + j * ms[3]);
          if (c.causal && j > i + c.keys - c.queries) s = -INFINITY;
          p[static_cast<size_t>(j)] = s;
          top = std::max(top, s);
        }
        for (double& s : p) total += s = std::exp(s - top);
        for (int64_t d = 0; d < c.value_dim; ++d) {
          double sum = 0;
          for (int64_t j = 0; j < c.keys; ++j)
            sum += p[static_cast<size_t>(j)] / total * at(v, ((b * c.keys + j) * c.kv_heads + g) * c.value_dim + d);
          const auto index = static_cast<size_t>(((b * c.queries + i) * c.heads + h) * c.value_dim + d);
          y.values[index] = sum;
          // A score is off by at most (D + 4) units of |scores| (at most 4 D scale + 3), which exp turns into as much of each weight.
          const double score = 4 * static_cast<double>(c.head_dim) * static_cast<double>(scale) + 3;
          y.tolerance[index] = (static_cast<double>(2 * c.head_dim + 8) * score + static_cast<double>(c.keys + 8)) * kUnit;
        }
      }
    }
  }
  std::vector<Tensor> inputs{q, k, v};
  if (has_mask) inputs.push_back(mask);
  const auto attributes = attributes_of({{"scale", scale}, {"causal", int64_t{c.causal}}});
  for (int threads : {1, 3}) expect_near(run_op("Attention", inputs, attributes, isa, threads), y);
}

TEST_P(ProductValues, Attention) {
  check_attention({1, 5, 5, 2, 2, 8, 8}, GetParam());
  check_attention({2, 33, 70, 3, 3, 32, 32}, GetParam());
  check_attention({1, 4, 9, 4, 2, 16, 12, {}, true}, GetParam());
  check_attention({2, 7, 6, 2, 2, 64, 64, {2, 1, 1, 6}}, GetParam());
  check_attention({2, 7, 6, 2, 2, 16, 16, {7, 6}}, GetParam());
  check_attention({1, 49, 49, 3, 3, 32, 32, {1, 3, 49, 49}}, GetParam());
  check_attention({1, 1, 300, 4, 1, 64, 64}, GetParam());
  check_attention({1, 1, 1, 1, 1, 1, 1}, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Tiers, ProductValues, testing::ValuesIn(available_isas().begin(), available_isas().end()),
                         [](const auto& tier) { return std::string(name_of(tier.param)); });

TEST(Linear, ActivationsOfTheEpilogue) {
  const Tensor x = random_f32({9, 40}, 1), w = random_f32({40, 21}, 2);
  const Tensor plain = run_op("Linear", {x, w});
  const std::pair<Activation, const char*> rows[] = {{Activation::sigmoid, "Sigmoid"},
                                                     {Activation::silu, "Silu"},
                                                     {Activation::gelu, "Gelu"},
                                                     {Activation::gelu_tanh, "GeluTanh"},
                                                     {Activation::tanh, "Tanh"},
                                                     {Activation::hard_swish, "HardSwish"},
                                                     {Activation::clip, "ClipTo"},
                                                     {Activation::leaky_relu, "LeakyRelu"},
                                                     {Activation::hard_sigmoid, "HardSigmoid"}};
  for (const auto& [activation, op] : rows) {
    Attributes epilogue;
    set_activation(epilogue, activation, 0.25f, 0.75f);
    const Tensor apart = run_op(op, {plain}, attributes_of({{"alpha", 0.25f}, {"beta", 0.75f}}));
    SCOPED_TRACE(op);
    expect_close(run_op("Linear", {x, w, {}, {}}, epilogue), apart, 8 * kUnit);
  }
}

}  // namespace
}  // namespace oxplow
