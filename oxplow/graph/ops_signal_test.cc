// Values of the transforms of signals: against the sums they are, for lengths of every kind.

#include <numbers>

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using F = std::vector<float>;

TEST(Signal, DftIsItsSum) {
  for (int64_t n : {1, 2, 3, 5, 8, 12, 17, 64, 100}) {
    const Tensor x = random_f32({1, n, 2}, static_cast<uint32_t>(n));
    const Tensor y = run_op("DFT", {x});
    for (int64_t k = 0; k < n; ++k) {
      double re = 0, im = 0;
      for (int64_t j = 0; j < n; ++j) {
        const double angle = -2 * std::numbers::pi * static_cast<double>(j * k) / static_cast<double>(n);
        const auto at = [&](int64_t part) { return static_cast<double>(x.values<float>()[static_cast<size_t>(2 * j + part)]); };
        re += at(0) * std::cos(angle) - at(1) * std::sin(angle);
        im += at(0) * std::sin(angle) + at(1) * std::cos(angle);
      }
      const double tolerance = 4 * kUnit * static_cast<double>(n);
      EXPECT_NEAR(static_cast<double>(y.values<float>()[static_cast<size_t>(2 * k)]), re, tolerance) << n;
      EXPECT_NEAR(static_cast<double>(y.values<float>()[static_cast<size_t>(2 * k + 1)]), im, tolerance) << n;
    }
    expect_close(run_op("DFT", {y}, attributes_of({{"inverse", int64_t{1}}})), x, 1e-5);
  }
}

TEST(Signal, HalfASpectrumAndBack) {
  for (int64_t n : {6, 7}) {
    const Tensor x = random_f32({2, n, 1}, 1);
    const Tensor half = run_op("DFT", {x}, attributes_of({{"onesided", int64_t{1}}}));
    EXPECT_EQ(half.shape(), (Shape{2, n / 2 + 1, 2}));
    expect_close(
        run_op("DFT", {half, Tensor::scalar<int64_t>(n)}, attributes_of({{"onesided", int64_t{1}}, {"inverse", int64_t{1}}})), x,
        1e-6);
  }
  EXPECT_NE(op_error("DFT", {random_f32({1, 4, 1}, 1), Tensor::scalar<int64_t>(int64_t{1} << 40)}).find("of length"),
            std::string::npos);
}

TEST(Signal, Stft) {
  const Tensor x = tensor<float>({1, 4, 1}, {1, 2, 3, 4}), window = tensor<float>({2}, {1, 10});
  EXPECT_EQ(values_of<float>(run_op("STFT", {x, Tensor::scalar<int64_t>(2), window})), (F{21, 0, -19, 0, 43, 0, -37, 0}));
  EXPECT_NE(op_error("STFT", {x, Tensor::scalar<int64_t>(0)}).find("do not fit"), std::string::npos);
}

TEST(Signal, Windows) {
  expect_close(run_op("HannWindow", {Tensor::scalar<int64_t>(4)}), tensor<float>({4}, {0, 0.5f, 1, 0.5f}), 1e-6);
  expect_close(run_op("HannWindow", {Tensor::scalar<int64_t>(3)}, attributes_of({{"periodic", int64_t{0}}})),
               tensor<float>({3}, {0, 1, 0}), 1e-6);
  const std::vector<Tensor> mel{Tensor::scalar<int64_t>(8), Tensor::scalar<int64_t>(16), Tensor::scalar<int64_t>(8192), number(0),
                                number(4096)};
  const Tensor weights = run_op("MelWeightMatrix", mel);
  EXPECT_EQ(weights.shape(), (Shape{9, 8}));
  EXPECT_EQ(weights.values<float>()[0], 1);
  EXPECT_EQ(weights.values<float>()[16], 0);
}

}  // namespace
}  // namespace oxplow
