#include "oxplow/kernels/depthwise/depthwise.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "oxplow/kernels/depthwise/reference.h"
#include "oxplow/kernels/guarded.h"

namespace oxplow {
namespace {

struct Case {
  int64_t batch, out_h, out_w, channels, kernel_h, kernel_w, stride, dilation;
  Activation activation = Activation::none;
  bool bias = true, residual = false;
};

std::string describe(const Case& c, const DepthwiseKernel& kernel) {
  return std::string(kernel.name) + " batch " + std::to_string(c.batch) + " out " + std::to_string(c.out_h) + "x" +
         std::to_string(c.out_w) + "x" + std::to_string(c.channels) + " kernel " + std::to_string(c.kernel_h) + "x" +
         std::to_string(c.kernel_w) + " stride " + std::to_string(c.stride) + " dilation " + std::to_string(c.dilation) +
         " activation " + std::to_string(static_cast<int>(c.activation));
}

// The tensors of one case, with pixels farther apart than their channels and rows farther than their pixels.
template <typename T>
struct Problem {
  DepthwiseArgs args;
  Guarded<T> x, y, residual;
  Guarded<float> w, bias;

  explicit Problem(const Case& c)
      : args(geometry(c)),
        x(args.batch * args.x_image, 1),
        y(args.batch * args.y_image, 3),
        residual(args.batch * args.residual_image, 1),
        w(c.kernel_h * c.kernel_w * c.channels, 1),
        bias(c.channels, 1) {
    x.fill_random(1);
    w.fill_random(2);
    bias.fill_random(3);
    residual.fill_random(4);
    y.fill(T(77.0f));
    args.x = x.data();
    args.y = y.data();
    args.w = w.data();
    args.epilogue = {.bias = c.bias ? bias.data() : nullptr,
                     .residual = c.residual ? residual.data() : nullptr,
                     .activation = c.activation,
                     .alpha = c.activation == Activation::clip ? -0.25f : 0.2f,
                     .beta = 0.5f};
  }

  static DepthwiseArgs geometry(const Case& c) {
    DepthwiseArgs args;
    args.batch = c.batch, args.out_h = c.out_h, args.out_w = c.out_w, args.channels = c.channels;
    args.kernel_h = c.kernel_h, args.kernel_w = c.kernel_w;
    args.stride_h = args.stride_w = c.stride;
    args.dilation_h = args.dilation_w = c.dilation;
    const int64_t in_h = (c.out_h - 1) * c.stride + (c.kernel_h - 1) * c.dilation + 1;
    const int64_t in_w = (c.out_w - 1) * c.stride + (c.kernel_w - 1) * c.dilation + 1;
    args.x_pixel = c.channels, args.x_row = in_w * args.x_pixel, args.x_image = in_h * args.x_row;
    args.y_pixel = c.channels + 3, args.y_row = c.out_w * args.y_pixel + 5, args.y_image = c.out_h * args.y_row + 1;
    args.residual_pixel = c.channels + 1, args.residual_row = c.out_w * args.residual_pixel,
    args.residual_image = c.out_h * args.residual_row;
    return args;
  }
};

template <typename T>
void expect_right(const Problem<T>& p, const std::string& what) {
  const DepthwiseArgs& args = p.args;
  const Epilogue& e = args.epilogue;
  std::vector<bool> written(static_cast<size_t>(p.y.size()));
  for (int64_t row = 0; row < args.batch * args.out_h; ++row) {
    for (int64_t j = 0; j < args.out_w; ++j) {
      for (int64_t c = 0; c < args.channels; ++c) {
        const int64_t n = row / args.out_h, i = row % args.out_h;
        double magnitude = 0;
        const double before = depthwise_reference<T>(args, n, i, j, c, &magnitude);
        const double expected = reference_activation(e.activation, before, double{e.alpha}, double{e.beta});
        const int64_t at = n * args.y_image + i * args.y_row + j * args.y_pixel + c;
        written[static_cast<size_t>(at)] = true;
        // One rounding a term, doubled for targets without fma; activations have slopes below 1.13 and errors below 2e-6.
        const double terms = static_cast<double>(args.kernel_h * args.kernel_w + 2);
        const double tolerance = 1.2 * 2 * terms * 0x1p-24 * magnitude + std::abs(expected) * (rounding_of<T>() + 4e-6) + 1e-30;
        ASSERT_NEAR(static_cast<double>(static_cast<float>(p.y[at])), expected, tolerance)
            << what << " at " << row << " " << j << " " << c;
      }
    }
  }
  for (int64_t at = 0; at < p.y.size(); ++at) {
    if (!written[static_cast<size_t>(at)]) {
      ASSERT_EQ(static_cast<float>(p.y[at]), 77.0f) << what << " between pixels " << at;
    }
  }
  EXPECT_TRUE(p.x.intact() && p.y.intact()) << what;
}

template <typename T>
void check(const DepthwiseKernel& kernel, const Case& c) {
  Problem<T> whole(c);
  kernel.run(whole.args, 0, c.batch * c.out_h, 0, c.channels);
  expect_right(whole, describe(c, kernel));
  // Bit-equal however it is split.
  Problem<T> parts(c);
  const int64_t step = kernel.channel_block;
  for (int64_t row = 0; row < c.batch * c.out_h; ++row) {
    for (int64_t begin = 0; begin < c.channels; begin += step) {
      kernel.run(parts.args, row, row + 1, begin, std::min(begin + step, c.channels));
    }
  }
  for (int64_t i = 0; i < whole.y.size(); ++i) {
    ASSERT_EQ(static_cast<float>(whole.y[i]), static_cast<float>(parts.y[i])) << describe(c, kernel);
  }
}

void check_all(const Case& c) {
  for (Isa isa : available_isas()) {
    for (const DepthwiseKernel& kernel : depthwise_kernels(isa).kernels) {
      kernel.x == DType::f32 ? check<float>(kernel, c) : check<BFloat16>(kernel, c);
    }
  }
}

TEST(Depthwise, AllKernelSizesStridesAndDilations) {
  for (int64_t kernel : {1, 2, 3, 4, 5, 7, 9}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t dilation : {1, 2}) check_all({1, 3, 9, 21, kernel, kernel, stride, dilation});
    }
  }
}

TEST(Depthwise, RaggedChannels) {
  for (int64_t channels : {1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 72}) check_all({1, 2, 5, channels, 3, 3, 1, 1});
}

TEST(Depthwise, EveryRowLength) {
  for (int64_t width = 1; width <= 16; ++width) {
    check_all({2, 2, width, 19, 3, 3, 1, 1});
    check_all({1, 2, width, 16, 5, 5, 2, 1});
    check_all({1, 2, width, 17, 7, 7, 1, 1});
  }
}

TEST(Depthwise, OblongKernels) {
  check_all({1, 4, 8, 20, 1, 7, 1, 1});
  check_all({1, 4, 8, 20, 7, 1, 1, 1});
  check_all({1, 4, 8, 20, 3, 5, 2, 1});
}

TEST(Depthwise, Epilogues) {
  for (int a = 0; a <= static_cast<int>(Activation::leaky_relu); ++a) {
    for (bool bias : {false, true}) {
      for (bool residual : {false, true}) {
        check_all({1, 2, 12, 35, 3, 3, 1, 1, static_cast<Activation>(a), bias, residual});
      }
    }
  }
}

TEST(Depthwise, NothingToDo) {
  for (Isa isa : available_isas()) {
    for (const DepthwiseKernel& kernel : depthwise_kernels(isa).kernels) {
      const DepthwiseArgs empty;
      kernel.run(empty, 0, 0, 0, 0);
    }
  }
}

TEST(Depthwise, NanStaysInItsWindow) {
  for (Isa isa : available_isas()) {
    const DepthwiseKernel* kernel = find_depthwise(isa, DType::f32);
    ASSERT_NE(kernel, nullptr);
    Problem<float> p({1, 5, 9, 18, 3, 3, 1, 1});
    p.x[2 * p.args.x_row + 4 * p.args.x_pixel + 17] = NAN;
    kernel->run(p.args, 0, 5, 0, 18);
    for (int64_t i = 0; i < 5; ++i) {
      for (int64_t j = 0; j < 9; ++j) {
        for (int64_t c = 0; c < 18; ++c) {
          const bool inside = c == 17 && i <= 2 && j >= 2 && j <= 4;
          EXPECT_EQ(std::isnan(p.y[i * p.args.y_row + j * p.args.y_pixel + c]), inside) << kernel->name;
        }
      }
    }
  }
}

TEST(Depthwise, PacksOnnxWeights) {
  const std::vector<float> w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // [2][2][3]
  std::vector<float> packed(12);
  pack_depthwise(w.data(), 6, 3, 1, 2, 3, 2, packed.data());
  EXPECT_EQ(packed, (std::vector<float>{1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12}));
}

}  // namespace
}  // namespace oxplow
