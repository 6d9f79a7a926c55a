// Resize: an image (or any tensor) under other extents, by the nearest element or by linear or cubic interpolation, axis after axis.
//   inputs: x; roi (begins, then ends; for tf_crop_and_resize); scales, or else sizes. `axes` names the axes these are for.

#include "oxplow/ops/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

Result<ResizeMode> mode_of(const Attributes& a) {
  const std::string name = a.text("mode", "nearest");
  ResizeMode mode;
  if (name == "linear" || name == "bilinear") {
    mode.kind = ResizeMode::Kind::linear;
  } else if (name == "cubic") {
    mode.kind = ResizeMode::Kind::cubic;
  } else if (name != "nearest") {
    return Error{ErrorCode::unsupported, "the mode '" + name + "'"};
  }
  mode.coordinates = a.text("coordinate_transformation_mode", "half_pixel");
  mode.rounding = a.text("nearest_mode", "round_prefer_floor");
  mode.cubic_a = a.number("cubic_coeff_a", -0.75f);
  mode.antialias = a.integer("antialias", 0) != 0;
  mode.exclude_outside = a.integer("exclude_outside", 0) != 0;
  OXPLOW_ASSIGN([[maybe_unused]] const double known, source_coordinate(mode, {1, 1}, 0));
  return mode;
}

// The numbers of an input, none where it is absent or empty.
Result<std::vector<double>> numbers(const InferContext& c, int i, const char* what) {
  if (!c.has(i) || c.type(i).elements() == 0) return std::vector<double>{};
  return known_numbers(c, i, what);
}

Result<std::vector<int>> resized_axes(const InferContext& c) {
  std::vector<int> axes;
  if (!c.attributes.has("axes")) {
    for (int i = 0; i < c.shape(0).rank(); ++i) axes.push_back(i);
  }
  for (int64_t a : c.attributes.integers("axes")) {
    OXPLOW_ASSIGN(const int axis, normalized_axis(a, c.shape(0).rank()));
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) return Error{ErrorCode::invalid_model, "an axis is given twice"};
    axes.push_back(axis);
  }
  return axes;
}

// Extents from `sizes`: as they are, or the largest (smallest) image of the same proportions within (around) them.
void size_axes(const std::vector<int64_t>& sizes, const std::vector<int>& axes, const std::string& policy,
               std::vector<ResizeAxis>& result) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    ResizeAxis& axis = result[static_cast<size_t>(axes[i])];
    axis.out = sizes[i];
    axis.scale = static_cast<double>(axis.out) / static_cast<double>(std::max<int64_t>(axis.in, 1));
    least = std::min(least, axis.scale);
    most = std::max(most, axis.scale);
  }
  if (policy == "stretch") return;
  for (int a : axes) {
    ResizeAxis& axis = result[static_cast<size_t>(a)];
    axis.scale = policy == "not_larger" ? least : most;
    axis.out = static_cast<int64_t>(axis.scale * static_cast<double>(axis.in) + 0.5);
  }
}

// What becomes of each axis of x.
Result<std::vector<ResizeAxis>> resize_axes(const InferContext& c) {
  const Shape& x = c.shape(0);
  std::vector<ResizeAxis> result;
  for (int64_t extent : x) result.push_back({extent, extent});
  OXPLOW_ASSIGN(const auto axes, resized_axes(c));
  OXPLOW_ASSIGN(const auto roi, numbers(c, 1, "regions of interest"));
  OXPLOW_ASSIGN(const auto scales, numbers(c, 2, "scales"));
  const bool sized = scales.empty();
  if (sized && !c.has(3)) return Error{ErrorCode::invalid_model, "a Resize has neither scales nor sizes"};
  constexpr int64_t kLimit = int64_t{1} << 24;  // the tables of an axis grow with it
  if (sized) {
    OXPLOW_ASSIGN(const auto sizes, c.integers(3, "sizes"));
    const std::string policy = c.attributes.text("keep_aspect_ratio_policy", "stretch");
    if (sizes.size() != axes.size() || std::any_of(sizes.begin(), sizes.end(), [](int64_t s) { return s < 0 || s > kLimit; }))
      return Error{ErrorCode::invalid_model, "sizes do not name a possible extent for each axis"};
    if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
      return Error{ErrorCode::unsupported, "the policy '" + policy + "'"};
    size_axes(sizes, axes, policy, result);
  } else {
    if (scales.size() != axes.size()) return Error{ErrorCode::invalid_model, "scales do not name one for each axis"};
    for (size_t i = 0; i < axes.size(); ++i) {
      ResizeAxis& axis = result[static_cast<size_t>(axes[i])];
      axis.scale = scales[i];
      const double out = std::floor(static_cast<double>(axis.in) * scales[i]);
      if (!(scales[i] > 0 && out <= static_cast<double>(kLimit)))
        return Error{ErrorCode::invalid_model, "a scale of " + std::to_string(scales[i])};
      axis.out = static_cast<int64_t>(out);
    }
  }
  if (c.attributes.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize") {
    if (roi.size() != 2 * axes.size()) return Error{ErrorCode::invalid_model, "tf_crop_and_resize wants a roi for each axis"};
    for (size_t i = 0; i < axes.size(); ++i) {
      result[static_cast<size_t>(axes[i])].roi_begin = roi[i];
      result[static_cast<size_t>(axes[i])].roi_end = roi[i + axes.size()];
    }
  }
  return result;
}

Result<TensorTypes> infer_resize(const InferContext& c) {
  OXPLOW_ASSIGN([[maybe_unused]] const ResizeMode mode, mode_of(c.attributes));
  OXPLOW_ASSIGN(const auto axes, resize_axes(c));
  TensorType type{c.type(0).dtype, {}};
  double bytes = static_cast<double>(bits_of(type.dtype)) / 8;
  for (const ResizeAxis& axis : axes) {
    type.shape.push_back(axis.out);
    bytes *= static_cast<double>(axis.out);
    if (axis.in == 0 && axis.out > 0) return Error{ErrorCode::invalid_model, "an axis without elements cannot grow"};
  }
  if (bytes > 0x1p34)
    return Error{ErrorCode::invalid_model, "a Resize to " + to_string(type.shape) + " would take more than 16 GiB"};
  return TensorTypes{type};
}

// One axis of a Resize by interpolation: [outer][in][inner] to [outer][out][inner].
template <typename C>
struct Pass {
  int64_t outer = 0, in = 0, out = 0, inner = 0;
  std::vector<int64_t> begin, indices;
  std::vector<C> weights;
  std::vector<char> outside;
  C extrapolation = 0;

  // Output rows [range) of outer * out.
  template <typename From, typename To>
  void run(const From* x, To* y, Range range) const;
};

template <typename To, typename C>
To stored(C v) {
  if constexpr (std::is_integral_v<To>) {
    constexpr auto kLow = std::numeric_limits<To>::lowest(), kHigh = std::numeric_limits<To>::max();
    // Towards zero, as a cast.
    return v <= static_cast<C>(kLow) ? kLow : v >= static_cast<C>(kHigh) ? kHigh : static_cast<To>(v);
  } else {
    return To(v);
  }
}

template <typename C>
template <typename From, typename To>
void Pass<C>::run(const From* x, To* y, Range range) const {
  constexpr int64_t kBlock = 64;
  for (int64_t row = range.begin; row < range.end; ++row) {
    const auto j = static_cast<size_t>(row % out);
    const From* from = x + row / out * in * inner;
    To* to = y + row * inner;
    for (int64_t first = 0; first < inner; first += kBlock) {
      const int64_t count = std::min(kBlock, inner - first);
      C sums[kBlock];
      for (int64_t i = 0; i < count; ++i) sums[i] = outside[j] ? extrapolation : C{0};
      for (auto t = static_cast<size_t>(begin[j]); !outside[j] && t < static_cast<size_t>(begin[j + 1]); ++t) {
        const From* at = from + indices[t] * inner + first;
        for (int64_t i = 0; i < count; ++i) sums[i] += weights[t] * static_cast<C>(at[i]);
      }
      for (int64_t i = 0; i < count; ++i) to[first + i] = stored<To>(sums[i]);
    }
  }
}

// Pass after pass, between two halves of the workspace; the first reads x, the last writes y.
template <typename T>
struct InterpolateStep final : Step {
  using C = Wide<T>;
  std::vector<Pass<C>> passes;
  size_t half = 0;  // bytes

  void run(const Buffers& b, int phase, int task, int) const override {
    const auto p = static_cast<size_t>(phase);
    const Pass<C>& pass = passes[p];
    const Range range = task_range(pass.outer * pass.out, phase_tasks[p], task);
    const auto* before = reinterpret_cast<const C*>(b.workspace + (p % 2 == 0 ? half : 0));
    auto* after = reinterpret_cast<C*>(b.workspace + (p % 2 == 0 ? 0 : half));
    const bool first = p == 0, last = p + 1 == passes.size();
    if (first && last) {
      pass.run(b.in<T>(0), b.out<T>(), range);
    } else if (first) {
      pass.run(b.in<T>(0), after, range);
    } else if (last) {
      pass.run(before, b.out<T>(), range);
    } else {
      pass.run(before, after, range);
    }
  }
};

template <typename C>
Result<Pass<C>> pass_along(const ResizeMode& mode, const ResizeAxis& axis, const Shape& from, int d, float extrapolation) {
  OXPLOW_ASSIGN(Taps taps, resize_taps(mode, axis));
  Pass<C> pass;
  pass.outer = product(from, 0, d), pass.inner = product(from, d + 1, from.rank());
  pass.in = axis.in, pass.out = axis.out;
  pass.begin = std::move(taps.begin);
  pass.indices = std::move(taps.indices);
  pass.outside = std::move(taps.outside);
  for (double weight : taps.weights) pass.weights.push_back(static_cast<C>(weight));
  pass.extrapolation = static_cast<C>(extrapolation);
  return pass;
}

template <typename T>
Result<std::unique_ptr<Step>> interpolate(const PrepareContext& c, const ResizeMode& mode, const std::vector<ResizeAxis>& axes) {
  using C = Wide<T>;
  auto step = std::make_unique<InterpolateStep<T>>();
  Shape shape = c.in(0).type.shape;
  size_t largest = 0;
  int last = -1;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!axes[static_cast<size_t>(d)].identity()) last = d;
  }
  for (int d = 0; d < shape.rank(); ++d) {
    const ResizeAxis& axis = axes[static_cast<size_t>(d)];
    if (axis.identity() && !(last < 0 && d + 1 == shape.rank())) continue;
    OXPLOW_ASSIGN(auto pass, pass_along<C>(mode, axis, shape, d, c.attributes.number("extrapolation_value", 0)));
    shape[d] = axis.out;
    const double taps = static_cast<double>(pass.indices.size()) / static_cast<double>(std::max<int64_t>(pass.out, 1));
    const int64_t rows = pass.outer * pass.out;
    step->phase_tasks.push_back(task_count(rows, static_cast<double>(pass.inner) * taps * 0.3 + 5, c.threads()));
    step->passes.push_back(std::move(pass));
    if (d != last) largest = std::max(largest, static_cast<size_t>(elements_of(shape)) * sizeof(C));
  }
  step->half = round_up(largest, kCacheLine);
  step->workspace_bytes = 2 * step->half;
  step->kernel = "resize_by_axis";
  step->why = "interpolation separates into axes";
  return std::unique_ptr<Step>(std::move(step));
}

// A number as an element of `dtype`, seen as the integer of the same width.
template <typename T>
T bits_of_number(DType dtype, float number) {
  if (!is_arithmetic(dtype)) return T{0};
  return visit(dtype, [&](auto t) {
    using Element = decltype(t);
    T bits{};
    if constexpr (sizeof(Element) == sizeof(T)) {
      const Element value = stored<Element>(number);
      std::memcpy(&bits, &value, sizeof bits);
    }
    return bits;
  });
}

// Every element is one of the input's: indices by axis, rows in pieces.
template <typename T>
Result<std::unique_ptr<Step>> pick(const PrepareContext& c, const ResizeMode& mode, const std::vector<ResizeAxis>& axes) {
  const Shape to = c.out().type.shape;
  const Dims strides = dense_strides(c.in(0).type.shape);
  std::vector<Taps> taps;
  for (const ResizeAxis& axis : axes) {
    OXPLOW_ASSIGN(Taps of_axis, resize_taps(mode, axis));
    taps.push_back(std::move(of_axis));
  }
  const auto outside = bits_of_number<T>(c.in(0).type.dtype, c.attributes.number("extrapolation_value", 0));
  const int64_t columns = to.empty() ? 1 : to.back(), rows = columns == 0 ? 0 : elements_of(to) / columns;
  const int tasks = task_count(rows, static_cast<double>(columns) * 0.6, c.threads());
  auto step = make_step("resize_nearest", tasks, [=, taps = std::move(taps)](const Buffers& b, int task, int) {
    const Range range = task_range(rows, tasks, task);
    for (int64_t row = range.begin; row < range.end; ++row) {
      const T* from = b.in<T>(0);
      bool inside = true;
      int64_t rest = row;
      for (int d = to.rank() - 2; d >= 0; --d) {
        const auto i = static_cast<size_t>(rest % to[d]);
        rest /= to[d];
        inside = inside && !taps[static_cast<size_t>(d)].outside[i];
        from += taps[static_cast<size_t>(d)].indices[i] * strides[d];
      }
      T* y = b.out<T>() + row * columns;
      if (to.empty()) {
        y[0] = from[0];
        continue;
      }
      const Taps& last = taps.back();
      for (size_t j = 0; j < static_cast<size_t>(columns); ++j)
        y[j] = inside && !last.outside[j] ? from[last.indices[j]] : outside;
    }
  });
  step->why = "each element is one of the input's";
  return step;
}

Result<std::unique_ptr<Step>> prepare_resize(const PrepareContext& c) {
  OXPLOW_ASSIGN(const ResizeMode mode, mode_of(c.attributes));
  OXPLOW_ASSIGN(const auto axes, resize_axes(c.infer()));
  if (c.out().type.elements() == 0) return make_step("resize_nothing", 1, [](const Buffers&, int, int) {});
  const DType dtype = c.in(0).type.dtype;
  if (mode.kind == ResizeMode::Kind::nearest || c.in(0).type.shape.empty()) {
    return visit_width(dtype, "Resize", [&](auto t) { return pick<decltype(t)>(c, mode, axes); });
  }
  switch (dtype) {
    case DType::u8: return interpolate<uint8_t>(c, mode, axes);
    case DType::i8: return interpolate<int8_t>(c, mode, axes);
    case DType::i32: return interpolate<int32_t>(c, mode, axes);
    default:
      return visit_floating(dtype, "Resize by interpolation", [&](auto t) { return interpolate<decltype(t)>(c, mode, axes); });
  }
}

}  // namespace

namespace ops {
constinit const OpSpec Resize{.name = "Resize", .infer = infer_resize, .prepare = prepare_resize};
}  // namespace ops
}  // namespace oxplow
