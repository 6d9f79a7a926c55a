// Ops that add up overlapping windows, each element by itself so that tasks share none.
//   Col2Im:        columns [N, C taps, windows] of `block_shape` taps into images [N, C, ...] of `image_shape`.
//   ConvTranspose: [N, C, ...] by weights [C, M / group, ...] with a bias (optional): each input element adds its weights to the window it
//                  lies under. f32 by constant weights makes all windows of an image by a matrix product first, then folds them.

#include <algorithm>

#include "oxplow/kernels/gemm/gemm.h"
#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/windows.h"

namespace oxplow {
namespace {

Result<Windows> col2im_windows(const InferContext& c) {
  OXPLOW_ASSIGN(const auto image, c.integers(1, "the image's shape"));
  OXPLOW_ASSIGN(const auto block, c.integers(2, "the block's shape"));
  const auto sane = [](const std::vector<int64_t>& v) {
    return v.size() <= size_t{kMostSpatialAxes} &&
           std::all_of(v.begin(), v.end(), [](int64_t e) { return e > 0 && e < int64_t{1} << 31; });
  };
  if (!sane(image) || !sane(block)) return Error{ErrorCode::invalid_model, "impossible extents of the image or the block"};
  OXPLOW_ASSIGN(const Windows windows, windows_of(c.attributes, Shape(std::span(image)), Shape(std::span(block))));
  const Shape& x = c.shape(0);
  // The extents may be anything, but the data has a column for each tap and window.
  int64_t taps = 1, places = 1;
  bool fits = x.rank() == 3;
  for (int d = 0; fits && d < windows.rank; ++d) {
    const AxisWindow& a = windows.axes[static_cast<size_t>(d)];
    fits = !__builtin_mul_overflow(taps, a.kernel, &taps) && !__builtin_mul_overflow(places, a.out, &places);
  }
  if (!fits || x[1] % taps != 0 || x[2] != places)
    return Error{ErrorCode::invalid_model, "columns " + to_string(c.type(0)) + " of blocks " + to_string(windows.kernel()) +
                                               " do not make images of " + to_string(windows.in())};
  return windows;
}

Result<TensorTypes> infer_col2im(const InferContext& c) {
  OXPLOW_ASSIGN(const Windows windows, col2im_windows(c));
  Shape to{c.shape(0)[0], c.shape(0)[1] / elements_of(windows.kernel())};
  for (int64_t extent : windows.in()) to.push_back(extent);
  return TensorTypes{{c.type(0).dtype, to}};
}

Result<std::unique_ptr<Step>> prepare_col2im(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Windows windows, col2im_windows(c.infer()));
  const Shape in = windows.in();
  const int64_t taps = elements_of(windows.kernel()), columns = c.in(0).type.shape[2], pixels = elements_of(in);
  const int64_t units = c.out().type.elements();
  const int tasks = task_count(units, 10 + static_cast<double>(taps), c.threads());
  return visit_floating(c.in(0).type.dtype, "Col2Im", [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    return make_step("col2im", tasks, [=](const Buffers& b, int task, int) {
      const Range range = task_range(units, tasks, task);
      for (int64_t u = range.begin; u < range.end; ++u) {
        const T* x = b.in<T>(0) + u / pixels * taps * columns;
        Wide<T> sum = 0;
        for_each_window(windows, unravel(u % pixels, in),
                        [&](int64_t window, int64_t tap) { sum += static_cast<Wide<T>>(x[tap * columns + window]); });
        b.out<T>()[u] = T(sum);
      }
    });
  });
}

// Windows over the result, one for each input element.
struct Transposed {
  Windows windows;
  int64_t batch = 0, groups = 1, channels = 0, filters = 0, taps = 0;  // channels and filters of a group
  int64_t places = 0, pixels = 0;                                      // of the input and of the result
  bool has_bias = false;
};

// The result's extent and the padding of one axis: output_shape, if given, tells the padding; SAME wants in * stride.
Status transposed_axis(AxisWindow& a, const std::string& auto_pad, int64_t output_padding, int64_t wanted) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  const auto sane = [](int64_t v, int64_t low) { return v >= low && v < kLimit; };
  if (!sane(a.kernel, 1) || !sane(a.pad_begin, 0) || !sane(a.pad_end, 0) || !sane(output_padding, 0) || !sane(a.out, 0) ||
      wanted >= kLimit)
    return Error{ErrorCode::invalid_model, "kernel, pads or output padding are out of range"};
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (same && wanted < 0) wanted = a.out * a.stride;
  const int64_t whole = a.stride * (a.out - 1) + output_padding + (a.kernel - 1) * a.dilation + 1;
  if (wanted < 0) {
    if (auto_pad == "VALID") a.pad_begin = a.pad_end = 0;
    a.in = whole - a.pad_begin - a.pad_end;
    if (a.in < 0) return Error{ErrorCode::invalid_model, "pads are larger than the result"};
    return {};
  }
  const int64_t total = std::max<int64_t>(whole - wanted, 0);
  a.in = wanted;
  a.pad_begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
  a.pad_end = total - a.pad_begin;
  return {};
}

Result<Transposed> transposed_of(const InferContext& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  const int rank = x.rank() - 2;
  Transposed t;
  t.groups = c.attributes.integer("group", 1);
  if (rank < 1 || w.rank() != x.rank() || t.groups < 1 || x[1] % t.groups != 0 || w[0] != x[1] ||
      c.type(1).dtype != c.type(0).dtype)
    return Error{ErrorCode::invalid_model, "weights " + to_string(c.type(1)) + " in " + std::to_string(t.groups) +
                                               " groups do not fit " + to_string(c.type(0))};
  OXPLOW_ASSIGN(const auto strides, axis_numbers(c.attributes, "strides", rank));
  OXPLOW_ASSIGN(const auto dilations, axis_numbers(c.attributes, "dilations", rank));
  const auto count = static_cast<size_t>(rank);
  std::vector<int64_t> pads(2 * count, 0), output_padding(count, 0), output_shape(count, -1);
  if (c.attributes.has("pads")) pads = c.attributes.integers("pads");
  if (c.attributes.has("output_padding")) output_padding = c.attributes.integers("output_padding");
  if (c.attributes.has("output_shape")) output_shape = c.attributes.integers("output_shape");
  if (output_shape.size() == count + 2) output_shape.erase(output_shape.begin(), output_shape.begin() + 2);
  if (pads.size() != 2 * count || output_padding.size() != count || output_shape.size() != count)
    return Error{ErrorCode::invalid_model, "pads, output_padding or output_shape do not fit " + std::to_string(rank) + " axes"};
  t.windows.rank = rank;
  for (int d = 0; d < rank; ++d) {
    const auto i = static_cast<size_t>(d);
    AxisWindow& a = t.windows.axes[i];
    a = {0, x[d + 2], w[d + 2], strides[i], dilations[i], pads[i], pads[i + count]};
    OXPLOW_TRY(transposed_axis(a, c.attributes.text("auto_pad", "NOTSET"), output_padding[i], output_shape[i]));
  }
  t.batch = x[0], t.channels = x[1] / t.groups, t.filters = w[1];
  t.taps = product(w, 2, w.rank()), t.places = product(x, 2, x.rank());
  t.has_bias = c.has(2);
  return t;
}

Result<TensorTypes> infer_conv_transpose(const InferContext& c) {
  OXPLOW_ASSIGN(const Transposed t, transposed_of(c));
  Shape to{t.batch, 0};
  if (__builtin_mul_overflow(t.filters, t.groups, &to[1])) return Error{ErrorCode::invalid_model, "impossible groups"};
  for (int64_t extent : t.windows.in()) to.push_back(extent);
  if (c.has(2) && c.type(2) != TensorType{c.type(0).dtype, Shape{to[1]}})
    return Error{ErrorCode::invalid_model, "a bias of " + to_string(c.type(2)) + " for " + std::to_string(to[1]) + " filters"};
  return TensorTypes{{c.type(0).dtype, to}};
}

template <typename T>
std::unique_ptr<Step> transpose_plainly(const PrepareContext& c, const Transposed& t) {
  using C = Wide<T>;
  const Shape in = t.windows.in();
  const int64_t units = c.out().type.elements();
  const int tasks = task_count(units, 10 + static_cast<double>(t.channels * t.taps), c.threads());
  auto step = make_step("conv_transpose_plain_loops", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      const int64_t image = u / t.pixels, m = image % t.filters, group = image / t.filters % t.groups,
                    n = image / t.filters / t.groups;
      const T* x = b.in<T>(0) + (n * t.groups + group) * t.channels * t.places;
      const T* w = b.in<T>(1) + (group * t.channels * t.filters + m) * t.taps;
      C sum = t.has_bias ? static_cast<C>(b.in<T>(2)[group * t.filters + m]) : C{0};
      for_each_window(t.windows, unravel(u % t.pixels, in), [&](int64_t place, int64_t tap) {
        for (int64_t ch = 0; ch < t.channels; ++ch)
          sum += static_cast<C>(x[ch * t.places + place]) * static_cast<C>(w[ch * t.filters * t.taps + tap]);
      });
      b.out<T>()[u] = T(sum);
    }
  });
  step->why = "as the definition reads";
  return step;
}

// Image by image: phase 0 multiplies, phase 1 folds, and so on.
struct FoldedProduct final : Step {
  Transposed t;
  const GemmKernel* gemm = nullptr;
  std::shared_ptr<const Buffer> packed;

  static constexpr int64_t kRows = 64;
  int64_t columns() const { return t.filters * t.taps; }
  int64_t panels() const { return (columns() + gemm->panel_columns - 1) / gemm->panel_columns; }
  size_t group_bytes() const { return round_up(gemm->packed_bytes(t.channels, columns()), kCacheLine); }
  int64_t row_blocks() const { return (t.places + kRows - 1) / kRows; }
  size_t product_bytes() const {
    return round_up(static_cast<size_t>(t.groups * t.places * columns()) * sizeof(float), kCacheLine);
  }
  size_t scratch_bytes() const { return round_up(static_cast<size_t>(kRows * t.channels) * sizeof(float), kCacheLine); }

  void run(const Buffers& b, int phase, int task, int worker) const override {
    const int64_t n = phase / 2;
    const int tasks = phase_tasks[static_cast<size_t>(phase)];
    if (phase % 2 == 0) {
      const Range range = task_range(t.groups * row_blocks(), tasks, task);
      for (int64_t u = range.begin; u < range.end; ++u) multiply(b, n, u, worker);
    } else {
      const Range range = task_range(t.groups * t.filters, tasks, task);
      for (int64_t u = range.begin; u < range.end; ++u) fold(b, n, u);
    }
  }
  // Rows [first, first + count) of the input's elements x channels, times the weights of their group.
  void multiply(const Buffers& b, int64_t n, int64_t unit, int worker) const {
    const int64_t group = unit / row_blocks(), first = unit % row_blocks() * kRows, count = std::min(kRows, t.places - first);
    auto* rows = reinterpret_cast<float*>(b.workspace + product_bytes() + static_cast<size_t>(worker) * scratch_bytes());
    const float* x = b.in<float>(0) + (n * t.groups + group) * t.channels * t.places + first;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t ch = 0; ch < t.channels; ++ch) rows[i * t.channels + ch] = x[ch * t.places + i];
    }
    GemmArgs args;
    args.m = count, args.n = columns(), args.k = t.channels;
    args.a = rows, args.lda = t.channels;
    args.b = packed->data() + static_cast<size_t>(group) * group_bytes();
    args.c = reinterpret_cast<float*>(b.workspace) + (group * t.places + first) * columns(), args.ldc = columns();
    gemm->run(args, 0, count, 0, panels());
  }
  void fold(const Buffers& b, int64_t n, int64_t unit) const {
    const int64_t group = unit / t.filters, m = unit % t.filters;
    const Shape in = t.windows.in();
    const float* products = reinterpret_cast<const float*>(b.workspace) + group * t.places * columns() + m * t.taps;
    float* y = b.out<float>() + (n * t.groups * t.filters + unit) * t.pixels;
    for (int64_t i = 0; i < t.pixels; ++i) {
      float sum = t.has_bias ? b.in<float>(2)[unit] : 0;
      for_each_window(t.windows, unravel(i, in), [&](int64_t place, int64_t tap) { sum += products[place * columns() + tap]; });
      y[i] = sum;
    }
  }
};

Result<std::unique_ptr<Step>> folded_product(const PrepareContext& c, const Transposed& t, const GemmKernel* gemm) {
  auto step = std::make_unique<FoldedProduct>();
  step->t = t;
  step->gemm = gemm;
  const Tensor& w = *c.in(1).constant;
  const std::string key = std::string("conv_transpose_") + gemm->name + "_" + std::to_string(t.groups);
  OXPLOW_ASSIGN(step->packed, c.packs.get(w, key, static_cast<size_t>(t.groups) * step->group_bytes(), [&](void* to) {
    for (int64_t g = 0; g < t.groups; ++g) {
      gemm->pack(w.values<float>().data() + g * t.channels * step->columns(), step->columns(), 1, t.channels, step->columns(), 0,
                 step->panels(), static_cast<std::byte*>(to) + static_cast<size_t>(g) * step->group_bytes());
    }
  }));
  for (int64_t n = 0; n < t.batch; ++n) {
    const double block = static_cast<double>(FoldedProduct::kRows * t.channels * step->columns()) * 0.02;
    step->phase_tasks.push_back(task_count(t.groups * step->row_blocks(), block, c.threads()));
    step->phase_tasks.push_back(task_count(t.groups * t.filters, static_cast<double>(t.pixels) * 10, c.threads()));
  }
  step->workspace_bytes = step->product_bytes() + step->scratch_bytes() * static_cast<size_t>(c.threads());
  step->kernel = std::string("fold_") + gemm->name;
  step->why = "a matrix product makes the windows, then they are added up";
  return std::unique_ptr<Step>(std::move(step));
}

Result<std::unique_ptr<Step>> prepare_conv_transpose(const PrepareContext& c) {
  OXPLOW_ASSIGN(Transposed t, transposed_of(c.infer()));
  t.pixels = elements_of(t.windows.in());
  const DType dtype = c.in(0).type.dtype;
  if (dtype == DType::f32 && c.in(1).constant && c.in(0).type.elements() > 0 && c.out().type.elements() > 0) {
    // The windows of one image must be a tensor that can be.
    const bool possible = is_possible({DType::f32, Shape{t.groups, t.places, t.filters, t.taps}});
    const GemmKernel* gemm = find_gemm(c.isa, DType::f32, DType::f32, t.channels, t.filters * t.taps);
    if (gemm && possible) return folded_product(c, t, gemm);
  }
  return visit_floating(dtype, "ConvTranspose",
                        [&](auto v) -> Result<std::unique_ptr<Step>> { return transpose_plainly<decltype(v)>(c, t); });
}

}  // namespace

namespace ops {
constinit const OpSpec Col2Im{.name = "Col2Im", .infer = infer_col2im, .prepare = prepare_col2im, .required_inputs = 3};
constinit const OpSpec ConvTranspose{
    .name = "ConvTranspose", .infer = infer_conv_transpose, .prepare = prepare_conv_transpose, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
