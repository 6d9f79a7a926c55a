// Values of Conv, MaxPool and AveragePool against the loops of their definitions, on every tier.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

struct Case {
  Shape x;  // NHWC
  Shape w;
  int64_t group = 1;
  std::vector<int64_t> strides = {1, 1}, dilations = {1, 1}, pads = {0, 0, 0, 0};
  bool bias = true;
  bool residual = false;
  // Rounding of Winograd's transforms, on top of the sum's own.
  double slack = 1;
};

Attributes attributes_of_case(const Case& c) {
  return attributes_of({{"group", c.group}, {"strides", c.strides}, {"dilations", c.dilations}, {"pads", c.pads}});
}

struct Operands {
  Tensor x, w, bias, residual;
};

Shape output_shape(const Case& c) {
  const auto extent = [&](int axis) {
    const size_t i = static_cast<size_t>(axis - 1);
    return (c.x[axis] + c.pads[i] + c.pads[i + 2] - (c.w[axis + 1] - 1) * c.dilations[i] - 1) / c.strides[i] + 1;
  };
  return {c.x[0], extent(1), extent(2), c.w[0]};
}

Expected plain_conv(const Case& c, const Operands& o) {
  Expected y(output_shape(c));
  const auto at = [](const Tensor& t, int64_t a, int64_t b, int64_t d, int64_t e) {
    const Shape& s = t.shape();
    return static_cast<double>(t.values<float>()[static_cast<size_t>(((a * s[1] + b) * s[2] + d) * s[3] + e)]);
  };
  size_t index = 0;
  const int64_t per_group = c.w[0] / c.group;
  for (int64_t n = 0; n < y.shape[0]; ++n) {
    for (int64_t i = 0; i < y.shape[1]; ++i) {
      for (int64_t j = 0; j < y.shape[2]; ++j) {
        for (int64_t m = 0; m < y.shape[3]; ++m, ++index) {
          double sum = 0, magnitude = 0;
          const auto add = [&](double v) { sum += v, magnitude += std::fabs(v); };
          for (int64_t r = 0; r < c.w[2]; ++r) {
            for (int64_t s = 0; s < c.w[3]; ++s) {
              const int64_t h = i * c.strides[0] - c.pads[0] + r * c.dilations[0],
                            v = j * c.strides[1] - c.pads[1] + s * c.dilations[1];
              if (h < 0 || v < 0 || h >= c.x[1] || v >= c.x[2]) continue;
              for (int64_t k = 0; k < c.w[1]; ++k) add(at(o.x, n, h, v, m / per_group * c.w[1] + k) * at(o.w, m, k, r, s));
            }
          }
          if (c.bias) add(static_cast<double>(o.bias.values<float>()[static_cast<size_t>(m)]));
          if (c.residual) add(at(o.residual, n, i, j, m));
          y.values[index] = sum;
          y.tolerance[index] = c.slack * static_cast<double>(product(c.w, 1, 4) + 3) * kUnit * magnitude + 1e-30;
        }
      }
    }
  }
  return y;
}

void check(const Case& c, Isa isa, int threads = 2) {
  const Operands o{random_f32(c.x, 1), random_f32(c.w, 2), random_f32(Shape{c.w[0]}, 3), random_f32(output_shape(c), 4)};
  // Borders are the planner's doing, so a convolution with padding runs as a model.
  for (const bool constant_weights : {true, false}) {
    SmallGraph g;
    const ValueId x = g.input("x", o.x.type());
    std::vector<Tensor> given{o.x};
    ValueId w = kNoValue;
    if (constant_weights) {
      w = g.constant(o.w);
    } else {
      w = g.input("w", o.w.type());
      given.push_back(o.w);
    }
    std::vector<ValueId> inputs{x, w, c.bias ? g.constant(o.bias) : kNoValue};
    if (c.residual) {
      inputs.push_back(g.input("residual", o.residual.type()));
      given.push_back(o.residual);
    }
    g.output(g.op("Conv", inputs, attributes_of_case(c)));
    SCOPED_TRACE(std::string(name_of(isa)) + (constant_weights ? ", packed ahead" : ", packed in the run"));
    const auto y = planned(g.graph, given, {}, threads, isa);
    ASSERT_EQ(y.size(), 1u);
    expect_near(y[0], plain_conv(c, o));
  }
}

class ConvValues : public testing::TestWithParam<Isa> {};

TEST_P(ConvValues, Pointwise) {
  check({.x = {2, 5, 7, 19}, .w = {23, 19, 1, 1}}, GetParam());
  check({.x = {1, 1, 1, 3}, .w = {1, 3, 1, 1}, .bias = false}, GetParam());
  check({.x = {1, 9, 9, 16}, .w = {32, 16, 1, 1}, .strides = {2, 2}}, GetParam());
  check({.x = {1, 3, 3, 8}, .w = {8, 8, 1, 1}, .pads = {1, 0, 2, 1}, .residual = true}, GetParam());
}

TEST_P(ConvValues, Windows) {
  check({.x = {2, 9, 11, 3}, .w = {7, 3, 3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}}, GetParam());
  check({.x = {1, 15, 13, 3}, .w = {17, 3, 7, 7}, .strides = {2, 2}, .pads = {3, 3, 3, 3}}, GetParam());
  check({.x = {1, 6, 6, 5}, .w = {4, 5, 2, 3}, .pads = {0, 2, 1, 0}, .residual = true}, GetParam());
  check({.x = {1, 12, 11, 4}, .w = {6, 4, 3, 3}, .dilations = {2, 3}, .pads = {2, 3, 2, 3}}, GetParam());
  check({.x = {1, 16, 16, 3}, .w = {8, 3, 4, 4}, .strides = {4, 4}}, GetParam());
  check({.x = {1, 5, 5, 2}, .w = {3, 2, 5, 5}}, GetParam());
}

TEST_P(ConvValues, StrideLargerThanKernel) {
  check({.x = {2, 10, 10, 4}, .w = {5, 4, 2, 2}, .strides = {3, 4}, .pads = {1, 1, 0, 0}}, GetParam());
}

TEST_P(ConvValues, Groups) {
  check({.x = {2, 6, 7, 8}, .w = {12, 2, 3, 3}, .group = 4, .pads = {1, 1, 1, 1}}, GetParam());
  check({.x = {1, 5, 5, 64}, .w = {64, 32, 1, 1}, .group = 2, .residual = true}, GetParam());
}

TEST_P(ConvValues, Depthwise) {
  for (int64_t channels : {2, 16, 33}) {
    check({.x = {2, 8, 9, channels}, .w = {channels, 1, 3, 3}, .group = channels, .pads = {1, 1, 1, 1}, .residual = true},
          GetParam());
    check({.x = {1, 9, 9, channels}, .w = {channels, 1, 5, 5}, .group = channels, .strides = {2, 2}, .pads = {2, 2, 2, 2}},
          GetParam());
  }
  check({.x = {1, 7, 7, 6}, .w = {6, 1, 7, 7}, .group = 6, .pads = {3, 3, 3, 3}, .bias = false}, GetParam());
  check({.x = {1, 8, 8, 6}, .w = {12, 1, 3, 3}, .group = 6}, GetParam());  // two filters a channel
}

TEST_P(ConvValues, WinogradSized) {
  check({.x = {2, 14, 15, 32}, .w = {40, 32, 3, 3}, .pads = {1, 1, 1, 1}, .residual = true, .slack = 8}, GetParam());
  check({.x = {1, 28, 28, 64}, .w = {64, 64, 3, 3}, .pads = {1, 1, 1, 1}, .slack = 8}, GetParam(), 3);
}

TEST_P(ConvValues, Signals) {
  check({.x = {3, 1, 40, 6}, .w = {5, 6, 1, 4}, .strides = {1, 3}, .pads = {0, 2, 0, 1}}, GetParam());
}

TEST_P(ConvValues, NothingToDo) {
  check({.x = {0, 8, 8, 16}, .w = {16, 16, 3, 3}, .pads = {1, 1, 1, 1}}, GetParam());
  check({.x = {0, 8, 8, 16}, .w = {16, 1, 3, 3}, .group = 16, .pads = {1, 1, 1, 1}}, GetParam());
  check({.x = {1, 4, 4, 3}, .w = {0, 3, 1, 1}}, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Tiers, ConvValues, testing::ValuesIn(available_isas().begin(), available_isas().end()),
                         [](const auto& tier) { return std::string(name_of(tier.param)); });

TEST(Conv, EmptyWidthGivesEmptyResult) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{1, 4, 0, 8}});
  g.output(g.op("Conv", {x, g.constant(random_f32({8, 8, 3, 3}, 1))}, attributes_of({{"auto_pad", std::string("SAME_UPPER")}})));
  const auto y = planned(g.graph, g.random_inputs());
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(y[0].shape(), (Shape{1, 4, 0, 8}));
}

TEST(Conv, AutoPadIsItsExplicitPads) {
  const Tensor x = random_f32({1, 7, 8, 4}, 1), w = random_f32({4, 4, 3, 3}, 2);
  const auto conv = [&](Attributes attributes) {
    SmallGraph g;
    g.output(g.op("Conv", {g.input("x", x.type()), g.constant(w)}, std::move(attributes)));
    return planned(g.graph, {x})[0];
  };
  const auto same = [&](const char* mode, std::vector<int64_t> pads) {
    EXPECT_TRUE(same_bits(conv(attributes_of({{"auto_pad", std::string(mode)}, {"strides", ints({2, 2})}})),
                          conv(attributes_of({{"pads", std::move(pads)}, {"strides", ints({2, 2})}}))))
        << mode;
  };
  same("SAME_UPPER", {1, 0, 1, 1});
  same("SAME_LOWER", {1, 1, 1, 0});
  same("VALID", {0, 0, 0, 0});
}

// PyTorch's and ONNX's rule of what an average divides by: taps in the image, or with count_include_pad in the padded image.
Expected plain_pool(bool max, const Tensor& x, const std::vector<int64_t>& kernel, const std::vector<int64_t>& strides,
                    const std::vector<int64_t>& dilations, const std::vector<int64_t>& pads, bool include_pad, const Shape& out) {
  Expected y(out);
  const Shape& s = x.shape();
  size_t index = 0;
  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t i = 0; i < out[1]; ++i) {
      for (int64_t j = 0; j < out[2]; ++j) {
        for (int64_t c = 0; c < out[3]; ++c, ++index) {
          double best = -INFINITY, sum = 0;
          int64_t inside = 0, counted = 0;
          for (int64_t r = 0; r < kernel[0]; ++r) {
            for (int64_t t = 0; t < kernel[1]; ++t) {
              const int64_t h = i * strides[0] - pads[0] + r * dilations[0], w = j * strides[1] - pads[1] + t * dilations[1];
              counted += h < s[1] + pads[2] && w < s[2] + pads[3];
              if (h < 0 || w < 0 || h >= s[1] || w >= s[2]) continue;
              const double v =
                  static_cast<double>(x.values<float>()[static_cast<size_t>(((n * s[1] + h) * s[2] + w) * s[3] + c)]);
              best = std::max(best, v);
              sum += v;
              ++inside;
            }
          }
          const int64_t divisor = include_pad ? counted : inside;
          y.values[index] = max ? best : divisor ? sum / static_cast<double>(divisor) : 0;
          y.tolerance[index] = max ? 0 : static_cast<double>(kernel[0] * kernel[1] + 2) * kUnit;
        }
      }
    }
  }
  return y;
}

TEST(Pool, MatchesTheDefinition) {
  const Tensor x = random_f32({2, 9, 10, 5}, 1);
  struct PoolCase {
    std::vector<int64_t> kernel, strides, dilations, pads;
    int64_t ceil_mode;
    Shape out;
  };
  const PoolCase cases[] = {
      {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 0, {2, 5, 5, 5}}, {{3, 3}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1, {2, 4, 5, 5}},
      {{2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 0, {2, 4, 5, 5}}, {{1, 3}, {1, 1}, {1, 1}, {0, 1, 0, 1}, 0, {2, 9, 10, 5}},
      {{3, 2}, {3, 3}, {1, 1}, {1, 0, 0, 1}, 1, {2, 4, 4, 5}}, {{2, 2}, {1, 1}, {3, 2}, {1, 1, 1, 1}, 0, {2, 8, 10, 5}},
  };
  for (Isa isa : available_isas()) {
    for (const PoolCase& c : cases) {
      for (const int64_t include_pad : {0, 1}) {
        const auto attributes = attributes_of({{"kernel_shape", c.kernel},
                                               {"strides", c.strides},
                                               {"dilations", c.dilations},
                                               {"pads", c.pads},
                                               {"ceil_mode", c.ceil_mode},
                                               {"count_include_pad", include_pad}});
        SCOPED_TRACE(std::string(name_of(isa)) + " " + std::to_string(&c - cases));
        expect_near(run_op("AveragePool", {x}, attributes, isa),
                    plain_pool(false, x, c.kernel, c.strides, c.dilations, c.pads, include_pad != 0, c.out));
        expect_near(run_op("MaxPool", {x}, attributes, isa),
                    plain_pool(true, x, c.kernel, c.strides, c.dilations, c.pads, false, c.out));
      }
    }
  }
}

}  // namespace
}  // namespace oxplow
