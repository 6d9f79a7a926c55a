// GridSample: y[n][c][p...] = x[n][c] at the place grid[n][p...], coordinates from -1 to 1, last axis of x first; "linear", "nearest" or
//             "cubic"; outside of x zeros, its border, or its reflection.
// AffineGrid: such a grid by matrices theta [N, R, R + 1]: the regular grid of `size`, transformed.

#include <algorithm>
#include <cmath>
#include <limits>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

constexpr int kMostAxes = 3;

enum class Interpolation { linear, nearest, cubic };
enum class Outside { zeros, border, reflection };

struct Sampling {
  Interpolation mode = Interpolation::linear;
  Outside outside = Outside::zeros;
  bool align_corners = false;
};

Result<Sampling> sampling_of(const Attributes& a) {
  const std::string mode = a.text("mode", "linear"), outside = a.text("padding_mode", "zeros");
  Sampling s;
  if (mode == "nearest") {
    s.mode = Interpolation::nearest;
  } else if (mode == "cubic" || mode == "bicubic") {
    s.mode = Interpolation::cubic;
  } else if (mode != "linear" && mode != "bilinear") {
    return Error{ErrorCode::unsupported, "the mode '" + mode + "'"};
  }
  if (outside == "border") {
    s.outside = Outside::border;
  } else if (outside == "reflection") {
    s.outside = Outside::reflection;
  } else if (outside != "zeros") {
    return Error{ErrorCode::unsupported, "the padding mode '" + outside + "'"};
  }
  s.align_corners = a.integer("align_corners", 0) != 0;
  return s;
}

Result<TensorTypes> infer_grid_sample(const InferContext& c) {
  OXPLOW_ASSIGN([[maybe_unused]] const Sampling sampling, sampling_of(c.attributes));
  const Shape &x = c.shape(0), &grid = c.shape(1);
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > kMostAxes || grid.rank() != axes + 2 || grid[0] != x[0] || grid.back() != axes ||
      !is_float(c.type(1).dtype))
    return Error{ErrorCode::invalid_model, "a grid " + to_string(c.type(1)) + " over " + to_string(c.type(0))};
  Shape to{x[0], x[1]};
  for (int d = 0; d < axes; ++d) to.push_back(grid[d + 1]);
  if (product(x, 2, x.rank()) == 0 && elements_of(to) > 0)
    return Error{ErrorCode::invalid_model, "nothing to sample in " + to_string(c.type(0))};
  return TensorTypes{{c.type(0).dtype, to}};
}

// Reflects at the borders, as often as it takes.
double reflected(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  if (x >= low && x <= high) return x;
  const double distance = x < low ? low - x : x - high;
  const double turns = std::floor(distance / range), rest = distance - turns * range;
  const bool from_far = std::fmod(turns, 2) != 0;
  return (x < low) != from_far ? low + rest : high - rest;
}

// The elements along one axis that make up a place on it.
struct AxisTaps {
  int count = 0;
  int64_t index[4] = {};  // -1: zero
  double weight[4] = {};
};

int64_t element_at(const Sampling& s, double i, int64_t extent) {
  const double last = static_cast<double>(extent - 1);
  switch (s.outside) {
    case Outside::zeros: return i >= 0 && i <= last ? static_cast<int64_t>(i) : -1;
    case Outside::border: return static_cast<int64_t>(std::clamp(i, 0.0, last));
    case Outside::reflection: {
      const double half = s.align_corners ? 0 : 0.5;
      return static_cast<int64_t>(std::clamp(reflected(i, -half, last + half), 0.0, last));
    }
  }
  return -1;
}

AxisTaps axis_taps(const Sampling& s, double x, int64_t extent) {
  const auto n = static_cast<double>(extent);
  // Rounded to f32, as the op's definition does.
  x = static_cast<double>(static_cast<float>(s.align_corners ? (x + 1) / 2 * (n - 1) : ((x + 1) * n - 1) / 2));
  if (!(std::fabs(x) < 1e15)) x = -1e15;  // NaN too is outside
  AxisTaps taps;
  if (s.mode == Interpolation::nearest) {
    taps.count = 1;
    taps.index[0] = element_at(s, std::nearbyint(x), extent);
    taps.weight[0] = 1;
    return taps;
  }
  // A place past the border is moved inside first.
  const double half = s.align_corners ? 0 : 0.5;
  if (x < -half || x > n - 1 + half) {
    if (s.outside == Outside::border) x = std::clamp(x, 0.0, n - 1);
    if (s.outside == Outside::reflection) x = reflected(x, -half, n - 1 + half);
  }
  const double left = std::floor(x), r = x - left;
  if (s.mode == Interpolation::linear) {
    taps.count = 2;
    taps.weight[0] = 1 - r;
    taps.weight[1] = r;
  } else {
    constexpr double a = -0.75;
    taps.count = 4;
    taps.weight[0] = ((a * (r + 1) - 5 * a) * (r + 1) + 8 * a) * (r + 1) - 4 * a;
    taps.weight[1] = ((a + 2) * r - (a + 3)) * r * r + 1;
    taps.weight[2] = ((a + 2) * (1 - r) - (a + 3)) * (1 - r) * (1 - r) + 1;
    taps.weight[3] = ((a * (2 - r) - 5 * a) * (2 - r) + 8 * a) * (2 - r) - 4 * a;
  }
  const double first = s.mode == Interpolation::cubic ? left - 1 : left;
  for (int i = 0; i < taps.count; ++i) taps.index[i] = element_at(s, first + i, extent);
  return taps;
}

// The weighted sum over the product of the axes' taps. Not inlined: g++ 12 would unroll it beyond the axes there are, and warn of that.
template <typename T>
[[gnu::noinline]] Wide<T> sampled(const T* x, const AxisTaps* taps, const int64_t* extents, int axes) {
  using C = Wide<T>;
  C sum = 0;
  if (axes == 0) return static_cast<C>(*x);
  int64_t stride = 1;
  for (int d = 1; d < axes; ++d) stride *= extents[d];
  for (int i = 0; i < taps[0].count; ++i) {
    if (taps[0].index[i] < 0 || taps[0].weight[i] == 0) continue;
    sum += static_cast<C>(taps[0].weight[i]) * sampled(x + taps[0].index[i] * stride, taps + 1, extents + 1, axes - 1);
  }
  return sum;
}

template <typename T, typename G>
std::unique_ptr<Step> grid_sample(const PrepareContext& c, const Sampling& sampling) {
  const Shape x = c.in(0).type.shape, y = c.out().type.shape;
  const int axes = x.rank() - 2;
  const int64_t channels = x[1], plane = product(x, 2, x.rank()), places = product(y, 2, y.rank()), units = x[0] * places;
  const int tasks = task_count(units, 20 + 10 * static_cast<double>(channels), c.threads());
  return make_step("grid_sample", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      AxisTaps taps[kMostAxes];
      const G* place = b.in<G>(1) + u * axes;
      for (int d = 0; d < axes; ++d)
        taps[d] = axis_taps(sampling, static_cast<double>(static_cast<Wide<G>>(place[axes - 1 - d])), x[d + 2]);
      const int64_t n = u / places, p = u % places;
      for (int64_t ch = 0; ch < channels; ++ch) {
        const int64_t image = n * channels + ch;
        b.out<T>()[image * places + p] = T(sampled(b.in<T>(0) + image * plane, taps, x.begin() + 2, axes));
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_grid_sample(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Sampling sampling, sampling_of(c.attributes));
  return visit_floating(c.in(0).type.dtype, "GridSample", [&](auto t) {
    return visit_floating(c.in(1).type.dtype, "a grid", [&](auto g) -> Result<std::unique_ptr<Step>> {
      return grid_sample<decltype(t), decltype(g)>(c, sampling);
    });
  });
}

Result<TensorTypes> infer_affine_grid(const InferContext& c) {
  OXPLOW_ASSIGN(const auto size, c.integers(1, "size"));
  const auto axes = static_cast<int64_t>(size.size()) - 2;
  if (axes < 2 || axes > kMostAxes || c.shape(0) != Shape{size[0], axes, axes + 1})
    return Error{ErrorCode::invalid_model, "matrices " + to_string(c.type(0)) + " for " + std::to_string(axes) + " axes"};
  Shape to{size[0]};
  for (size_t d = 2; d < size.size(); ++d) to.push_back(size[d]);
  to.push_back(axes);
  return TensorTypes{{c.type(0).dtype, to}};
}

template <typename T>
std::unique_ptr<Step> affine_grid(const PrepareContext& c) {
  const Shape to = c.out().type.shape;
  const int axes = static_cast<int>(to.back());
  const int64_t places = product(to, 1, to.rank() - 1), units = to[0] * places;
  const bool align = c.attributes.integer("align_corners", 0) != 0;
  const int tasks = task_count(units, 10, c.threads());
  return make_step("affine_grid", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      // x first, a 1 for the translation last.
      double place[kMostAxes + 1];
      int64_t rest = u % places;
      for (int d = 0; d < axes; ++d) {
        const int64_t extent = to[axes - d], i = rest % extent;
        rest /= extent;
        const auto n = static_cast<double>(extent), at = static_cast<double>(i);
        place[d] = align ? (extent == 1 ? 0 : 2 * at / (n - 1) - 1) : (2 * at + 1) / n - 1;
      }
      place[axes] = 1;
      const T* theta = b.in<T>(0) + u / places * axes * (axes + 1);
      for (int row = 0; row < axes; ++row) {
        double sum = 0;
        for (int k = 0; k <= axes; ++k) sum += static_cast<double>(static_cast<Wide<T>>(theta[row * (axes + 1) + k])) * place[k];
        b.out<T>()[u * axes + row] = T(static_cast<Wide<T>>(sum));
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_affine_grid(const PrepareContext& c) {
  return visit_floating(c.in(0).type.dtype, "AffineGrid",
                        [&](auto t) -> Result<std::unique_ptr<Step>> { return affine_grid<decltype(t)>(c); });
}

}  // namespace

namespace ops {
constinit const OpSpec GridSample{
    .name = "GridSample", .infer = infer_grid_sample, .prepare = prepare_grid_sample, .required_inputs = 2};
constinit const OpSpec AffineGrid{
    .name = "AffineGrid", .infer = infer_affine_grid, .prepare = prepare_affine_grid, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
