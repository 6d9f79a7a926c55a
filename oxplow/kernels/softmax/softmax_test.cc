#include "oxplow/kernels/softmax/softmax.h"

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

int64_t outer_offset(const SoftmaxArgs& args, const int64_t* strides, int64_t row) {
  const int64_t* n = args.outer;
  return row % n[2] * strides[2] + row / n[2] % n[1] * strides[1] + row / n[2] / n[1] * strides[0];
}

struct Case {
  SoftmaxArgs args;
  int64_t x_length, y_length, mask_length;
};

Case make_case(std::mt19937& rng, int64_t length, bool columns) {
  constexpr DType kTypes[] = {DType::f32, DType::f32, DType::bf16, DType::f16};
  Case c = {};
  SoftmaxArgs& args = c.args;
  args.length = length;
  args.inner = columns ? 1 + rng() % 40 : 1;
  args.x_axis = columns ? args.inner + rng() % 3 : 1;
  args.y_axis = columns ? args.inner + rng() % 3 : 1;
  args.x_type = kTypes[rng() % 4];
  args.y_type = kTypes[rng() % 4];
  args.scale = rng() % 2 ? 1.0f : 0.125f;
  args.log = rng() % 3 == 0;
  int64_t x = args.length * args.x_axis, y = args.length * args.y_axis, mask = args.length;
  for (int d = kMaxSoftmaxDims - 1; d >= 0; --d) {
    args.outer[d] = 1 + rng() % 3;
    x += rng() % 3;
    y += rng() % 3;
    args.x_outer[d] = x;
    args.y_outer[d] = y;
    args.mask_outer[d] = rng() % 2 ? 0 : mask;
    x *= args.outer[d];
    y *= args.outer[d];
    if (args.mask_outer[d] != 0) mask *= args.outer[d];
  }
  c.x_length = x;
  c.y_length = y + 3;
  c.mask_length = mask;
  return c;
}

// Column i of a row against the formula: exp and log within 1e-6, t within its roundings, which exp magnifies.
void expect_softmax(const SoftmaxArgs& args, const TestMemory& x, const TestMemory& y, int64_t row, int64_t i,
                    std::vector<bool>& is_result, const std::string& where) {
  std::vector<double> t;
  double greatest = -INFINITY, magnitude = 0;
  for (int64_t r = 0; r < args.length; ++r) {
    double v = double{x.get(outer_offset(args, args.x_outer, row) + r * args.x_axis + i)} * double{args.scale};
    magnitude = std::max(magnitude, std::fabs(v));
    if (args.mask != nullptr) {
      const double m = args.mask[outer_offset(args, args.mask_outer, row) + r];
      v += m;
      if (std::isfinite(m)) magnitude = std::max(magnitude, std::fabs(m));
    }
    t.push_back(v);
    greatest = v > greatest ? v : greatest;
  }
  double total = 0;
  for (double v : t) total += std::exp(v - greatest);
  for (int64_t r = 0; r < args.length; ++r) {
    const int64_t at = outer_offset(args, args.y_outer, row) + r * args.y_axis + i;
    is_result[static_cast<size_t>(at)] = true;
    const double d = t[static_cast<size_t>(r)] - greatest;
    const double want = args.log ? d - std::log(total) : std::exp(d) / total;
    const double relative = 4e-6 + 4 * FLT_EPSILON * magnitude + static_cast<double>(args.length) / 8 * FLT_EPSILON;
    double bound = args.log ? relative * (1 + std::fabs(want)) : relative * want + FLT_MIN;
    if (args.y_type == DType::bf16) bound += std::fabs(want) / 256;
    if (args.y_type == DType::f16) bound += std::fabs(want) / 2048 + 6e-8;
    const float got = y.get(at);
    if (std::isnan(want) || std::isinf(want)) {
      ASSERT_EQ(std::isnan(got), std::isnan(want)) << where;
      if (std::isinf(want)) ASSERT_EQ(got, -INFINITY) << where;
    } else if (args.y_type != DType::f16 || std::fabs(want) < 65000) {
      ASSERT_NEAR(got, want, bound) << where << "row " << row << " element " << r << ", " << i;
    }
  }
}

void run_case(Case& c, std::mt19937& rng, bool masked, const std::string& where) {
  std::normal_distribution<float> normal(0, 4);
  TestMemory x(c.args.x_type, c.x_length);
  for (int64_t i = 0; i < c.x_length; ++i) x.set(i, normal(rng));
  std::vector<float> mask(static_cast<size_t>(c.mask_length));
  for (float& m : mask) m = rng() % 3 ? normal(rng) : rng() % 2 ? -INFINITY : -1e4f;
  c.args.x = x.bytes.data();
  c.args.mask = masked ? mask.data() : nullptr;
  for (Isa isa : available_isas()) {
    TestMemory y(c.args.y_type, c.y_length);
    y.fill(1);
    c.args.y = y.bytes.data();
    const int64_t rows = c.args.rows(), cut = rows / 2;
    softmax_kernels(isa).softmax(c.args, 0, cut);
    softmax_kernels(isa).softmax(c.args, cut, rows);
    std::vector<bool> is_result(static_cast<size_t>(c.y_length));
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < c.args.inner; ++i) {
        expect_softmax(c.args, x, y, row, i, is_result, std::string(name_of(isa)) + " " + where);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
    for (int64_t k = 0; k < c.y_length; ++k) {
      if (!is_result[static_cast<size_t>(k)]) ASSERT_EQ(y.get(k), 1.0f) << where << "wrote outside at " << k;
    }
  }
}

TEST(Softmax, Rows) {
  std::mt19937 rng(1);
  for (int64_t length : {1, 2, 3, 5, 7, 8, 10, 15, 16, 17, 31, 32, 33, 49, 64, 65, 100, 128, 197, 512, 1000, 4096, 4097, 9000}) {
    for (int round = 0; round < (length > 600 ? 3 : 8); ++round) {
      Case c = make_case(rng, length, false);
      run_case(c, rng, round % 2, "length " + std::to_string(length) + ": ");
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Softmax, Columns) {
  std::mt19937 rng(2);
  for (int64_t length : {1, 2, 5, 21, 100}) {
    for (int round = 0; round < 8; ++round) {
      Case c = make_case(rng, length, true);
      run_case(c, rng, false, "columns of " + std::to_string(length) + ": ");
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Softmax, ExtremesAndInPlace) {
  for (Isa isa : available_isas()) {
    const auto run = [&](std::vector<float> x, bool log = false) {
      SoftmaxArgs args;
      args.length = static_cast<int64_t>(x.size());
      args.x = args.y = x.data();
      args.log = log;
      softmax_kernels(isa).softmax(args, 0, 1);
      return x;
    };
    EXPECT_TRUE(run({}).empty());
    EXPECT_EQ(run({1e30f, -1e30f}), (std::vector<float>{1, 0}));
    EXPECT_EQ(run({-1e38f, -1e38f}), (std::vector<float>{0.5f, 0.5f}));
    EXPECT_EQ(run({-INFINITY, 3}), (std::vector<float>{0, 1}));
    EXPECT_EQ(run({-INFINITY, 3}, true), (std::vector<float>{-INFINITY, 0}));
    for (float v : run({-INFINITY, -INFINITY})) EXPECT_TRUE(std::isnan(v));
    for (size_t at : {0, 1, 18, 39}) {
      std::vector<float> x(40, 1.0f);
      x[at] = NAN;
      for (float v : run(x)) EXPECT_TRUE(std::isnan(v)) << name_of(isa);
    }
  }
}

// A row in three parts gives what it gives whole, but for the order of its sum.
TEST(Softmax, RowsInParts) {
  constexpr int64_t kLength = 1000, kEnds[] = {0, 300, 301, kLength};
  std::mt19937 rng(5);
  std::vector<float> x(2 * kLength), whole(2 * kLength), parts(2 * kLength);
  for (float& v : x) v = std::uniform_real_distribution<float>(-20, 20)(rng);
  for (Isa isa : available_isas()) {
    const SoftmaxKernels& kernels = softmax_kernels(isa);
    for (bool log : {false, true}) {
      SoftmaxArgs args;
      args.outer[2] = 2;
      args.length = args.x_outer[2] = args.y_outer[2] = kLength;
      args.x = x.data();
      args.scale = 0.5f;
      args.log = log;
      args.y = whole.data();
      kernels.softmax(args, 0, 2);
      args.y = parts.data();
      for (int64_t row = 0; row < 2; ++row) {
        float greatest = -INFINITY, sum = 0;
        for (int part = 0; part < 3; ++part)
          greatest = std::max(greatest, kernels.greatest(args, row, kEnds[part], kEnds[part + 1]));
        for (int part = 0; part < 3; ++part) sum += kernels.sum(args, row, kEnds[part], kEnds[part + 1], greatest);
        for (int part = 0; part < 3; ++part) kernels.finish(args, row, kEnds[part], kEnds[part + 1], greatest, sum);
      }
      for (size_t i = 0; i < x.size(); ++i) {
        // Sums of 1000 terms in another order; their logarithm stands beside values of up to 30.
        const float tolerance = log ? 64 * FLT_EPSILON : 64 * FLT_EPSILON * whole[i];
        ASSERT_NEAR(parts[i], whole[i], tolerance) << name_of(isa) << " log " << log << " at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace oxplow
