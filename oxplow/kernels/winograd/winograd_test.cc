#include "oxplow/kernels/winograd/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "oxplow/base/dtype.h"
#include "oxplow/base/memory.h"

namespace oxplow {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kGuard = -12345.5f;

struct Shape {
  int64_t batch, h, w, c, k;
};

// Every kernel of every tier for images of this type.
std::vector<const WinogradKernel*> all_kernels(DType image = DType::f32) {
  std::vector<const WinogradKernel*> all;
  for (Isa isa : available_isas()) {
    for (const WinogradKernel& kernel : winograd_kernels(isa).kernels) {
      if (kernel.image == image && std::find(all.begin(), all.end(), &kernel) == all.end()) all.push_back(&kernel);
    }
  }
  return all;
}

// One convolution with its buffers. x has gaps of NaN behind every pixel, row and image, the residual and y gaps of guards.
struct Case {
  Shape s;
  ConvArgs args;
  std::vector<float> x, w, bias, residual, y;
  Buffer packed, workspace;

  explicit Case(const Shape& shape, unsigned seed = 1) : s(shape) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    args.batch = s.batch, args.out_h = s.h, args.out_w = s.w, args.in_channels = s.c, args.out_channels = s.k;
    args.kernel_h = args.kernel_w = 3;
    args.x_pixel = s.c + 1, args.x_row = (s.w + 2) * args.x_pixel + 3, args.x_image = (s.h + 2) * args.x_row + 5;
    args.y_pixel = s.k + 2, args.y_row = s.w * args.y_pixel + 1, args.y_image = s.h * args.y_row + 7;
    args.residual_pixel = s.k + 1, args.residual_row = s.w * args.residual_pixel,
    args.residual_image = s.h * args.residual_row + 1;
    x.assign(static_cast<size_t>(s.batch * args.x_image + 8), kNaN);
    for (int64_t n = 0; n < s.batch; ++n) {
      for (int64_t i = 0; i < s.h + 2; ++i) {
        for (int64_t j = 0; j < s.w + 2; ++j) {
          for (int64_t c = 0; c < s.c; ++c) x_at(n, i, j, c) = uniform(random);
        }
      }
    }
    args.x = x.data() + 1;
    w.resize(static_cast<size_t>(s.k * s.c * 9));
    for (float& value : w) value = uniform(random);
    bias.resize(static_cast<size_t>(s.k));
    for (float& value : bias) value = uniform(random);
    residual.resize(static_cast<size_t>(s.batch * args.residual_image));
    for (float& value : residual) value = uniform(random);
    y.assign(static_cast<size_t>(s.batch * args.y_image + 8), kGuard);
    args.y = y.data() + 3;
  }
  float& x_at(int64_t n, int64_t i, int64_t j, int64_t c) {
    return x[static_cast<size_t>(1 + n * args.x_image + i * args.x_row + j * args.x_pixel + c)];
  }
  size_t y_index(int64_t n, int64_t i, int64_t j, int64_t k) const {
    return static_cast<size_t>(3 + n * args.y_image + i * args.y_row + j * args.y_pixel + k);
  }

  void pack(const WinogradKernel& kernel) {
    packed = std::move(*Buffer::allocate(kernel.packed_bytes(args)));
    const int64_t panels = (s.k + kernel.panel_channels - 1) / kernel.panel_channels;
    // In two parts: panels are independent.
    kernel.pack(w.data(), s.c * 9, 9, 3, 1, s.c, args, panels / 2, panels, packed.data());
    kernel.pack(w.data(), s.c * 9, 9, 3, 1, s.c, args, 0, panels / 2, packed.data());
    args.w = packed.data();
  }
  // Tasks backwards, on workers in turn, over a workspace of NaN with a guard behind it.
  void run(const WinogradKernel& kernel, int threads) {
    const size_t bytes = kernel.workspace_bytes(args, threads);
    workspace = std::move(*Buffer::allocate(bytes + sizeof(float)));
    float* floats = reinterpret_cast<float*>(workspace.data());
    std::fill_n(floats, bytes / sizeof(float), kNaN);
    floats[bytes / sizeof(float)] = kGuard;
    for (int phase = 0; phase < kernel.phases(args, threads); ++phase) {
      for (int task = kernel.tasks(args, threads, phase) - 1; task >= 0; --task) {
        kernel.run(args, threads, phase, task, task % threads, floats);
      }
    }
    EXPECT_EQ(floats[bytes / sizeof(float)], kGuard) << "wrote past the workspace";
  }
};

double activated(const Epilogue& e, double x) {
  switch (e.activation) {
    case Activation::none: return x;
    case Activation::clip: return std::min<double>(std::max<double>(x, e.alpha), e.beta);
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::hard_sigmoid: return std::min(std::max(e.alpha * x + e.beta, 0.0), 1.0);
    case Activation::hard_swish: return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0);
    case Activation::gelu: return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh: return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::tanh: return std::tanh(x);
    case Activation::leaky_relu: return x < 0 ? e.alpha * x : x;
  }
  return x;
}

// Direct convolution in double, laid out as y.
std::vector<double> reference(Case& t) {
  std::vector<double> y(t.y.size(), kGuard);
  std::vector<double> sums(static_cast<size_t>(t.s.k));
  std::vector<double> taps(static_cast<size_t>(9 * t.s.c * t.s.k));  // [r][s][c][k]
  for (int64_t k = 0; k < t.s.k; ++k) {
    for (int64_t c = 0; c < t.s.c; ++c) {
      for (int64_t p = 0; p < 9; ++p) {
        taps[static_cast<size_t>((p * t.s.c + c) * t.s.k + k)] = t.w[static_cast<size_t>((k * t.s.c + c) * 9 + p)];
      }
    }
  }
  for (int64_t n = 0; n < t.s.batch; ++n) {
    for (int64_t i = 0; i < t.s.h; ++i) {
      for (int64_t j = 0; j < t.s.w; ++j) {
        for (int64_t k = 0; k < t.s.k; ++k) {
          sums[static_cast<size_t>(k)] = t.args.epilogue.bias ? t.bias[static_cast<size_t>(k)] : 0.0;
          if (t.args.epilogue.residual) {
            sums[static_cast<size_t>(k)] += t.residual[static_cast<size_t>(n * t.args.residual_image + i * t.args.residual_row +
                                                                           j * t.args.residual_pixel + k)];
          }
        }
        for (int64_t p = 0; p < 9; ++p) {
          for (int64_t c = 0; c < t.s.c; ++c) {
            const double x = t.x_at(n, i + p / 3, j + p % 3, c);
            const double* tap = &taps[static_cast<size_t>((p * t.s.c + c) * t.s.k)];
            for (int64_t k = 0; k < t.s.k; ++k) sums[static_cast<size_t>(k)] += x * tap[k];
          }
        }
        for (int64_t k = 0; k < t.s.k; ++k) y[t.y_index(n, i, j, k)] = activated(t.args.epilogue, sums[static_cast<size_t>(k)]);
      }
    }
  }
  return y;
}

// The largest over output i of sqrt(sum over points j of A[i][j]^2 |G[j]|^2 |B[j]|^2), Euclidean row norms, for F(m, 3): what the
// transforms make of independent inputs of variance 1. Squared in two dimensions.
double amplification(int m) {
  const std::vector<double> finite = m == 4 ? std::vector<double>{0, 0.625, -0.625, 1.5, -1.5} : std::vector<double>{0, 1, -1};
  std::vector<double> sums(static_cast<size_t>(m), 0.0);
  for (size_t j = 0; j <= finite.size(); ++j) {
    std::vector<double> polynomial = {1};
    double scale = 1;
    for (size_t l = 0; l < finite.size(); ++l) {
      if (l == j) continue;
      polynomial.push_back(0);
      for (size_t k = polynomial.size() - 1; k > 0; --k) polynomial[k] = polynomial[k - 1] - finite[l] * polynomial[k];
      polynomial[0] *= -finite[l];
      if (j < finite.size()) scale *= finite[j] - finite[l];
    }
    double b = 0;
    for (double c : polynomial) b += c * c;
    const double x = j < finite.size() ? finite[j] : 0;
    const double g = j < finite.size() ? (1 + x * x + x * x * x * x) / (scale * scale) : 1;
    for (int i = 0; i < m; ++i) {
      const double a = j < finite.size() ? std::pow(x, i) : (i == m - 1 ? 1 : 0);
      sums[static_cast<size_t>(i)] += a * a * b * g;
    }
  }
  return std::sqrt(*std::max_element(sums.begin(), sums.end()));
}

// Rounding errors as independent: sqrt(c) of them on a sum of c products, each product's variance (1/3)^2 amplified; plus those
// of the transforms, at most 16; 8 standard deviations. Activations here have slopes of at most 1.2, and errors of their own of a
// few units.
double tolerance(const WinogradKernel& kernel, const Shape& s) {
  const double unit = std::numeric_limits<float>::epsilon() / 2;
  const double c = static_cast<double>(s.c);
  return 8 * unit * (std::sqrt(c + 16) * std::sqrt(c) * std::pow(amplification(kernel.output_tile), 2) / 3 + 4);
}

void expect_near(const Case& t, const std::vector<double>& expected, double allowed, const std::string& what) {
  for (size_t i = 0; i < t.y.size(); ++i) {
    if (expected[i] == kGuard) {
      ASSERT_EQ(t.y[i], kGuard) << what << ": wrote outside of the output, at " << i;
    } else {
      ASSERT_NEAR(t.y[i], expected[i], allowed) << what << " at " << i;
    }
  }
}

std::string name_of(const WinogradKernel& kernel, const Shape& s) {
  return std::string(kernel.name) + " " + std::to_string(s.batch) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w) + " " +
         std::to_string(s.c) + "->" + std::to_string(s.k);
}

const Shape kShapes[] = {
    {1, 1, 1, 1, 1},    {1, 1, 7, 3, 5},     {2, 2, 2, 16, 16},   {3, 3, 4, 17, 33}, {1, 4, 4, 4, 64},    {1, 5, 6, 15, 31},
    {2, 7, 7, 64, 48},  {1, 8, 9, 130, 1},   {1, 9, 3, 1, 130},   {3, 6, 11, 20, 7}, {2, 13, 14, 32, 40}, {1, 14, 14, 129, 65},
    {1, 28, 28, 9, 32}, {1, 57, 57, 12, 20}, {1, 56, 23, 64, 64}, {1, 2, 57, 33, 2}, {1, 31, 1, 8, 96},   {2, 16, 15, 130, 130},
};

TEST(Winograd, MatchesDirectConvolution) {
  for (const WinogradKernel* kernel : all_kernels()) {
    for (const Shape& shape : kShapes) {
      Case t(shape);
      t.pack(*kernel);
      t.run(*kernel, 1);
      expect_near(t, reference(t), tolerance(*kernel, shape), name_of(*kernel, shape));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Winograd, AppliesBiasResidualAndActivation) {
  const Shape shape = {2, 7, 10, 19, 37};
  const Activation activations[] = {Activation::none,         Activation::clip,       Activation::sigmoid, Activation::silu,
                                    Activation::hard_sigmoid, Activation::hard_swish, Activation::gelu,    Activation::gelu_tanh,
                                    Activation::tanh,         Activation::leaky_relu};
  for (const WinogradKernel* kernel : all_kernels()) {
    for (Activation activation : activations) {
      for (int parts = 0; parts < 4; ++parts) {
        Case t(shape);
        t.args.epilogue.bias = parts & 1 ? t.bias.data() : nullptr;
        t.args.epilogue.residual = parts & 2 ? t.residual.data() : nullptr;
        t.args.epilogue.activation = activation;
        t.args.epilogue.alpha = activation == Activation::clip ? -0.5f : 0.2f;
        t.args.epilogue.beta = activation == Activation::clip ? 1.25f : 0.5f;
        t.pack(*kernel);
        t.run(*kernel, 1);
        expect_near(t, reference(t), 2 * tolerance(*kernel, shape),
                    name_of(*kernel, shape) + " activation " + std::to_string(static_cast<int>(activation)));
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(Winograd, ThreadsAndBatchChangeNoBit) {
  const Shape shapes[] = {{1, 56, 56, 16, 64}, {3, 14, 13, 40, 70}, {8, 7, 7, 96, 96}, {1, 28, 30, 128, 128}, {2, 3, 3, 5, 200}};
  for (const WinogradKernel* kernel : all_kernels()) {
    for (const Shape& shape : shapes) {
      Case one(shape);
      one.args.epilogue.bias = one.bias.data();
      one.pack(*kernel);
      one.run(*kernel, 1);
      for (int threads = 2; threads <= 5; ++threads) {
        Case many(shape);
        many.args.epilogue.bias = many.bias.data();
        many.args.w = one.args.w;
        many.run(*kernel, threads);
        ASSERT_EQ(std::memcmp(one.y.data(), many.y.data(), one.y.size() * sizeof(float)), 0)
            << name_of(*kernel, shape) << ", " << threads << " threads";
      }
      Case first(shape);
      first.args.epilogue.bias = first.bias.data();
      first.args.w = one.args.w;
      first.args.batch = 1;
      first.run(*kernel, 2);
      ASSERT_EQ(std::memcmp(one.y.data(), first.y.data(), first.y_index(0, shape.h - 1, shape.w - 1, shape.k) * sizeof(float)), 0)
          << name_of(*kernel, shape) << ", an image alone";
    }
  }
}

TEST(Winograd, NotANumberStaysWithinItsTiles) {
  const Shape shape = {1, 17, 18, 20, 33};
  for (const WinogradKernel* kernel : all_kernels()) {
    for (float bad : {kNaN, kInfinity}) {
      Case t(shape);
      t.pack(*kernel);
      const std::vector<double> expected = reference(t);
      t.x_at(0, 9, 10, 13) = bad;
      t.run(*kernel, 2);
      const int64_t m = kernel->output_tile;
      for (int64_t i = 0; i < shape.h; ++i) {
        for (int64_t j = 0; j < shape.w; ++j) {
          const bool sees = i <= 9 && 9 <= i + 2 && j <= 10 && 10 <= j + 2;
          const bool tile_sees = i / m * m <= 9 && 9 <= i / m * m + m + 1 && j / m * m <= 10 && 10 <= j / m * m + m + 1;
          for (int64_t k = 0; k < shape.k; ++k) {
            const float y = t.y[t.y_index(0, i, j, k)];
            if (sees) {
              ASSERT_FALSE(std::isfinite(y)) << kernel->name << " " << i << " " << j << " " << k;
            } else if (!tile_sees) {
              ASSERT_NEAR(y, expected[t.y_index(0, i, j, k)], tolerance(*kernel, shape)) << kernel->name << " " << i << " " << j;
            }
          }
        }
      }
    }
  }
}

// ReLU of a NaN is a NaN.
TEST(Winograd, ClipKeepsNotANumber) {
  for (const WinogradKernel* kernel : all_kernels()) {
    Case t({1, 4, 4, 3, 5});
    t.args.epilogue.activation = Activation::clip;
    t.args.epilogue.beta = kInfinity;
    t.pack(*kernel);
    t.x_at(0, 2, 2, 1) = kNaN;
    t.run(*kernel, 1);
    EXPECT_TRUE(std::isnan(t.y[t.y_index(0, 1, 1, 4)])) << kernel->name;
  }
}

// Backward-data is the same convolution with w turned around and in and out exchanged; missing input channels count as zero.
TEST(Winograd, PacksTransposedWeightsAndFewerChannels) {
  const Shape shape = {1, 9, 6, 14, 11};
  for (const WinogradKernel* kernel : all_kernels()) {
    const int64_t given = shape.c - 3;
    Case plain(shape);  // w[k][c][r][s], the last 3 channels zero
    for (int64_t k = 0; k < shape.k; ++k) {
      std::fill_n(plain.w.begin() + (k * shape.c + given) * 9, 3 * 9, 0.0f);
    }
    const std::vector<double> expected = reference(plain);
    std::vector<float> turned(static_cast<size_t>(given * shape.k * 9));  // w[c][k][2 - r][2 - s]
    for (int64_t k = 0; k < shape.k; ++k) {
      for (int64_t c = 0; c < given; ++c) {
        for (int64_t p = 0; p < 9; ++p) {
          turned[static_cast<size_t>((c * shape.k + k) * 9 + 8 - p)] = plain.w[static_cast<size_t>((k * shape.c + c) * 9 + p)];
        }
      }
    }
    plain.packed = std::move(*Buffer::allocate(kernel->packed_bytes(plain.args)));
    const int64_t panels = (shape.k + kernel->panel_channels - 1) / kernel->panel_channels;
    kernel->pack(turned.data() + 8, 9, shape.k * 9, -3, -1, given, plain.args, 0, panels, plain.packed.data());
    plain.args.w = plain.packed.data();
    plain.run(*kernel, 1);
    expect_near(plain, expected, tolerance(*kernel, shape), kernel->name);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Winograd, EmptyOutputIsNoWork) {
  for (const WinogradKernel* kernel : all_kernels()) {
    Case t({1, 4, 4, 3, 5});
    t.pack(*kernel);
    t.args.batch = 0;
    t.run(*kernel, 2);
    EXPECT_TRUE(std::all_of(t.y.begin(), t.y.end(), [](float y) { return y == kGuard; })) << kernel->name;
  }
}

std::vector<BFloat16> as_bf16(const std::vector<float>& from) {
  std::vector<BFloat16> to;
  for (float value : from) to.push_back(BFloat16(value));
  return to;
}

// <m>x<m>_<isa> of its name.
std::string of_tile(const WinogradKernel& kernel) {
  const std::string name = kernel.name;
  return name.substr(name.find("_" + std::to_string(kernel.output_tile) + "x"));
}

// Images of bf16 give what the same numbers in f32 give, rounded.
TEST(Winograd, ImagesOfBf16AreComputedInF32) {
  for (const WinogradKernel* narrow : all_kernels(DType::bf16)) {
    for (const Shape& shape : {Shape{2, 9, 6, 19, 37}, Shape{1, 14, 14, 64, 64}, Shape{1, 3, 5, 16, 7}}) {
      Case t(shape);
      std::vector<BFloat16> x = as_bf16(t.x), residual = as_bf16(t.residual), y = as_bf16(t.y);
      for (size_t i = 0; i < x.size(); ++i) t.x[i] = static_cast<float>(x[i]);
      for (size_t i = 0; i < residual.size(); ++i) t.residual[i] = static_cast<float>(residual[i]);
      t.args.epilogue = {t.bias.data(), t.residual.data(), Activation::clip, 0, kInfinity};
      t.pack(*narrow);
      bool compared = false;
      for (const WinogradKernel* wide : all_kernels()) {
        if (of_tile(*wide) != of_tile(*narrow)) continue;
        t.run(*wide, 2);
        compared = true;
      }
      ASSERT_TRUE(compared) << narrow->name;
      const std::vector<BFloat16> expected = as_bf16(t.y);
      t.args.x = x.data() + 1;
      t.args.y = y.data() + 3;
      t.args.epilogue.residual = residual.data();
      t.run(*narrow, 2);
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_EQ(static_cast<float>(y[i]), static_cast<float>(expected[i])) << narrow->name << " " << i;
      }
    }
  }
}

TEST(Winograd, AppliesToUnitStrides) {
  ConvArgs args;
  args.kernel_h = args.kernel_w = 3;
  EXPECT_TRUE(winograd_applies(args));
  args.stride_w = 2;
  EXPECT_FALSE(winograd_applies(args));
  args.stride_w = 1, args.dilation_h = 2;
  EXPECT_FALSE(winograd_applies(args));
  args.dilation_h = 1, args.kernel_w = 1;
  EXPECT_FALSE(winograd_applies(args));
}

}  // namespace
}  // namespace oxplow
