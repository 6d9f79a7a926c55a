#pragma once
// The transforms of F(m, 3) in one dimension, for 3 to 6 points, and their use on the two dimensions of tiles. For *.isa.cc only.
//
// Points 0, a, infinity, -a, b, -b, in this order; a transform of n points uses the first n. With P the finite ones among them,
//
//   U[j] = g(x_j) / prod over x in P_base - {x_j} of (x_j - x)          the last coefficient of g at infinity
//   V[j] = (d as coefficients of) prod over x in P - {x_j} of (X - x), times prod over x in P_base - P of (x_j - x)
//   y[i] = sum over finite j of x_j^i M[j], and M[infinity] added to the last
//
// where P_base are the points of the whole tile: a smaller tile meets the same U. a = 5/8, b = 3/2 have 2/5 of the error of the
// textbook's 1 and 2 and, being a pair of opposites each, the same cost.

#include <cstdint>

#include "oxplow/kernels/epilogue.h"
#include "oxplow/kernels/simd/activation.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {

inline constexpr int kMaxPoints = 6;
// Columns of the widest strip of tiles that is transformed at once.
inline constexpr int kStripTiles = 7;
inline constexpr int kStripColumns = kStripTiles * 4 + 2;

template <int kBase>
struct Points {
  static_assert(kBase == 4 || kBase == 6);
  static constexpr double a = kBase == 6 ? 0.625 : 1;
  static constexpr double b = 1.5;
  static constexpr double kValues[6] = {0, a, 0, -a, b, -b};  // [2] is infinity

  // The product over the points that `n` leaves out of (x_j - x); 1 at infinity.
  static constexpr double left_out(int j, int n) {
    double product = 1;
    if (j == 2) return product;
    for (int l = n; l < kBase; ++l) product *= kValues[j] - kValues[l];
    return product;
  }
  // The scale of U[j].
  static constexpr double weight_scale(int j) {
    double product = 1;
    for (int l = 0; l < kBase; ++l) {
      if (j != 2 && l != 2 && l != j) product *= kValues[j] - kValues[l];
    }
    return 1 / product;
  }
  // Coefficient i of prod over x in P - {x_j} of (X - x), times left_out.
  static constexpr float input(int n, int j, int i) {
    double c[6] = {1, 0, 0, 0, 0, 0};
    for (int l = 0; l < n; ++l) {
      if (l == 2 || l == j) continue;
      for (int k = 5; k > 0; --k) c[k] = c[k - 1] - kValues[l] * c[k];
      c[0] *= -kValues[l];
    }
    return static_cast<float>(c[i] * left_out(j, n));
  }
};

// v = B^T d.
template <int kBase, int n>
OXPLOW_INLINE void input_points(const F32 (&d)[n], F32 (&v)[n]) {
  using P = Points<kBase>;
  const auto k = [](double x) __attribute__((always_inline)) { return F32::broadcast(static_cast<float>(x)); };
  constexpr double aa = P::a * P::a, bb = P::b * P::b;
  if constexpr (n == 6) {
    v[0] = fma(k(aa * bb), d[0], fma(k(-aa - bb), d[2], d[4]));
    v[2] = fma(k(aa * bb), d[1], fma(k(-aa - bb), d[3], d[5]));
    const F32 even_a = fma(k(-bb), d[2], d[4]), odd_a = fma(k(-bb), d[1], d[3]);
    v[1] = fma(k(P::a), odd_a, even_a);
    v[3] = fma(k(-P::a), odd_a, even_a);
    const F32 even_b = fma(k(-aa), d[2], d[4]), odd_b = fma(k(-aa), d[1], d[3]);
    v[4] = fma(k(P::b), odd_b, even_b);
    v[5] = fma(k(-P::b), odd_b, even_b);
  } else if constexpr (n == 4 && kBase == 4) {
    v[0] = d[2] - d[0];
    v[1] = d[1] + d[2];
    v[2] = d[3] - d[1];
    v[3] = d[2] - d[1];
  } else {
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) {
      F32 sum = F32::zero();
#pragma GCC unroll 6
      for (int i = 0; i < n; ++i) {
        const float c = P::input(n, j, i);
        if (c != 0) sum = fma(k(c), d[i], sum);
      }
      v[j] = sum;
    }
  }
}

// y = A^T m: n - 2 outputs.
template <int kBase, int n>
OXPLOW_INLINE void output_points(const F32 (&m)[n], F32 (&y)[n - 2]) {
  using P = Points<kBase>;
  const auto k = [](double x) __attribute__((always_inline)) { return F32::broadcast(static_cast<float>(x)); };
  constexpr double a = P::a, b = P::b;
  if constexpr (n == 3) {
    y[0] = m[0] + m[1] + m[2];
  } else {
    const F32 sum_a = m[1] + m[3], difference_a = m[1] - m[3];
    if constexpr (n == 4) {
      y[0] = m[0] + sum_a;
      y[1] = fma(k(a), difference_a, m[2]);
    } else if constexpr (n == 5) {
      y[0] = m[0] + sum_a + m[4];
      y[1] = fma(k(a), difference_a, k(b) * m[4]);
      y[2] = fma(k(a * a), sum_a, fma(k(b * b), m[4], m[2]));
    } else {
      const F32 sum_b = m[4] + m[5], difference_b = m[4] - m[5];
      y[0] = m[0] + sum_a + sum_b;
      y[1] = fma(k(a), difference_a, k(b) * difference_b);
      y[2] = fma(k(a * a), sum_a, k(b * b) * sum_b);
      y[3] = fma(k(a * a * a), difference_a, fma(k(b * b * b), difference_b, m[2]));
    }
  }
}

using Columns = F32[kMaxPoints][kStripColumns];

// Down the columns of a strip: n input rows of kWidth channels to n points; the first `lanes` channels are there.
template <int kBase, int n, typename Element>
void input_down(const Element* x, int64_t x_row, int64_t x_pixel, int64_t columns, int64_t lanes, Columns& out) {
  for (int64_t j = 0; j < columns; ++j, x += x_pixel) {
    F32 d[n], v[n];
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) d[i] = lanes == F32::kWidth ? load_f32(x + i * x_row) : load_f32(x + i * x_row, lanes);
    input_points<kBase, n>(d, v);
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) out[i][j] = v[i];
  }
}

// Across the rows of one tile, whose columns start at `column`: point (i, j) goes to v + (i * kBase + j) * plane.
template <int kBase, int n>
void input_across(const Columns& in, int64_t column, int rows, float* v, int64_t plane) {
  for (int i = 0; i < rows; ++i, v += kBase * plane) {
    F32 d[n], points[n];
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) d[j] = in[i][column + j];
    input_points<kBase, n>(d, points);
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) points[j].store(v + j * plane);
  }
}

using Results = F32[kMaxPoints][4];

// Across the points of one tile, n of them in each of `rows` rows.
template <int kBase, int n>
void output_across(const float* m, int64_t plane, int rows, Results& out) {
  for (int i = 0; i < rows; ++i, m += kBase * plane) {
    F32 points[n], y[n - 2];
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) points[j] = F32::load(m + j * plane);
    output_points<kBase, n>(points, y);
#pragma GCC unroll 4
    for (int j = 0; j < n - 2; ++j) out[i][j] = y[j];
  }
}

// Where a tile's outputs go, `lanes` channels of them, and what is done to them on the way.
template <typename Element>
struct Finish {
  Element* y;
  int64_t y_row, y_pixel;
  const Element* residual;  // or null
  int64_t residual_row, residual_pixel;
  int64_t lanes;
  F32 bias, low, high;  // y = min(high, max(low, sum + bias + residual)), unless another activation follows
  Activation activation;
  float alpha, beta;
};

template <Activation kActivation, typename Element>
OXPLOW_INLINE F32 activated(F32 x, const Finish<Element>& to) {
  return activate<kActivation>(x, F32::broadcast(to.alpha), F32::broadcast(to.beta));
}

// The activations other than none and clip, out of line: they are long, and rare behind 3x3 convolutions.
template <typename Element>
__attribute__((noinline)) void activate_in_place(F32* values, int count, const Finish<Element>& to) {
  for (int i = 0; i < count; ++i) {
    switch (to.activation) {
      case Activation::none:
      case Activation::clip: break;
      case Activation::sigmoid: values[i] = activated<Activation::sigmoid>(values[i], to); break;
      case Activation::silu: values[i] = activated<Activation::silu>(values[i], to); break;
      case Activation::hard_sigmoid: values[i] = activated<Activation::hard_sigmoid>(values[i], to); break;
      case Activation::hard_swish: values[i] = activated<Activation::hard_swish>(values[i], to); break;
      case Activation::gelu: values[i] = activated<Activation::gelu>(values[i], to); break;
      case Activation::gelu_tanh: values[i] = activated<Activation::gelu_tanh>(values[i], to); break;
      case Activation::tanh: values[i] = activated<Activation::tanh>(values[i], to); break;
      case Activation::leaky_relu: values[i] = activated<Activation::leaky_relu>(values[i], to); break;
    }
  }
}

// Down the columns: n points to n - 2 outputs each, and out.
template <int kBase, int n, typename Element>
void output_down(const Results& in, int columns, const Finish<Element>& to) {
  for (int j = 0; j < columns; ++j) {
    F32 points[n], y[n - 2];
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) points[i] = in[i][j];
    output_points<kBase, n>(points, y);
#pragma GCC unroll 4
    for (int i = 0; i < n - 2; ++i) {
      y[i] = y[i] + to.bias;
      if (to.residual) {
        const Element* r = to.residual + i * to.residual_row + j * to.residual_pixel;
        y[i] = y[i] + (to.lanes == F32::kWidth ? load_f32(r) : load_f32(r, to.lanes));
      }
      y[i] = min(to.high, max(to.low, y[i]));
    }
    if (to.activation > Activation::clip) activate_in_place(y, n - 2, to);
#pragma GCC unroll 4
    for (int i = 0; i < n - 2; ++i) {
      Element* p = to.y + i * to.y_row + j * to.y_pixel;
      if (to.lanes == F32::kWidth) {
        store_f32(y[i], p);
      } else {
        store_f32(y[i], p, to.lanes);
      }
    }
  }
}

// Calls Body<n>::call(...) for n = 3 .. kBase.
#define OXPLOW_FOR_POINTS(kBase, n, function, ...)                 \
  do {                                                             \
    switch (n) {                                                   \
      case 3: function<kBase, 3>(__VA_ARGS__); break;              \
      case 4: function<kBase, 4>(__VA_ARGS__); break;              \
      case 5:                                                      \
        if constexpr (kBase == 6) function<kBase, 5>(__VA_ARGS__); \
        break;                                                     \
      default:                                                     \
        if constexpr (kBase == 6) function<kBase, 6>(__VA_ARGS__); \
    }                                                              \
  } while (false)

}  // namespace oxplow::OXPLOW_ISA
