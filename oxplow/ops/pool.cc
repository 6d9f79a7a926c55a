// MaxPool and AveragePool, NHWC. Global pools are reductions.
// MaxPoolNd (output 1: indices of the elements), AveragePoolNd and LpPoolNd: any number of axes, [N, C, ...].
// MaxUnpoolNd: the elements of input 0 at the indices in input 1 of a tensor of zeros, the inverse of MaxPoolNd.

#include "oxplow/kernels/pool/pool.h"

#include <algorithm>

#include "oxplow/ops/conv_geometry.h"
#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/plain_pool.h"

namespace oxplow {
namespace {

Shape kernel_of(const Attributes& attributes) {
  const auto kernel = attributes.integers("kernel_shape");
  return kernel.size() > size_t{kMaxRank} ? Shape{} : Shape(std::span<const int64_t>(kernel));
}

Result<Window> pool_window(const Attributes& attributes, const Shape& x) {
  const auto kernel = attributes.integers("kernel_shape");
  if (x.rank() != 4 || kernel.size() != 2) return Error{ErrorCode::unsupported, "pooling over other than two axes"};
  return window_of(attributes, x, kernel[0], kernel[1]);
}

Result<TensorTypes> infer_pool(const InferContext& c) {
  if (c.outputs > 1) return Error{ErrorCode::unsupported, "indices of NHWC pooling; MaxPoolNd has them"};
  OXPLOW_ASSIGN(const Window w, pool_window(c.attributes, c.shape(0)));
  return TensorTypes{{c.type(0).dtype, Shape{c.shape(0)[0], w.out_h, w.out_w, c.shape(0)[3]}}};
}

template <PoolKind kKind>
Result<std::unique_ptr<Step>> prepare_pool(const PrepareContext& c) {
  const Operand& x = c.in(0);
  const Operand& y = c.out();
  const PoolKernel* kernel = find_pool(c.isa, x.type.dtype);
  if (kernel == nullptr) {
    const Shape& image = x.type.shape;
    OXPLOW_ASSIGN(const Windows windows, windows_of(c.attributes, Shape{image[1], image[2]}, kernel_of(c.attributes)));
    return plain_pool(c, windows, kKind == PoolKind::max ? Pooling::max : Pooling::average, 3);
  }
  OXPLOW_ASSIGN(const Window w, pool_window(c.attributes, x.type.shape));
  PoolArgs args{.kind = kKind,
                .batch = x.type.shape[0],
                .in_h = w.in_h,
                .in_w = w.in_w,
                .out_h = w.out_h,
                .out_w = w.out_w,
                .channels = x.type.shape[3],
                .kernel_h = w.kernel_h,
                .kernel_w = w.kernel_w,
                .stride_h = w.stride_h,
                .stride_w = w.stride_w,
                .dilation_h = w.dilation_h,
                .dilation_w = w.dilation_w,
                .pad_top = w.pad_top,
                .pad_left = w.pad_left,
                .pad_bottom = w.pad_bottom,
                .pad_right = w.pad_right,
                .count_include_pad = c.attributes.integer("count_include_pad", 0) != 0};
  args.x_image = x.strides[0], args.x_row = x.strides[1], args.x_pixel = x.strides[2];
  args.y_image = y.strides[0], args.y_row = y.strides[1], args.y_pixel = y.strides[2];
  const int64_t rows = args.batch * args.out_h;
  const int tasks =
      task_count(rows, static_cast<double>(args.out_w * args.channels * args.kernel_h * args.kernel_w) * 0.05, c.threads());
  auto step = make_step(kernel->name, tasks, [args, kernel, rows, tasks](const Buffers& b, int task, int) {
    PoolArgs bound = args;
    bound.x = b.inputs[0];
    bound.y = b.outputs[0];
    const Range range = task_range(rows, tasks, task);
    kernel->run(bound, range.begin, range.end, 0, bound.channels);
  });
  step->why = "window by window";
  return step;
}

Result<Windows> windows_nd(const Attributes& attributes, const Shape& x) {
  Shape in;
  for (int d = 2; d < x.rank(); ++d) in.push_back(x[d]);
  return windows_of(attributes, in, kernel_of(attributes));
}

Result<TensorTypes> infer_pool_nd(const InferContext& c) {
  OXPLOW_ASSIGN(const Windows windows, windows_nd(c.attributes, c.shape(0)));
  Shape to{c.shape(0)[0], c.shape(0)[1]};
  for (int64_t extent : windows.out()) to.push_back(extent);
  return TensorTypes{{c.type(0).dtype, to}, {DType::i64, to}};
}

template <Pooling kPooling>
Result<std::unique_ptr<Step>> prepare_pool_nd(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Windows windows, windows_nd(c.attributes, c.in(0).type.shape));
  return plain_pool(c, windows, kPooling, 1);
}

// What MaxPool made `x` of, if no output_shape says otherwise.
Result<Shape> unpooled(const InferContext& c) {
  const Shape& x = c.shape(0);
  const Shape kernel = kernel_of(c.attributes);
  const int rank = x.rank() - 2;
  std::vector<int64_t> pads(static_cast<size_t>(std::max(2 * rank, 0)), 0);
  if (c.attributes.has("pads")) pads = c.attributes.integers("pads");
  if (rank < 1 || kernel.rank() != rank || pads.size() != 2 * static_cast<size_t>(rank) || c.shape(1) != x ||
      c.type(1).dtype != DType::i64) {
    return Error{ErrorCode::invalid_model, "indices " + to_string(c.type(1)) + " of " + to_string(c.type(0))};
  }
  OXPLOW_ASSIGN(const auto strides, axis_numbers(c.attributes, "strides", rank));
  Shape to{x[0], x[1]};
  for (int d = 0; d < rank; ++d) {
    const auto i = static_cast<size_t>(d);
    constexpr int64_t kLimit = int64_t{1} << 31;
    const int64_t pad_begin = pads[i], pad_end = pads[i + static_cast<size_t>(rank)];
    const bool sane = kernel[d] > 0 && kernel[d] < kLimit && x[d + 2] < kLimit && pad_begin >= 0 && pad_begin < kLimit &&
                      pad_end >= 0 && pad_end < kLimit;
    const int64_t extent = sane ? (x[d + 2] - 1) * strides[i] - pad_begin - pad_end + kernel[d] : -1;
    if (extent < 0) return Error{ErrorCode::invalid_model, "impossible kernel or pads"};
    to.push_back(extent);
  }
  return to;
}

Result<TensorTypes> infer_unpool(const InferContext& c) {
  OXPLOW_ASSIGN(const Shape whole, unpooled(c));
  if (!c.has(2)) return TensorTypes{{c.type(0).dtype, whole}};
  OXPLOW_ASSIGN(const auto given, c.integers(2, "the output shape"));
  const Shape to = given.size() > size_t{kMaxRank} ? Shape{} : Shape(std::span<const int64_t>(given));
  bool fits = to.rank() == whole.rank();
  for (int d = 0; fits && d < to.rank(); ++d) fits = d < 2 ? to[d] == whole[d] : to[d] >= whole[d];
  if (!fits)
    return Error{ErrorCode::invalid_model, "an output shape of " + to_string(to) + " for elements of " + to_string(whole)};
  return TensorTypes{{c.type(0).dtype, to}};
}

// Images share no element, so they are the tasks: zeros first, then the elements in order. Where the result is larger than what
// was pooled, that lies in its first corner. Indices that lie outside are left out.
Result<std::unique_ptr<Step>> prepare_unpool(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Shape whole, unpooled(c.infer()));
  const Shape to = c.out().type.shape;
  const Dims strides = dense_strides(to);
  const int64_t images = to[0], of_image = images == 0 ? 0 : c.in(0).type.elements() / images;
  const int64_t source = product(whole, 1, whole.rank()), target = product(to, 1, to.rank());
  return visit_width(c.in(0).type.dtype, "MaxUnpool", [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    return make_step("max_unpool", part_count(images, images), [=](const Buffers& b, int task, int) {
      if (task >= images) return;
      T* y = b.out<T>() + task * target;
      std::fill(y, y + target, T{0});
      for (int64_t i = 0; i < of_image; ++i) {
        const int64_t index = b.in<int64_t>(1)[task * of_image + i] - task * source;
        if (index < 0 || index >= source) continue;
        const Dims at = unravel(index, whole);
        int64_t offset = 0;
        for (int d = 1; d < at.rank(); ++d) offset += at[d] * strides[d];
        y[offset] = b.in<T>(0)[task * of_image + i];
      }
    });
  });
}

bool pool_accepts(const PrepareContext& c, int i) { return c.in(i).type.shape.back() == 1 || c.in(i).strides.back() == 1; }
bool pool_writes(const PrepareContext& c, int i) { return c.out(i).type.shape.back() == 1 || c.out(i).strides.back() == 1; }

}  // namespace

namespace ops {
constinit const OpSpec MaxPool{.name = "MaxPool",
                               .infer = infer_pool,
                               .prepare = prepare_pool<PoolKind::max>,
                               .accepts_input = pool_accepts,
                               .accepts_output = pool_writes,
                               .by_sample = samples_apart};
constinit const OpSpec AveragePool{.name = "AveragePool",
                                   .infer = infer_pool,
                                   .prepare = prepare_pool<PoolKind::average>,
                                   .accepts_input = pool_accepts,
                                   .accepts_output = pool_writes,
                                   .by_sample = samples_apart};
constinit const OpSpec MaxPoolNd{.name = "MaxPoolNd", .infer = infer_pool_nd, .prepare = prepare_pool_nd<Pooling::max>};
constinit const OpSpec AveragePoolNd{
    .name = "AveragePoolNd", .infer = infer_pool_nd, .prepare = prepare_pool_nd<Pooling::average>};
constinit const OpSpec LpPoolNd{.name = "LpPoolNd", .infer = infer_pool_nd, .prepare = prepare_pool_nd<Pooling::lp>};
constinit const OpSpec MaxUnpoolNd{.name = "MaxUnpoolNd", .infer = infer_unpool, .prepare = prepare_unpool, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
