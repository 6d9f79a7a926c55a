// Softmax, LogSoftmax and Hardmax (1 at the first of the greatest, else 0) over one axis.

#include "oxplow/kernels/softmax/softmax.h"

#include <algorithm>
#include <cmath>

#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_rows.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_softmax(const InferContext& c) {
  OXPLOW_TRY([&]() -> Status {
    OXPLOW_ASSIGN([[maybe_unused]] const int axis, normalized_axis(c.attributes.integer("axis", -1), c.shape(0).rank()));
    return {};
  }());
  return TensorTypes{c.type(0)};
}

// Attribute coerce, of opsets before 13: all axes from this one on make up the row.
AxisRows axis_rows(const PrepareContext& c) {
  const Shape& shape = c.in(0).type.shape;
  return {shape, *normalized_axis(c.attributes.integer("axis", -1), shape.rank()), c.attributes.integer("coerce", 0) != 0};
}

constexpr int64_t kColumns = 64;  // of a row, where the axis is not the innermost: the least a task takes

// Blocks [unit, end) of kColumns columns, all of one row, blocks being counted through all rows. Gives how many that were.
int64_t run_columns(const SoftmaxKernels& kernels, const SoftmaxArgs& args, const Buffers& buffers, int64_t unit, int64_t end) {
  const int64_t blocks = (args.inner + kColumns - 1) / kColumns, row = unit / blocks;
  const int64_t first = unit % blocks * kColumns, last = std::min(args.inner, (end - row * blocks) * kColumns);
  SoftmaxArgs part = args;
  const auto offset = static_cast<size_t>(first * bits_of(args.x_type) / 8);
  part.x = static_cast<const std::byte*>(buffers.inputs[0]) + offset;
  part.y = static_cast<std::byte*>(buffers.outputs[0]) + offset;
  part.inner = last - first;
  kernels.softmax(part, row, row + 1);
  return end - unit;
}

// A few long rows, each in parts. The parts depend on the length alone, so the sums do not depend on the number of threads.
constexpr int64_t kPart = 8192, kFewRows = 4;

class LongRows final : public Step {
 public:
  LongRows(const SoftmaxArgs& args, const SoftmaxKernels& kernels) : args_(args), kernels_(kernels) {
    const int tasks = static_cast<int>(args.rows() * parts());
    phase_tasks = {tasks, tasks, tasks};
    workspace_bytes = 2 * static_cast<size_t>(tasks) * sizeof(float);
    kernel = args.log ? "log_softmax" : "softmax";
    why = "long rows in parts";
  }

  void run(const Buffers& b, int phase, int task, int) const override {
    SoftmaxArgs args = args_;
    args.x = b.inputs[0];
    args.y = b.outputs[0];
    const int64_t row = task / parts(), begin = task % parts() * kPart, end = std::min(args.length, begin + kPart);
    auto* greatest = reinterpret_cast<float*>(b.workspace);
    float* sums = greatest + phase_tasks[0];
    if (phase == 0) {
      greatest[task] = kernels_.greatest(args, row, begin, end);
      return;
    }
    const float* of_row = greatest + row * parts();
    const float top = *std::max_element(of_row, of_row + parts());
    if (phase == 1) {
      sums[task] = kernels_.sum(args, row, begin, end, top);
      return;
    }
    float total = 0;
    for (int64_t part = 0; part < parts(); ++part) total += sums[row * parts() + part];
    kernels_.finish(args, row, begin, end, top, total);
  }

 private:
  int64_t parts() const { return (args_.length + kPart - 1) / kPart; }

  SoftmaxArgs args_;
  const SoftmaxKernels& kernels_;
};

// In double.
template <bool kLog>
void wide_softmax(const double* x, double* y, int64_t n) {
  const double top = n > 0 ? *std::max_element(x, x + n) : 0;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += y[i] = std::exp(x[i] - top);
  for (int64_t i = 0; i < n; ++i) y[i] = kLog ? x[i] - top - std::log(sum) : y[i] / sum;
}

template <bool kLog>
Result<std::unique_ptr<Step>> prepare_softmax(const PrepareContext& c) {
  const TensorType& type = c.in(0).type;
  if (!is_float(type.dtype)) return Error{ErrorCode::unsupported, "Softmax of " + std::string(name_of(type.dtype))};
  const AxisRows shape = axis_rows(c);
  if (type.dtype == DType::f64)
    return wide_rows<double, double>(c, kLog ? "wide_log_softmax" : "wide_softmax", shape, shape.length, wide_softmax<kLog>);
  const int64_t outer = shape.outer, inner = shape.inner;
  SoftmaxArgs args;
  args.length = shape.length;
  args.inner = inner;
  args.outer[kMaxSoftmaxDims - 1] = outer;
  args.x_outer[kMaxSoftmaxDims - 1] = args.y_outer[kMaxSoftmaxDims - 1] = args.length * inner;
  args.x_axis = args.y_axis = inner;
  args.x_type = args.y_type = type.dtype;
  args.log = kLog;
  const SoftmaxKernels& kernels = softmax_kernels(c.isa);
  if (inner == 1 && outer >= 1 && outer <= kFewRows && args.length >= 2 * kPart)
    return std::unique_ptr<Step>(std::make_unique<LongRows>(args, kernels));
  // Columns of one row are independent, so tasks may divide them too.
  const int64_t blocks = (inner + kColumns - 1) / kColumns, units = outer * blocks;
  const int tasks = task_count(units, static_cast<double>(args.length * std::min(inner, kColumns)) * 0.5, c.threads());
  auto step =
      make_step(kLog ? "log_softmax" : "softmax", tasks, [args, &kernels, blocks, units, tasks](const Buffers& b, int task, int) {
        SoftmaxArgs bound = args;
        bound.x = b.inputs[0];
        bound.y = b.outputs[0];
        const Range range = task_range(units, tasks, task);
        if (blocks == 1) return kernels.softmax(bound, range.begin, range.end);
        for (int64_t unit = range.begin; unit < range.end;)
          unit += run_columns(kernels, bound, b, unit, std::min(range.end, unit / blocks * blocks + blocks));
      });
  step->why = inner > 1 ? "axis apart" : "rows";
  return step;
}

bool softmax_by_sample(const InferContext& c) {
  return *normalized_axis(c.attributes.integer("axis", -1), c.shape(0).rank()) != 0;
}

Result<std::unique_ptr<Step>> prepare_hardmax(const PrepareContext& c) {
  if (!is_float(c.in(0).type.dtype))
    return Error{ErrorCode::unsupported, "Hardmax of " + std::string(name_of(c.in(0).type.dtype))};
  const AxisRows rows = axis_rows(c);
  return wide_rows<double, double>(c, "hardmax", rows, rows.length, [](const double* x, double* y, int64_t n) {
    const int64_t greatest = std::max_element(x, x + n) - x;
    for (int64_t i = 0; i < n; ++i) y[i] = i == greatest ? 1 : 0;
  });
}

}  // namespace

namespace ops {
constinit const OpSpec Hardmax{
    .name = "Hardmax", .infer = infer_softmax, .prepare = prepare_hardmax, .by_sample = softmax_by_sample};
constinit const OpSpec Softmax{
    .name = "Softmax", .infer = infer_softmax, .prepare = prepare_softmax<false>, .by_sample = softmax_by_sample};
constinit const OpSpec LogSoftmax{
    .name = "LogSoftmax", .infer = infer_softmax, .prepare = prepare_softmax<true>, .by_sample = softmax_by_sample};
}  // namespace ops
}  // namespace oxplow
