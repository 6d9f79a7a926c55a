#include "oxplow/kernels/conv/conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "oxplow/kernels/gemm/reference.h"
#include "oxplow/kernels/page_guarded.h"

namespace oxplow {
namespace {

constexpr float kGuard = -12345.0f;

float value_at(uint64_t i) {
  i = (i + 1) * 0x9e3779b97f4a7c15u;
  return static_cast<float>(static_cast<int64_t>(i >> 40) - (1 << 23)) * 0x1p-22f;  // [-2, 2)
}

float get(DType type, const char* p, int64_t i) {
  if (type == DType::f32) return reinterpret_cast<const float*>(p)[i];
  return static_cast<float>(reinterpret_cast<const BFloat16*>(p)[i]);
}
void set(DType type, char* p, int64_t i, float v) {
  if (type == DType::f32) {
    reinterpret_cast<float*>(p)[i] = v;
  } else {
    reinterpret_cast<BFloat16*>(p)[i] = BFloat16(v);
  }
}
float as_type(DType type, float v) { return type == DType::bf16 ? static_cast<float>(BFloat16(v)) : v; }

struct Case {
  int64_t batch = 1, out_h = 1, out_w = 1, in_channels = 1, out_channels = 1;
  int64_t kernel_h = 1, kernel_w = 1, stride = 1, dilation = 1;
  int64_t pixel_pad = 0, row_pad = 0;  // elements between pixels and between rows, of x, y and residual
  bool residual = false;
  Activation activation = Activation::none;
};

class Convolution {
 public:
  Convolution(const ConvKernel& kernel, Case c) : kernel_(kernel), case_(c), args_(describe(kernel, c)) {
    const ConvArgs& g = args_;
    x_.emplace(extent(g.batch, g.x_image, in_h(), g.x_row, in_w(), g.x_pixel, g.in_channels), kernel.x);
    y_.emplace(extent(g.batch, g.y_image, g.out_h, g.y_row, g.out_w, g.y_pixel, g.out_channels), kernel.y);
    residual_.emplace(extent(g.batch, g.residual_image, g.out_h, g.residual_row, g.out_w, g.residual_pixel, g.out_channels),
                      kernel.y);
    for (int64_t i = 0; i < x_->count; ++i) set(kernel.x, x_->bytes.data(), i, value_at(i));
    for (int64_t i = 0; i < y_->count; ++i) set(kernel.y, y_->bytes.data(), i, kGuard);
    for (int64_t i = 0; i < residual_->count; ++i) set(kernel.y, residual_->bytes.data(), i, value_at(i + 1000003));
    weights_.resize(c.out_channels * c.in_channels * c.kernel_h * c.kernel_w);
    for (size_t i = 0; i < weights_.size(); ++i) weights_[i] = value_at(i + 2000003);
    bias_.resize(c.out_channels);
    for (size_t i = 0; i < bias_.size(); ++i) bias_[i] = value_at(i + 3000017);
    packed_.emplace(kernel.packed_bytes(g));
    const int64_t taps = c.kernel_h * c.kernel_w;
    for (int64_t panel = panels(); panel-- > 0;) {
      kernel.pack(weights_.data(), c.in_channels * taps, taps, c.kernel_w, 1, c.in_channels, g, panel, panel + 1,
                  packed_->data());
    }
    args_.x = x_->bytes.data();
    args_.w = packed_->data();
    args_.y = y_->bytes.data();
    args_.epilogue.bias = bias_.data();
    args_.epilogue.residual = c.residual ? residual_->bytes.data() : nullptr;
    args_.epilogue.activation = c.activation;
    args_.epilogue.alpha = 0;
    args_.epilogue.beta = std::numeric_limits<float>::infinity();
  }

  int64_t panels() const { return (case_.out_channels + kernel_.panel_channels - 1) / kernel_.panel_channels; }
  int64_t pixels() const { return case_.batch * case_.out_h * case_.out_w; }
  void run() { kernel_.run(args_, 0, pixels(), 0, panels()); }
  void run(int64_t pixel_begin, int64_t pixel_end, int64_t panel_begin, int64_t panel_end) {
    kernel_.run(args_, pixel_begin, pixel_end, panel_begin, panel_end);
  }
  std::span<const char> bytes() const { return {y_->bytes.data(), y_->bytes.size()}; }

  void check() {
    const ConvArgs& g = args_;
    int64_t outputs = 0;
    for (int64_t n = 0; n < g.batch; ++n) {
      for (int64_t i = 0; i < g.out_h; ++i) {
        for (int64_t j = 0; j < g.out_w; ++j) {
          for (int64_t m = 0; m < g.out_channels; ++m, ++outputs) check_one(n, i, j, m);
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
    int64_t guards = 0;
    for (int64_t i = 0; i < y_->count; ++i) guards += get(kernel_.y, y_->bytes.data(), i) == as_type(kernel_.y, kGuard);
    EXPECT_EQ(guards, y_->count - outputs) << "memory between the results was written";
  }

 private:
  struct Tensor {
    Tensor(int64_t elements, DType type) : count(elements), bytes(elements * bytes_of(type, 1)) {}
    int64_t count;
    PageGuarded<char> bytes;
  };

  int64_t in_h() const { return (case_.out_h - 1) * case_.stride + (case_.kernel_h - 1) * case_.dilation + 1; }
  int64_t in_w() const { return (case_.out_w - 1) * case_.stride + (case_.kernel_w - 1) * case_.dilation + 1; }

  static int64_t extent(int64_t images, int64_t image, int64_t rows, int64_t row, int64_t pixels, int64_t pixel,
                        int64_t channels) {
    return (images - 1) * image + (rows - 1) * row + (pixels - 1) * pixel + channels;
  }

  ConvArgs describe(const ConvKernel& kernel, Case& c) {
    c.in_channels = (c.in_channels + kernel.channel_multiple - 1) / kernel.channel_multiple * kernel.channel_multiple;
    case_ = c;
    ConvArgs g;
    g.batch = c.batch;
    g.out_h = c.out_h;
    g.out_w = c.out_w;
    g.in_channels = c.in_channels;
    g.out_channels = c.out_channels;
    g.kernel_h = c.kernel_h;
    g.kernel_w = c.kernel_w;
    g.stride_h = g.stride_w = c.stride;
    g.dilation_h = g.dilation_w = c.dilation;
    g.x_pixel = c.in_channels + c.pixel_pad;
    g.x_row = in_w() * g.x_pixel + c.row_pad;
    g.x_image = in_h() * g.x_row;
    g.y_pixel = c.out_channels + c.pixel_pad;
    g.y_row = c.out_w * g.y_pixel + c.row_pad;
    g.y_image = c.out_h * g.y_row + 5;
    g.residual_pixel = c.out_channels + 2 * c.pixel_pad;
    g.residual_row = c.out_w * g.residual_pixel;
    g.residual_image = c.out_h * g.residual_row;
    return g;
  }

  void check_one(int64_t n, int64_t i, int64_t j, int64_t m) {
    const ConvArgs& g = args_;
    const int64_t channels = g.in_channels, taps = g.kernel_h * g.kernel_w;
    const auto x = [&](int64_t k) -> double {
      const int64_t r = k / channels / g.kernel_w, s = k / channels % g.kernel_w;
      const int64_t at = n * g.x_image + (i * g.stride_h + r * g.dilation_h) * g.x_row +
                         (j * g.stride_w + s * g.dilation_w) * g.x_pixel + k % channels;
      return get(kernel_.x, x_->bytes.data(), at);
    };
    const auto w = [&](int64_t k) -> double {
      return as_type(kernel_.w, weights_[(m * channels + k % channels) * taps + k / channels]);
    };
    double base = bias_[m];
    double size = std::abs(base);
    if (case_.residual) {
      const float z =
          get(kernel_.y, residual_->bytes.data(), n * g.residual_image + i * g.residual_row + j * g.residual_pixel + m);
      base += z;
      size += std::abs(z);
    }
    const double unit = kernel_.y == DType::bf16 ? 0x1p-8 : 0x1p-23;
    const ReferenceSum want = reference_sum(taps * channels, x, w, base, size, g.epilogue, unit);
    const float got = get(kernel_.y, y_->bytes.data(), n * g.y_image + i * g.y_row + j * g.y_pixel + m);
    ASSERT_NEAR(got, want.value, want.tolerance)
        << kernel_.name << " image " << n << " row " << i << " column " << j << " channel " << m;
  }

  const ConvKernel& kernel_;
  Case case_;
  ConvArgs args_;
  std::optional<Tensor> x_, y_, residual_;
  std::optional<PageGuarded<char>> packed_;
  std::vector<float> weights_, bias_;
};

class ConvTest : public testing::TestWithParam<Isa> {
 protected:
  std::span<const ConvKernel> kernels() const { return conv_kernels(GetParam()).kernels; }

  void expect_right(const Case& c) {
    for (const ConvKernel& kernel : kernels()) {
      Convolution convolution(kernel, c);
      convolution.run();
      convolution.check();
    }
  }
};

TEST_P(ConvTest, Pointwise) {
  expect_right({.out_h = 7, .out_w = 7, .in_channels = 64, .out_channels = 96});
  expect_right({.out_h = 1, .out_w = 1, .in_channels = 5, .out_channels = 3});
  expect_right({.batch = 3, .out_h = 5, .out_w = 3, .in_channels = 17, .out_channels = 33, .pixel_pad = 3});
}

// Where writing y is most of the work.
TEST_P(ConvTest, MuchWiderThanDeep) {
  expect_right({.batch = 2, .out_h = 9, .out_w = 11, .in_channels = 32, .out_channels = 150, .residual = true});
}

// Runs of k that are cut evenly, and with a rest.
TEST_P(ConvTest, RunsOfOddLength) {
  for (const int64_t channels : {22, 34, 40, 56}) {
    expect_right(
        {.out_h = 5, .out_w = 7, .in_channels = channels, .out_channels = 40, .kernel_h = 2, .kernel_w = 2, .pixel_pad = 2});
  }
}

TEST_P(ConvTest, ThreeByThree) {
  expect_right({.out_h = 14, .out_w = 14, .in_channels = 32, .out_channels = 64, .kernel_h = 3, .kernel_w = 3});
  expect_right({.batch = 2,
                .out_h = 9,
                .out_w = 11,
                .in_channels = 6,
                .out_channels = 40,
                .kernel_h = 3,
                .kernel_w = 3,
                .pixel_pad = 2,
                .row_pad = 7,
                .residual = true,
                .activation = Activation::clip});
}

TEST_P(ConvTest, StridedAndDilated) {
  expect_right(
      {.batch = 2, .out_h = 6, .out_w = 5, .in_channels = 20, .out_channels = 35, .kernel_h = 3, .kernel_w = 3, .stride = 2});
  expect_right({.out_h = 6, .out_w = 9, .in_channels = 12, .out_channels = 16, .kernel_h = 3, .kernel_w = 2, .dilation = 2});
  expect_right({.batch = 2, .out_h = 4, .out_w = 7, .in_channels = 24, .out_channels = 50, .stride = 2, .pixel_pad = 1});
}

TEST_P(ConvTest, FewChannels) {
  expect_right({.out_h = 12, .out_w = 13, .in_channels = 3, .out_channels = 64, .kernel_h = 7, .kernel_w = 7, .stride = 2});
  expect_right({.out_h = 4, .out_w = 3, .in_channels = 1, .out_channels = 1, .kernel_h = 5, .kernel_w = 1});
  expect_right({.out_h = 3, .out_w = 3, .in_channels = 1, .out_channels = 9, .kernel_h = 1, .kernel_w = 5, .pixel_pad = 1});
}

// Widths where tiles of equally distant pixels end within a row, fill it, or run on over the border into the next.
TEST_P(ConvTest, EveryWidth) {
  for (int64_t width = 1; width < 36; ++width) {
    expect_right({.batch = 2,
                  .out_h = 5,
                  .out_w = width,
                  .in_channels = width % 3 == 0 ? 32 : 44,
                  .out_channels = 40,
                  .kernel_h = 3,
                  .kernel_w = 3,
                  .pixel_pad = width % 2,
                  .residual = true,
                  .activation = width % 5 == 0 ? Activation::silu : Activation::clip});
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvTest, EveryNumberOfChannelsOut) {
  for (int64_t channels = 1; channels < 70; ++channels) {
    expect_right({.out_h = 3,
                  .out_w = 5,
                  .in_channels = 4,
                  .out_channels = channels,
                  .kernel_h = 1,
                  .kernel_w = 3,
                  .activation = channels % 2 == 0 ? Activation::clip : Activation::silu});
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvTest, Deep) {
  expect_right({.out_h = 7, .out_w = 7, .in_channels = 256, .out_channels = 33, .kernel_h = 3, .kernel_w = 3, .residual = true});
}

// Sums over so much that parts of it wait in the output: of a row of taps, of a tap, of a channel range.
TEST_P(ConvTest, DeeperThanAPart) {
  Case c{.out_h = 3, .out_w = 5, .in_channels = 200, .out_channels = 70, .kernel_h = 3, .kernel_w = 3, .residual = true};
  c.activation = Activation::clip;
  expect_right(c);
  c.pixel_pad = 4;
  expect_right(c);
  c.in_channels = 402;
  expect_right(c);
  expect_right({.out_h = 4, .out_w = 4, .in_channels = 2503, .out_channels = 67, .pixel_pad = 1, .residual = true});
  expect_right({.out_h = 3, .out_w = 4, .in_channels = 800, .out_channels = 33, .kernel_h = 2, .kernel_w = 3});
}

TEST_P(ConvTest, AnyBlocksGiveTheSameBits) {
  for (const ConvKernel& kernel : kernels()) {
    const Case c{.batch = 3, .out_h = 13, .out_w = 17, .in_channels = 32, .out_channels = 70, .kernel_h = 3, .kernel_w = 3};
    Convolution whole(kernel, c), parts(kernel, c);
    whole.run();
    for (int64_t panel = 0; panel < whole.panels(); ++panel) {
      for (int64_t pixel = 0; pixel < whole.pixels(); pixel += 19) {
        parts.run(pixel, std::min(pixel + 19, whole.pixels()), panel, panel + 1);
      }
    }
    EXPECT_TRUE(std::ranges::equal(whole.bytes(), parts.bytes()));
  }
}

// So find_conv() may choose by speed alone.
TEST_P(ConvTest, KernelsOfOneTypeGiveTheSameBits) {
  for (const ConvKernel& kernel : kernels()) {
    const ConvKernel& first =
        *std::ranges::find_if(kernels(), [&](const ConvKernel& other) { return other.x == kernel.x && other.y == kernel.y; });
    const Case c{.out_h = 9, .out_w = 13, .in_channels = 96, .out_channels = 70, .kernel_h = 3, .kernel_w = 3, .residual = true};
    Convolution a(first, c), b(kernel, c);
    a.run();
    b.run();
    EXPECT_TRUE(std::ranges::equal(a.bytes(), b.bytes())) << kernel.name;
    const ConvKernel* found = find_conv(GetParam(), kernel.x, kernel.y, 96, 70);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found, find_conv(GetParam(), kernel.x, kernel.y, 96, 70)) << "measured once";
  }
}

TEST_P(ConvTest, NothingToDo) {
  for (const ConvKernel& kernel : kernels()) {
    kernel.run({}, 0, 0, 0, 0);  // a width of zero, too
    Convolution convolution(kernel, {.out_h = 2, .out_w = 2, .in_channels = 3, .out_channels = 5});
    const std::vector<char> before(convolution.bytes().begin(), convolution.bytes().end());
    convolution.run(1, 1, 0, 1);
    convolution.run(0, 4, 1, 1);
    EXPECT_TRUE(std::ranges::equal(convolution.bytes(), before));
  }
}

TEST_P(ConvTest, ChannelsGivenMayBeFewer) {
  for (const ConvKernel& kernel : kernels()) {
    ConvArgs args;
    args.batch = args.out_h = args.out_w = 1;
    args.in_channels = args.x_pixel = args.x_row = 32;
    args.out_channels = args.y_pixel = args.y_row = 1;
    std::vector<float> weights{1, 1, 1};
    std::vector<char> packed(kernel.packed_bytes(args), 0x7f);
    kernel.pack(weights.data(), 3, 1, 1, 1, 3, args, 0, 1, packed.data());
    PageGuarded<char> x(32 * bytes_of(kernel.x, 1)), y(bytes_of(kernel.y, 1));
    for (int i = 0; i < 32; ++i) set(kernel.x, x.data(), i, static_cast<float>(i + 1));
    args.x = x.data();
    args.w = packed.data();
    args.y = y.data();
    kernel.run(args, 0, 1, 0, 1);
    EXPECT_EQ(get(kernel.y, y.data(), 0), 6);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, ConvTest, testing::ValuesIn(available_isas().begin(), available_isas().end()),
                         [](const auto& param) { return std::string(name_of(param.param)); });

}  // namespace
}  // namespace oxplow
