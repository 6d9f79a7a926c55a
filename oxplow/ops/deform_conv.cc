// DeformConv: a convolution of images [N, C, H, W] whose taps are moved, each by its offset at each place:
//   y[n][m][i][j] = bias[m] + sum over c, r, s of w[m][c][r][s] * mask[r][s][i][j] * x[n][c] at (row + dy[r][s][i][j], column + dx[r][s][i][j]),
//   read bilinearly, zero outside. offset [N, groups R S 2, OH, OW] (dy, then dx), mask [N, groups R S, OH, OW] (optional).

#include <cmath>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/windows.h"

namespace oxplow {
namespace {

enum Input { kImage, kWeights, kOffset, kBias, kMask };

Result<Windows> deform_windows(const InferContext& c) {
  const Shape &x = c.shape(kImage), &w = c.shape(kWeights), &offset = c.shape(kOffset);
  const int64_t groups = c.attributes.integer("group", 1), offset_groups = c.attributes.integer("offset_group", 1);
  const Error misfit{ErrorCode::invalid_model,
                     "weights " + to_string(w) + " and offsets " + to_string(offset) + " do not fit images " + to_string(x)};
  if (x.rank() != 4 || w.rank() != 4 || groups < 1 || offset_groups < 1 || x[1] % groups != 0 || w[0] % groups != 0 ||
      x[1] / groups != w[1] || x[1] % offset_groups != 0) {
    return misfit;
  }
  OXPLOW_ASSIGN(const Windows windows, windows_of(c.attributes, Shape{x[2], x[3]}, Shape{w[2], w[3]}));
  const Shape out = windows.out();
  int64_t places = 0;
  if (__builtin_mul_overflow(w[2] * w[3], offset_groups, &places) || places >= int64_t{1} << 40) return misfit;
  if (offset != Shape{x[0], 2 * places, out[0], out[1]} ||
      (c.has(kMask) && c.shape(kMask) != Shape{x[0], places, out[0], out[1]}) ||
      (c.has(kBias) && c.shape(kBias) != Shape{w[0]})) {
    return misfit;
  }
  for (int i = 1; i < static_cast<int>(c.inputs.size()); ++i) {
    if (c.has(i) && c.type(i).dtype != c.type(0).dtype) return misfit;
  }
  return windows;
}

Result<TensorTypes> infer_deform_conv(const InferContext& c) {
  OXPLOW_ASSIGN(const Windows windows, deform_windows(c));
  const Shape out = windows.out();
  return TensorTypes{{c.type(0).dtype, Shape{c.shape(kImage)[0], c.shape(kWeights)[0], out[0], out[1]}}};
}

// Image [h][w] at (y, x), zero outside.
template <typename T>
Wide<T> bilinear(const T* image, int64_t h, int64_t w, double y, double x) {
  using C = Wide<T>;
  if (!(y > -1 && x > -1 && y < static_cast<double>(h) && x < static_cast<double>(w))) return 0;
  const double top = std::floor(y), left = std::floor(x), down = y - top, across = x - left;
  C sum = 0;
  for (int i = 0; i < 4; ++i) {
    const auto r = static_cast<int64_t>(top) + i / 2, s = static_cast<int64_t>(left) + i % 2;
    const double weight = (i / 2 ? down : 1 - down) * (i % 2 ? across : 1 - across);
    if (r >= 0 && r < h && s >= 0 && s < w && weight != 0) sum += static_cast<C>(weight) * static_cast<C>(image[r * w + s]);
  }
  return sum;
}

template <typename T>
struct Deformed {
  using C = Wide<T>;
  AxisWindow rows, columns;
  int64_t channels, filters, groups, offset_groups;
  bool has_mask;

  int64_t taps() const { return rows.kernel * columns.kernel; }
  int64_t places() const { return rows.out * columns.out; }
  // What all taps of all channels read at place (i, j) of image n.
  void sample(const Buffers& b, int64_t n, int64_t i, int64_t j, C* patch) const {
    const int64_t of_group = channels / offset_groups, place = i * columns.out + j, plane = rows.in * columns.in;
    const T* mask = has_mask ? b.in<T>(kMask) : nullptr;
    for (int64_t g = 0; g < offset_groups; ++g) {
      for (int64_t tap = 0; tap < taps(); ++tap) {
        const int64_t at = (n * offset_groups + g) * taps() + tap;
        const T* offset = b.in<T>(kOffset) + 2 * at * places() + place;
        const double y = static_cast<double>(rows.first(i) + tap / columns.kernel * rows.dilation) +
                         static_cast<double>(static_cast<C>(offset[0]));
        const double x = static_cast<double>(columns.first(j) + tap % columns.kernel * columns.dilation) +
                         static_cast<double>(static_cast<C>(offset[places()]));
        const C weight = mask ? static_cast<C>(mask[at * places() + place]) : C{1};
        for (int64_t ch = g * of_group; ch < (g + 1) * of_group; ++ch)
          patch[ch * taps() + tap] = weight * bilinear(b.in<T>(kImage) + (n * channels + ch) * plane, rows.in, columns.in, y, x);
      }
    }
  }
  void run(const Buffers& b, int64_t unit, bool has_bias, C* patch) const {
    const int64_t n = unit / places(), place = unit % places();
    sample(b, n, place / columns.out, place % columns.out, patch);
    const int64_t depth = channels / groups * taps(), of_group = filters / groups;
    for (int64_t m = 0; m < filters; ++m) {
      const T* w = b.in<T>(kWeights) + m * depth;
      const C* from = patch + m / of_group * depth;
      C sum = has_bias ? static_cast<C>(b.in<T>(kBias)[m]) : C{0};
      for (int64_t k = 0; k < depth; ++k) sum += from[k] * static_cast<C>(w[k]);
      b.out<T>()[(n * filters + m) * places() + place] = T(sum);
    }
  }
};

template <typename T>
std::unique_ptr<Step> deform_conv(const PrepareContext& c, const Windows& windows) {
  const Deformed<T> d{windows.axes[0],
                      windows.axes[1],
                      c.in(kImage).type.shape[1],
                      c.in(kWeights).type.shape[0],
                      c.attributes.integer("group", 1),
                      c.attributes.integer("offset_group", 1),
                      c.has(kMask)};
  const int64_t units = c.in(kImage).type.shape[0] * d.places(), depth = d.channels * d.taps();
  const int tasks = task_count(units, static_cast<double>(depth) * (10 + static_cast<double>(d.filters / d.groups)), c.threads());
  const size_t scratch = round_up(static_cast<size_t>(depth) * sizeof(Wide<T>), kCacheLine);
  const bool has_bias = c.has(kBias);
  auto step = make_step("deform_conv", tasks, [=](const Buffers& b, int task, int worker) {
    const Range range = task_range(units, tasks, task);
    auto* patch = reinterpret_cast<Wide<T>*>(b.workspace + static_cast<size_t>(worker) * scratch);
    for (int64_t u = range.begin; u < range.end; ++u) d.run(b, u, has_bias, patch);
  });
  step->workspace_bytes = scratch * static_cast<size_t>(c.threads());
  step->why = "sampled, then multiplied";
  return step;
}

Result<std::unique_ptr<Step>> prepare_deform_conv(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Windows windows, deform_windows(c.infer()));
  return visit_floating(c.in(0).type.dtype, "DeformConv",
                        [&](auto t) -> Result<std::unique_ptr<Step>> { return deform_conv<decltype(t)>(c, windows); });
}

}  // namespace

namespace ops {
constinit const OpSpec DeformConv{
    .name = "DeformConv", .infer = infer_deform_conv, .prepare = prepare_deform_conv, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
