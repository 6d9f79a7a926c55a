#include "oxplow/kernels/norm/norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "oxplow/kernels/test_memory.h"

namespace oxplow {
namespace {

constexpr double kUnit = FLT_EPSILON / 2;

double rounding(DType type, double y) {
  if (type == DType::bf16) return std::fabs(y) / 256;
  if (type == DType::f16) return std::fabs(y) / 2048 + 6e-8;
  return kUnit * std::fabs(y);
}

struct Statistics {
  double mean = 0, variance = 0, magnitude = 0;  // magnitude: mean of |v|
};

Statistics statistics_of(const std::vector<double>& v, bool centered) {
  Statistics s;
  const double n = static_cast<double>(v.size());
  for (double x : v) s.mean += centered ? x / n : 0;
  for (double x : v) {
    s.variance += (x - s.mean) * (x - s.mean) / n;
    s.magnitude += std::fabs(x) / n;
  }
  return s;
}

// What f32 may do to a result: roundings of a sum of n / chains terms in the mean, in the variance, and of the last steps.
double tolerance(const Statistics& s, size_t n, double v, double normalized, double gamma, double y, double epsilon) {
  const double inv_std = 1 / std::sqrt(s.variance + epsilon);
  const double terms = static_cast<double>(n) / 16 + 12;
  const double center = terms * kUnit * s.magnitude + 2 * kUnit * std::fabs(v);
  const double spread = terms * kUnit + center * inv_std;
  return std::fabs(gamma) * (inv_std * center + std::fabs(normalized) * (spread + 4 * kUnit)) + 2 * kUnit * std::fabs(y);
}

struct NormCase {
  NormArgs args;
  TestMemory x, residual, sum, y;
  std::vector<float> gamma, beta;
};

NormCase make_case(std::mt19937& rng) {
  constexpr DType kTypes[] = {DType::f32, DType::f32, DType::bf16, DType::f16};
  NormArgs args;
  args.rows = 1 + rng() % 4;
  args.columns = 1 + rng() % (rng() % 4 ? 90 : 2000);
  args.x_type = kTypes[rng() % 4];
  args.y_type = rng() % 2 ? args.x_type : kTypes[rng() % 4];
  args.ldx = args.columns + rng() % 4;
  args.ldy = args.columns + rng() % 4;
  args.ld_residual = args.columns + rng() % 4;
  args.ld_sum = args.columns + rng() % 4;
  args.epsilon = rng() % 2 ? 1e-5f : 1e-2f;
  NormCase c{args,
             TestMemory(args.x_type, args.rows * args.ldx),
             TestMemory(args.x_type, args.rows * args.ld_residual),
             TestMemory(args.x_type, args.rows * args.ld_sum + 3),
             TestMemory(args.y_type, args.rows * args.ldy + 3),
             std::vector<float>(static_cast<size_t>(args.columns)),
             std::vector<float>(static_cast<size_t>(args.columns))};
  c.x.fill_normal(rng, rng() % 3 ? 0.5f : 20.0f, 1.5f);
  c.residual.fill_normal(rng, 0, 1);
  std::normal_distribution<float> normal(1, 0.5f);
  for (float& g : c.gamma) g = normal(rng);
  for (float& b : c.beta) b = normal(rng);
  return c;
}

void expect_norm(const NormCase& c, const NormArgs& args, bool centered, const std::string& where) {
  for (int64_t r = 0; r < args.rows; ++r) {
    std::vector<double> v;
    for (int64_t i = 0; i < args.columns; ++i) {
      const float x = c.x.get(r * args.ldx + i);
      v.push_back(args.residual == nullptr ? x : x + c.residual.get(r * args.ld_residual + i));
    }
    const Statistics s = statistics_of(v, centered);
    const double inv_std = 1 / std::sqrt(s.variance + double{args.epsilon});
    if (args.inv_std != nullptr) ASSERT_NEAR(args.inv_std[r], inv_std, inv_std * 1e-4) << where;
    if (args.mean != nullptr && centered) ASSERT_NEAR(args.mean[r], s.mean, s.magnitude * 1e-4) << where;
    for (int64_t i = 0; i < args.columns; ++i) {
      const size_t k = static_cast<size_t>(i);
      const double gamma = args.gamma == nullptr ? 1 : c.gamma[k], beta = args.beta == nullptr ? 0 : c.beta[k];
      const double normalized = (v[k] - s.mean) * inv_std, y = normalized * gamma + beta;
      const double bound = tolerance(s, v.size(), v[k], normalized, gamma, y, double{args.epsilon}) + rounding(args.y_type, y);
      ASSERT_NEAR(c.y.get(r * args.ldy + i), y, bound) << where << "row " << r << " column " << i;
      if (args.sum != nullptr) {
        ASSERT_NEAR(c.sum.get(r * args.ld_sum + i), v[k], rounding(args.x_type, v[k])) << where;
      }
    }
    const int64_t y_end = r + 1 < args.rows ? args.ldy : args.columns + 3;
    for (int64_t i = args.columns; i < y_end; ++i) ASSERT_EQ(c.y.get(r * args.ldy + i), 1.0f) << where << "wrote outside";
    const int64_t sum_end = r + 1 < args.rows ? args.ld_sum : args.columns + 3;
    for (int64_t i = args.columns; i < sum_end; ++i) ASSERT_EQ(c.sum.get(r * args.ld_sum + i), 1.0f) << where << "wrote outside";
  }
}

TEST(Norm, LayerNormAndRmsNorm) {
  std::mt19937 rng(4);
  for (int round = 0; round < 300; ++round) {
    NormCase c = make_case(rng);
    const bool centered = round % 2;
    for (Isa isa : available_isas()) {
      c.y.fill(1);
      c.sum.fill(1);
      NormArgs args = c.args;
      args.x = c.x.bytes.data();
      args.y = c.y.bytes.data();
      std::vector<float> mean(4), inv_std(4);
      if (round % 3) args.gamma = c.gamma.data();
      if (round % 5) args.beta = c.beta.data();
      if (round % 4 < 2) args.residual = c.residual.bytes.data();
      if (round % 8 < 3) args.sum = c.sum.bytes.data();
      if (round % 7 == 0) args.mean = mean.data(), args.inv_std = inv_std.data();
      const auto run = centered ? norm_kernels(isa).layer_norm : norm_kernels(isa).rms_norm;
      run(args, 0, 1);
      run(args, 1, args.rows);
      expect_norm(c, args, centered, std::string(name_of(isa)) + " round " + std::to_string(round) + ": ");
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Norm, InPlaceGivesTheSameBits) {
  std::mt19937 rng(6);
  for (DType type : {DType::f32, DType::bf16}) {
    for (Isa isa : available_isas()) {
      constexpr int64_t kRows = 3, kColumns = 1029;
      TestMemory x(type, kRows * kColumns), residual(type, kRows * kColumns), y(type, kRows * kColumns),
          sum(type, kRows * kColumns);
      x.fill_normal(rng, 0, 1);
      residual.fill_normal(rng, 1, 1);
      NormArgs args = {.rows = kRows, .columns = kColumns, .x = x.bytes.data(), .x_type = type, .ldx = kColumns};
      args.residual = residual.bytes.data();
      args.ld_residual = args.ld_sum = args.ldy = kColumns;
      args.y_type = type;
      args.sum = sum.bytes.data();
      args.y = y.bytes.data();
      norm_kernels(isa).layer_norm(args, 0, kRows);
      args.y = x.bytes.data();
      args.sum = residual.bytes.data();
      norm_kernels(isa).layer_norm(args, 0, kRows);
      EXPECT_EQ(x.bytes, y.bytes);
      EXPECT_EQ(residual.bytes, sum.bytes);
    }
  }
}

TEST(Norm, NanStaysInItsRow) {
  for (Isa isa : available_isas()) {
    std::vector<float> x(3 * 50, 1.0f), y(3 * 50);
    x[60] = NAN;
    x[3] = 2;
    NormArgs args = {.rows = 3, .columns = 50, .x = x.data(), .ldx = 50, .y = y.data(), .ldy = 50};
    norm_kernels(isa).layer_norm(args, 0, 3);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 50 == 1) << name_of(isa) << " " << i;
    EXPECT_EQ(y[149], 0.0f);
  }
}

TEST(Norm, GroupNorm) {
  constexpr DType kTypes[] = {DType::f32, DType::f32, DType::bf16, DType::f16};
  std::mt19937 rng(9);
  for (int round = 0; round < 120; ++round) {
    GroupNormArgs args;
    const int64_t size = round % 10 == 0 ? 500 + rng() % 200 : 1 + rng() % (rng() % 2 ? 3 : 40);
    args.batch = 1 + rng() % 2;
    args.groups = 1 + rng() % (rng() % 3 ? 6 : 80);
    args.channels = args.groups * size;
    args.pixels = 1 + rng() % (rng() % 4 ? 20 : 300);
    args.type = kTypes[rng() % 4];
    args.x_pixel = args.channels + rng() % 3;
    args.y_pixel = args.channels + rng() % 3;
    args.x_image = args.x_pixel * args.pixels + rng() % 3;
    args.y_image = args.y_pixel * args.pixels + rng() % 3;
    TestMemory x(args.type, args.batch * args.x_image), y(args.type, args.batch * args.y_image);
    x.fill_normal(rng, round % 3 ? 0.0f : 10.0f, 2);
    std::vector<float> gamma(static_cast<size_t>(args.channels)), beta(gamma.size());
    for (float& g : gamma) g = static_cast<float>(rng() % 100) / 50;
    for (float& b : beta) b = static_cast<float>(rng() % 100) / 50;
    args.x = x.bytes.data();
    args.y = y.bytes.data();
    if (round % 4) args.gamma = gamma.data();
    if (round % 5) args.beta = beta.data();
    for (Isa isa : available_isas()) {
      y.fill(1);
      const int64_t n = args.batch * args.groups, cut = n / 3;
      norm_kernels(isa).group_norm(args, 0, cut);
      norm_kernels(isa).group_norm(args, cut, n);
      std::vector<bool> is_result(static_cast<size_t>(y.size()));
      for (int64_t k = 0; k < n; ++k) {
        std::vector<double> v;
        const int64_t image = k / args.groups, first = k % args.groups * size;
        for (int64_t p = 0; p < args.pixels; ++p) {
          for (int64_t c = 0; c < size; ++c) v.push_back(x.get(image * args.x_image + p * args.x_pixel + first + c));
        }
        const Statistics s = statistics_of(v, true);
        const double inv_std = 1 / std::sqrt(s.variance + double{args.epsilon});
        for (size_t i = 0; i < v.size(); ++i) {
          const int64_t p = static_cast<int64_t>(i) / size, c = first + static_cast<int64_t>(i) % size;
          const double g = args.gamma == nullptr ? 1 : gamma[static_cast<size_t>(c)];
          const double b = args.beta == nullptr ? 0 : beta[static_cast<size_t>(c)];
          const double normalized = (v[i] - s.mean) * inv_std, want = normalized * g + b;
          const int64_t at = image * args.y_image + p * args.y_pixel + c;
          is_result[static_cast<size_t>(at)] = true;
          const double terms = static_cast<double>(size) + 32 + static_cast<double>(args.pixels) / 128;
          const double bound = tolerance(s, static_cast<size_t>(16 * terms), v[i], normalized, g, want, double{args.epsilon});
          ASSERT_NEAR(y.get(at), want, bound + rounding(args.type, want)) << name_of(isa) << " round " << round;
        }
      }
      for (int64_t i = 0; i < y.size(); ++i) {
        if (!is_result[static_cast<size_t>(i)]) ASSERT_EQ(y.get(i), 1.0f) << "wrote outside";
      }
    }
  }
}

}  // namespace
}  // namespace oxplow
