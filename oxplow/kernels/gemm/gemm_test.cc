#include "oxplow/kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
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

// An array of f32 or bf16 seen as floats.
class Elements {
 public:
  Elements(DType type, size_t count) : type_(type), bytes_(count * bytes_of(type, 1)) {}
  void set(size_t i, float v) {
    if (type_ == DType::f32) {
      reinterpret_cast<float*>(bytes_.data())[i] = v;
    } else {
      reinterpret_cast<BFloat16*>(bytes_.data())[i] = BFloat16(v);
    }
  }
  float get(size_t i) const {
    if (type_ == DType::f32) return reinterpret_cast<const float*>(bytes_.data())[i];
    return static_cast<float>(reinterpret_cast<const BFloat16*>(bytes_.data())[i]);
  }
  char* at(size_t i) { return bytes_.data() + i * bytes_of(type_, 1); }

 private:
  DType type_;
  PageGuarded<char> bytes_;
};

double unit_of(DType type) { return type == DType::bf16 ? 0x1p-8 : 0x1p-23; }
// As packed: bf16 weights are rounded.
float as_type(DType type, float v) { return type == DType::bf16 ? static_cast<float>(BFloat16(v)) : v; }

struct Case {
  int64_t m = 1, n = 1, k = 1;
  int64_t pad = 0;  // of lda, ldc and ld_residual
  bool transposed = false, bias = false, residual = false;
  Activation activation = Activation::none;
  float alpha = 0, beta = 0;
};

class Product {
 public:
  // k is rounded up to what the kernel takes.
  Product(const GemmKernel& kernel, Case c)
      : kernel_(kernel),
        case_(rounded(kernel, c)),
        lda_(c.k + c.pad),
        ldc_(c.n + c.pad),
        a_(kernel.a, static_cast<size_t>(c.m == 0 ? 0 : (c.m - 1) * lda_ + c.k)),
        b_(static_cast<size_t>(c.k * c.n)),
        packed_(kernel.packed_bytes(c.k, c.n)),
        out_(kernel.c, static_cast<size_t>(c.m == 0 ? 0 : (c.m - 1) * ldc_ + c.n)),
        residual_(kernel.c, static_cast<size_t>(c.m == 0 ? 0 : (c.m - 1) * ldc_ + c.n)),
        bias_(static_cast<size_t>(c.n)) {
    for (int64_t i = 0; i < (c.m - 1) * lda_ + c.k; ++i) a_.set(i, value_at(i));
    for (int64_t i = 0; i < c.k * c.n; ++i) b_[i] = value_at(i + 1000003);
    for (int64_t i = 0; i < (c.m - 1) * ldc_ + c.n; ++i) {
      out_.set(i, kGuard);
      residual_.set(i, value_at(i + 2000003));
    }
    for (int64_t i = 0; i < c.n; ++i) bias_[i] = value_at(i + 3000017);
    args_.m = c.m;
    args_.n = c.n;
    args_.k = c.k;
    args_.a = a_.at(0);
    args_.lda = lda_;
    args_.b = packed_.data();
    args_.c = out_.at(0);
    args_.ldc = ldc_;
    args_.ld_residual = ldc_;
    args_.epilogue = {c.bias ? bias_.data() : nullptr, c.residual ? residual_.at(0) : nullptr, c.activation, c.alpha, c.beta};
    const int64_t row_stride = c.transposed ? 1 : c.n;
    const int64_t column_stride = c.transposed ? c.k : 1;
    const int64_t half = panels() / 2;
    kernel.pack(b_.data(), row_stride, column_stride, c.k, c.n, half, panels(), packed_.data());
    kernel.pack(b_.data(), row_stride, column_stride, c.k, c.n, 0, half, packed_.data());
  }

  int64_t panels() const { return (case_.n + kernel_.panel_columns - 1) / kernel_.panel_columns; }
  void run() { kernel_.run(args_, 0, case_.m, 0, panels()); }
  void run(int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
    kernel_.run(args_, row_begin, row_end, panel_begin, panel_end);
  }
  Elements& a() { return a_; }
  Elements& out() { return out_; }
  Elements& residual() { return residual_; }
  int64_t ldc() const { return ldc_; }

  void check() const {
    const Case& c = case_;
    for (int64_t i = 0; i < c.m; ++i) {
      for (int64_t j = 0; j < (i + 1 < c.m ? ldc_ : c.n); ++j) {
        const float got = out_.get(i * ldc_ + j);
        if (j >= c.n) {
          ASSERT_EQ(got, as_type(kernel_.c, kGuard)) << "written past row " << i;
          continue;
        }
        double base = c.bias ? bias_[j] : 0.0;
        double size = std::abs(base);
        if (c.residual) {
          base += residual_.get(i * ldc_ + j);
          size += std::abs(residual_.get(i * ldc_ + j));
        }
        const auto a = [&](int64_t k) -> double { return a_.get(i * lda_ + k); };
        const auto b = [&](int64_t k) -> double { return as_type(kernel_.b, b_[c.transposed ? j * c.k + k : k * c.n + j]); };
        const ReferenceSum want = reference_sum(c.k, a, b, base, size, args_.epilogue, unit_of(kernel_.c));
        ASSERT_NEAR(got, want.value, want.tolerance) << kernel_.name << " row " << i << " column " << j;
      }
    }
  }

 private:
  static Case rounded(const GemmKernel& kernel, Case& c) {
    c.k = (c.k + kernel.k_multiple - 1) / kernel.k_multiple * kernel.k_multiple;
    return c;
  }

  const GemmKernel& kernel_;
  Case case_;
  int64_t lda_, ldc_;
  Elements a_;
  PageGuarded<float> b_;
  PageGuarded<char> packed_;
  Elements out_, residual_;
  PageGuarded<float> bias_;
  GemmArgs args_;
};

class GemmTest : public testing::TestWithParam<Isa> {
 protected:
  std::span<const GemmKernel> kernels() const { return gemm_kernels(GetParam()).kernels; }
};

TEST_P(GemmTest, EveryRaggedSize) {
  for (const GemmKernel& kernel : kernels()) {
    const int64_t rows = kernel.tile_rows, columns = kernel.panel_columns;
    for (const int64_t m : {int64_t{1}, int64_t{2}, rows - 1, rows, rows + 1, 2 * rows + 3, 5 * rows + 1}) {
      for (const int64_t n : {int64_t{1}, int64_t{7}, columns / 2, columns - 1, columns, columns + 1, 2 * columns + 5}) {
        for (const int64_t k : {1, 2, 3, 4, 5, 31, 64, 67}) {
          SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k);
          Product p(kernel, {.m = m, .n = n, .k = k, .pad = k % 2 == 0 ? 0 : 3, .transposed = k % 3 == 0, .bias = n % 2 == 0});
          p.run();
          p.check();
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(GemmTest, EveryEpilogue) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Case activations[] = {{.activation = Activation::none},
                              {.activation = Activation::clip, .alpha = 0, .beta = infinity},
                              {.activation = Activation::clip, .alpha = -1, .beta = 0.5f},
                              {.activation = Activation::sigmoid},
                              {.activation = Activation::silu},
                              {.activation = Activation::hard_sigmoid, .alpha = 0.2f, .beta = 0.5f},
                              {.activation = Activation::hard_swish},
                              {.activation = Activation::gelu},
                              {.activation = Activation::gelu_tanh},
                              {.activation = Activation::tanh},
                              {.activation = Activation::leaky_relu, .alpha = 0.01f}};
  for (const GemmKernel& kernel : kernels()) {
    for (Case c : activations) {
      for (int mix = 0; mix < 4; ++mix) {
        SCOPED_TRACE(testing::Message() << "activation " << static_cast<int>(c.activation) << " mix " << mix);
        c.m = kernel.tile_rows + 3;
        c.n = kernel.panel_columns + (mix < 2 ? 0 : 9);
        c.k = 19;
        c.pad = mix;
        c.bias = mix % 2 == 0;
        c.residual = mix != 0;
        Product p(kernel, c);
        p.run();
        p.check();
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Without k only bias and residual are left: shows the activations over a wide range.
TEST_P(GemmTest, NoProducts) {
  for (const GemmKernel& kernel : kernels()) {
    for (const Activation activation :
         {Activation::none, Activation::gelu, Activation::gelu_tanh, Activation::tanh, Activation::sigmoid, Activation::silu}) {
      Product p(kernel, {.m = 40, .n = 50, .k = 0, .residual = true, .activation = activation});
      for (int i = 0; i < 2000; ++i) p.residual().set(i, (static_cast<float>(i) - 1000) * 0.02f);
      p.run();
      for (int i = 0; i < 2000; ++i) {
        const double want = reference_activation(activation, p.residual().get(i), 0, 0);
        // The rounding of an exponential's argument is magnified by the argument.
        const double magnified = 8 + 2 * std::abs(std::log(std::abs(want) + 1e-37));
        const double tables = activation == Activation::gelu ? 1e-7 * std::abs(p.residual().get(i)) : 0;  // normal_cdf.h
        ASSERT_NEAR(p.out().get(i), want, std::abs(want) * (magnified * 0x1p-23 + unit_of(kernel.c)) + tables + 1e-37)
            << "activation " << static_cast<int>(activation) << " of " << p.residual().get(i);
      }
    }
  }
}

TEST_P(GemmTest, AnyBlocksGiveTheSameBits) {
  for (const GemmKernel& kernel : kernels()) {
    const Case c{.m = 6 * kernel.tile_rows + 5, .n = 3 * kernel.panel_columns + 7, .k = 300, .bias = true};
    Product whole(kernel, c), parts(kernel, c);
    whole.run();
    for (int64_t row = 0; row < c.m; row += 11) {
      for (int64_t panel = 0; panel < whole.panels(); ++panel) parts.run(row, std::min(row + 11, c.m), panel, panel + 1);
    }
    for (int64_t i = 0; i < c.m * c.n; ++i) ASSERT_EQ(whole.out().get(i), parts.out().get(i)) << i;
  }
}

// So find_gemm() may choose by speed alone.
TEST_P(GemmTest, KernelsOfOneTypeGiveTheSameBits) {
  for (const GemmKernel& kernel : kernels()) {
    const GemmKernel& first =
        *std::ranges::find_if(kernels(), [&](const GemmKernel& other) { return other.a == kernel.a && other.c == kernel.c; });
    const Case c{.m = 41, .n = 150, .k = 1700, .bias = true, .activation = Activation::silu};
    Product a(first, c), b(kernel, c);
    a.run();
    b.run();
    for (int64_t i = 0; i < c.m * c.n; ++i) ASSERT_EQ(a.out().get(i), b.out().get(i)) << kernel.name << " " << i;
  }
}

TEST_P(GemmTest, FindsTheKernelThatFits) {
  const Isa isa = GetParam();
  const GemmKernel* found = find_gemm(isa, DType::f32, DType::f32, 7, 1000);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found, find_gemm(isa, DType::f32, DType::f32, 7, 1000)) << "measured once";
  EXPECT_EQ(find_gemm(isa, DType::i32, DType::f32, 8, 8), nullptr);
  if (const GemmKernel* bf16 = find_gemm(isa, DType::bf16, DType::bf16, 8, 8)) {
    EXPECT_EQ(8 % bf16->k_multiple, 0);
    EXPECT_EQ(find_gemm(isa, DType::bf16, DType::bf16, 7, 8), nullptr);
  }
}

TEST_P(GemmTest, LongSums) {
  for (const GemmKernel& kernel : kernels()) {
    Product p(kernel, {.m = 70, .n = kernel.panel_columns + 1, .k = 5003, .bias = true});
    p.run();
    p.check();
  }
}

TEST_P(GemmTest, NothingToDo) {
  for (const GemmKernel& kernel : kernels()) {
    Product p(kernel, {.m = 3, .n = 5, .k = 4});
    p.run(1, 1, 0, 1);
    p.run(0, 3, 1, 1);
    for (int i = 0; i < 15; ++i) EXPECT_EQ(p.out().get(i), as_type(kernel.c, kGuard));
  }
}

TEST_P(GemmTest, NanAndInfinityStayInTheirRow) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const GemmKernel& kernel : kernels()) {
    Product p(kernel, {.m = 5, .n = 40, .k = 10, .activation = Activation::clip, .alpha = 0, .beta = infinity});
    p.a().set(1 * 10 + 3, std::numeric_limits<float>::quiet_NaN());
    p.a().set(3 * 10 + 8, infinity);
    p.run();
    for (int j = 0; j < 40; ++j) {
      EXPECT_TRUE(std::isnan(p.out().get(1 * 40 + j)));
      const float far = p.out().get(3 * 40 + j);
      EXPECT_TRUE(far == 0 || far == infinity) << far;
      EXPECT_TRUE(std::isfinite(p.out().get(2 * 40 + j)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, GemmTest, testing::ValuesIn(available_isas().begin(), available_isas().end()),
                         [](const auto& param) { return std::string(name_of(param.param)); });

}  // namespace
}  // namespace oxplow
