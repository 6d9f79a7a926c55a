#include "oxplow/ops/resample.h"

#include <algorithm>
#include <cmath>

namespace oxplow {
namespace {

int64_t nearest(const std::string& rounding, double x) {
  if (rounding == "floor") return static_cast<int64_t>(std::floor(x));
  if (rounding == "ceil") return static_cast<int64_t>(std::ceil(x));
  if (rounding == "round_prefer_ceil") return static_cast<int64_t>(std::floor(x + 0.5));
  return static_cast<int64_t>(std::ceil(x - 0.5));
}

// Keys' cubic kernel.
double cubic(double x, double a) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

struct Window {
  int64_t first = 0;
  std::vector<double> weights;
};

// The weights around x, before anything is known of the ends. Antialiasing stretches the kernel where the image shrinks.
Window window_around(const ResizeMode& mode, double x, double scale) {
  if (mode.kind == ResizeMode::Kind::nearest) return {nearest(mode.rounding, x), {1.0}};
  const double reach = mode.kind == ResizeMode::Kind::linear ? 1 : 2;
  const double squeeze = mode.antialias ? std::min(scale, 1.0) : 1.0;
  // x itself is the right neighbour of the interval (left, left + 1] it lies in.
  const double left = std::ceil(x) - 1, ratio = x - left;
  const auto start = static_cast<int64_t>(std::floor(-reach / squeeze) + 1);
  Window window{static_cast<int64_t>(left) + start, {}};
  double sum = 0;
  for (int64_t i = start; i < 2 - start; ++i) {
    const double distance = (static_cast<double>(i) - ratio) * squeeze;
    const double weight = mode.kind == ResizeMode::Kind::linear ? std::clamp(1 - std::fabs(distance), 0.0, 1.0)
                                                                : cubic(distance, static_cast<double>(mode.cubic_a));
    window.weights.push_back(weight);
    sum += weight;
  }
  if (mode.antialias) {
    for (double& weight : window.weights) weight /= sum;
  }
  return window;
}

void append(Taps& taps, const ResizeMode& mode, Window window, int64_t extent) {
  if (mode.exclude_outside && mode.kind != ResizeMode::Kind::nearest) {
    double sum = 0;
    for (size_t i = 0; i < window.weights.size(); ++i) {
      const int64_t index = window.first + static_cast<int64_t>(i);
      if (index < 0 || index >= extent) window.weights[i] = 0;
      sum += window.weights[i];
    }
    for (double& weight : window.weights) weight /= sum == 0 ? 1 : sum;
  }
  const size_t first = taps.indices.size();
  for (size_t i = 0; i < window.weights.size(); ++i) {
    const int64_t index = std::clamp<int64_t>(window.first + static_cast<int64_t>(i), 0, extent - 1);
    if (taps.indices.size() > first && taps.indices.back() == index) {
      taps.weights.back() += window.weights[i];
    } else {
      taps.indices.push_back(index);
      taps.weights.push_back(window.weights[i]);
    }
  }
}

}  // namespace

Result<double> source_coordinate(const ResizeMode& mode, const ResizeAxis& axis, int64_t j) {
  const auto in = static_cast<double>(axis.in), x = static_cast<double>(j), width = axis.scale * in;
  const std::string& name = mode.coordinates;
  if (name == "half_pixel") return (x + 0.5) / axis.scale - 0.5;
  if (name == "asymmetric") return x / axis.scale;
  if (name == "align_corners") return width == 1 ? 0.0 : x * (in - 1) / (width - 1);
  if (name == "pytorch_half_pixel") return width == 1 ? -0.5 : (x + 0.5) / axis.scale - 0.5;
  if (name == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(axis.out) / width;
    return in / 2 * (1 - adjustment) + (x + 0.5) / axis.scale - 0.5;
  }
  if (name == "tf_crop_and_resize") {
    const double span = (axis.roi_end - axis.roi_begin) * (in - 1);
    return (width == 1 ? span / 2 : x * span / (width - 1)) + axis.roi_begin * (in - 1);
  }
  return Error{ErrorCode::unsupported, "the coordinate mode '" + name + "'"};
}

Result<Taps> resize_taps(const ResizeMode& mode, const ResizeAxis& axis) {
  Taps taps;
  const bool crops = mode.coordinates == "tf_crop_and_resize";
  for (int64_t j = 0; j < axis.out; ++j) {
    taps.begin.push_back(static_cast<int64_t>(taps.indices.size()));
    OXPLOW_ASSIGN(double x, source_coordinate(mode, axis, j));
    // Also turns NaN into a place.
    if (!(std::fabs(x) < 1e15)) x = 0;
    taps.outside.push_back(crops && (x < 0 || x > static_cast<double>(axis.in - 1)));
    append(taps, mode, window_around(mode, x, axis.scale), axis.in);
  }
  taps.begin.push_back(static_cast<int64_t>(taps.indices.size()));
  return taps;
}

}  // namespace oxplow
