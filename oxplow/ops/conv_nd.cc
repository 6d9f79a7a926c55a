// ConvNd: convolution over any number of axes, [N, C, ...] by weights [M, C / group, ...] with a bias (optional). f32 by constant weights
// is a matrix product of patches, the rest runs as the definition reads.

#include "oxplow/ops/conv_nd.h"

#include <algorithm>

#include "oxplow/kernels/gemm/gemm.h"
#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

Shape spatial_of(const Shape& shape) {
  Shape spatial;
  for (int d = 2; d < shape.rank(); ++d) spatial.push_back(shape[d]);
  return spatial;
}

Result<Windows> conv_windows(const InferContext& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  const int64_t groups = c.attributes.integer("group", 1);
  if (x.rank() < 3 || w.rank() != x.rank() || groups < 1 || w[0] % groups != 0 || x[1] % groups != 0 || x[1] / groups != w[1])
    return Error{ErrorCode::invalid_model,
                 "weights " + to_string(w) + " in " + std::to_string(groups) + " groups do not fit " + to_string(x)};
  return windows_of(c.attributes, spatial_of(x), spatial_of(w));
}

Result<TensorTypes> infer_conv_nd(const InferContext& c) {
  OXPLOW_ASSIGN(const Windows windows, conv_windows(c));
  if (c.type(1).dtype != c.type(0).dtype || (c.has(2) && c.type(2) != TensorType{c.type(0).dtype, Shape{c.shape(1)[0]}}))
    return Error{ErrorCode::invalid_model, "weights or a bias do not fit " + to_string(c.type(0))};
  Shape to{c.shape(0)[0], c.shape(1)[0]};
  for (int64_t extent : windows.out()) to.push_back(extent);
  return TensorTypes{{c.type(0).dtype, to}};
}

// Patches of so many places are multiplied at once: their rows stay in the L2 cache.
constexpr int64_t kPlaces = 64;

struct PatchProduct {
  Windows windows;
  Shape out;
  Dims in_strides;  // of one channel
  const GemmKernel* gemm;
  int64_t groups, channels, filters, taps;  // channels and filters of a group
  int64_t in_plane, places;
  bool has_bias;

  int64_t depth() const { return channels * taps; }
  int64_t blocks() const { return (places + kPlaces - 1) / kPlaces; }
  int64_t panels() const { return (filters + gemm->panel_columns - 1) / gemm->panel_columns; }
  size_t group_bytes() const { return round_up(gemm->packed_bytes(depth(), filters), kCacheLine); }

  // Row `place` of the patch matrix: all taps of all channels, zeros where a tap is outside.
  void patch(const float* x, int64_t place, float* row) const {
    std::fill(row, row + depth(), 0.0f);
    for_each_tap(windows, unravel(place, out), in_strides, [&](int64_t offset, int64_t tap) {
      for (int64_t ch = 0; ch < channels; ++ch) row[ch * taps + tap] = x[ch * in_plane + offset];
    });
  }
  void run(const Buffers& b, const std::byte* packed, int64_t unit, float* scratch) const {
    const int64_t block = unit % blocks(), group = unit / blocks() % groups, n = unit / blocks() / groups;
    const int64_t first = block * kPlaces, count = std::min(kPlaces, places - first), image = n * groups + group;
    const float* x = b.in<float>(0) + image * channels * in_plane;
    for (int64_t i = 0; i < count; ++i) patch(x, first + i, scratch + i * depth());
    float* product = scratch + kPlaces * depth();
    GemmArgs args;
    args.m = count, args.n = filters, args.k = depth();
    args.a = scratch, args.lda = depth();
    args.b = packed + static_cast<size_t>(group) * group_bytes();
    args.c = product, args.ldc = filters;
    gemm->run(args, 0, count, 0, panels());
    for (int64_t m = 0; m < filters; ++m) {
      const float bias = has_bias ? b.in<float>(2)[group * filters + m] : 0;
      float* y = b.out<float>() + (image * filters + m) * places + first;
      for (int64_t i = 0; i < count; ++i) y[i] = product[i * filters + m] + bias;
    }
  }
};

Result<std::unique_ptr<Step>> patch_product(const PrepareContext& c, const PatchProduct& p) {
  const Tensor& w = *c.in(1).constant;
  const std::string key = std::string("conv_nd_") + p.gemm->name + "_" + std::to_string(p.groups);
  OXPLOW_ASSIGN(auto packed, c.packs.get(w, key, static_cast<size_t>(p.groups) * p.group_bytes(), [&](void* to) {
    for (int64_t g = 0; g < p.groups; ++g) {
      p.gemm->pack(w.values<float>().data() + g * p.filters * p.depth(), 1, p.depth(), p.depth(), p.filters, 0, p.panels(),
                   static_cast<std::byte*>(to) + static_cast<size_t>(g) * p.group_bytes());
    }
  }));
  const int64_t units = c.in(0).type.shape[0] * p.groups * p.blocks();
  const int tasks = task_count(units, static_cast<double>(kPlaces * p.depth() * p.filters) * 0.02, c.threads());
  const size_t scratch = round_up(static_cast<size_t>(kPlaces * (p.depth() + p.filters)) * sizeof(float), kCacheLine);
  auto step = make_step(std::string("patches_") + p.gemm->name, tasks, [=](const Buffers& b, int task, int worker) {
    const Range range = task_range(units, tasks, task);
    auto* mine = reinterpret_cast<float*>(b.workspace + static_cast<size_t>(worker) * scratch);
    for (int64_t u = range.begin; u < range.end; ++u) p.run(b, packed->data(), u, mine);
  });
  step->workspace_bytes = scratch * static_cast<size_t>(c.threads());
  step->why = "a matrix product of patches";
  return step;
}

Result<std::unique_ptr<Step>> prepare_conv_nd(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Windows windows, conv_windows(c.infer()));
  const Shape &x = c.in(0).type.shape, &w = c.in(1).type.shape;
  if (c.in(0).type.dtype == DType::f32 && c.in(1).constant && elements_of(w) > 0 && c.out().type.elements() > 0) {
    PatchProduct p;
    p.windows = windows, p.out = windows.out(), p.in_strides = dense_strides(windows.in());
    p.groups = c.attributes.integer("group", 1);
    p.channels = w[1], p.filters = w[0] / p.groups, p.taps = elements_of(windows.kernel());
    p.in_plane = product(x, 2, x.rank()), p.places = elements_of(p.out);
    p.has_bias = c.has(2);
    p.gemm = find_gemm(c.isa, DType::f32, DType::f32, p.depth(), p.filters);
    if (p.gemm) return patch_product(c, p);
  }
  return plain_conv_nd(c, windows, 1);
}

template <typename T>
std::unique_ptr<Step> conv_step(const PrepareContext& c, const Windows& windows, int channel_axis) {
  using C = Wide<T>;
  const Operand &x = c.in(0), &y = c.out();
  const Shape &w = c.in(1).type.shape, out = windows.out();
  const int64_t filters = w[0], channels = w[1], taps = elements_of(windows.kernel()), places = elements_of(out);
  const int64_t of_group = filters / c.attributes.integer("group", 1);
  const ImageStrides from = image_strides(x, channel_axis), to = image_strides(y, channel_axis);
  const bool has_bias = c.has(2);
  const int64_t units = x.type.shape[0] * filters * places;
  const int tasks = task_count(units, static_cast<double>(channels * taps) * 2, c.threads());
  auto step = make_step("conv_plain_loops_nd", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      const int64_t m = u / places % filters, n = u / places / filters;
      const Dims at = unravel(u % places, out);
      const T* image = b.in<T>(0) + n * from.batch + m / of_group * channels * from.channel;
      C sum = 0;
      for (int64_t ch = 0; ch < channels; ++ch) {
        const T* weights = b.in<T>(1) + (m * channels + ch) * taps;
        for_each_tap(windows, at, from.spatial, [&](int64_t offset, int64_t tap) {
          sum += static_cast<C>(image[ch * from.channel + offset]) * static_cast<C>(weights[tap]);
        });
      }
      int64_t place = n * to.batch + m * to.channel;
      for (int d = 0; d < at.rank(); ++d) place += at[d] * to.spatial[d];
      b.out<T>()[place] = T(has_bias ? sum + static_cast<C>(b.in<T>(2)[m]) : sum);
    }
  });
  step->why = "as the definition reads";
  return step;
}

}  // namespace

Result<std::unique_ptr<Step>> plain_conv_nd(const PrepareContext& c, const Windows& windows, int channel_axis) {
  return visit_floating(c.in(0).type.dtype, "convolution", [&](auto t) -> Result<std::unique_ptr<Step>> {
    return conv_step<decltype(t)>(c, windows, channel_axis);
  });
}

namespace ops {
constinit const OpSpec ConvNd{.name = "ConvNd", .infer = infer_conv_nd, .prepare = prepare_conv_nd, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
