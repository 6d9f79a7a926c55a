// MaxPool and AveragePool, NHWC. Global pools are reductions.

#include "oxplow/kernels/pool/pool.h"

#include "oxplow/ops/conv_geometry.h"

namespace oxplow {
namespace {

Result<Window> pool_window(const Attributes& attributes, const Shape& x) {
  const auto kernel = attributes.integers("kernel_shape");
  if (x.rank() != 4 || kernel.size() != 2) return Error{ErrorCode::unsupported, "pooling over other than two axes"};
  return window_of(attributes, x, kernel[0], kernel[1]);
}

Result<TensorTypes> infer_pool(const InferContext& c) {
  if (c.outputs > 1) return Error{ErrorCode::unsupported, "MaxPool's second output (indices)"};
  OXPLOW_ASSIGN(const Window w, pool_window(c.attributes, c.shape(0)));
  return TensorTypes{{c.type(0).dtype, Shape{c.shape(0)[0], w.out_h, w.out_w, c.shape(0)[3]}}};
}

template <PoolKind kKind>
Result<std::unique_ptr<Step>> prepare_pool(const PrepareContext& c) {
  const Operand& x = c.in(0);
  const Operand& y = c.out();
  const PoolKernel* kernel = find_pool(c.isa, x.type.dtype);
  if (kernel == nullptr) return Error{ErrorCode::unsupported, "pooling of " + std::string(name_of(x.type.dtype))};
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
}  // namespace ops
}  // namespace oxplow
