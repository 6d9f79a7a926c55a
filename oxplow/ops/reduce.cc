// Reductions over axes: ReduceSum, ReduceMean, ... Input 1 (axes) is constant; none: all axes, or none at all with noop_with_empty_axes.

#include "oxplow/kernels/reduce/reduce.h"

#include <algorithm>

#include "oxplow/ops/op.h"
#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_reduce.h"

namespace oxplow {
namespace {

Result<std::vector<bool>> reduced_axes(const InferContext& c) {
  const int rank = c.shape(0).rank();
  std::vector<bool> reduced(static_cast<size_t>(rank), false);
  std::vector<int64_t> axes;
  // Global pooling: every axis from this one on.
  for (int64_t i = c.attributes.integer("first_axis", rank); i < rank; ++i) axes.push_back(i);
  if (c.has(1)) {
    OXPLOW_ASSIGN(axes, c.integers(1, "axes"));
  }
  if (axes.empty() && c.attributes.integer("noop_with_empty_axes", 0) == 0) reduced.assign(reduced.size(), true);
  for (int64_t a : axes) {
    OXPLOW_ASSIGN(const int axis, normalized_axis(a, rank));
    reduced[static_cast<size_t>(axis)] = true;
  }
  return reduced;
}

bool reduce_by_sample(const InferContext& c) { return !reduced_axes(c)->at(0); }

Result<TensorTypes> infer_reduce(const InferContext& c) {
  OXPLOW_ASSIGN(auto reduced, reduced_axes(c));
  const bool keep = c.attributes.integer("keepdims", 1) != 0;
  Shape to;
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    if (!reduced[static_cast<size_t>(i)]) {
      to.push_back(c.shape(0)[i]);
    } else if (keep) {
      to.push_back(1);
    }
  }
  return TensorTypes{{c.type(0).dtype, to}};
}

// Axes as the kernel wants them: up to three outer, up to three reduced, a contiguous inner one. Nothing when there are more.
std::optional<ReduceArgs> reduce_args(const PrepareContext& c, ReduceOp op) {
  const Operand& x = c.in(0);
  const Operand& y = c.out();
  const auto reduced = *reduced_axes(c.infer());
  ReduceArgs args{.op = op, .x_type = x.type.dtype, .y_type = y.type.dtype};
  Shape outer, inside;
  std::vector<Dims> outer_strides(2), inside_strides(1);
  int y_axis = 0;
  const bool keep = c.attributes.integer("keepdims", 1) != 0;
  for (int i = 0; i < x.type.shape.rank(); ++i) {
    if (reduced[static_cast<size_t>(i)]) {
      inside.push_back(x.type.shape[i]);
      inside_strides[0].push_back(x.strides[i]);
      y_axis += keep ? 1 : 0;
    } else {
      outer.push_back(x.type.shape[i]);
      outer_strides[0].push_back(x.strides[i]);
      outer_strides[1].push_back(y.strides[y_axis++]);
    }
  }
  const auto pad = [](Shape& extents, std::vector<Dims>& strides) {
    if (extents.empty()) {
      extents.push_back(1);
      for (Dims& s : strides) s.push_back(0);
    }
    merge_axes(extents, strides);
  };
  pad(outer, outer_strides);
  pad(inside, inside_strides);
  const int last = outer.rank() - 1;
  if (outer[last] > 1 && outer_strides[0][last] == 1 && outer_strides[1][last] == 1) {
    args.inner = outer[last];
    outer.erase(last);
    for (Dims& s : outer_strides) s.erase(last);
  }
  if (outer.rank() > kMaxReduceDims || inside.rank() > kMaxReduceDims) return std::nullopt;
  const auto fill = [](const Dims& from, int64_t* to) {
    std::copy(from.begin(), from.end(), to + (kMaxReduceDims - from.rank()));
  };
  fill(outer, args.outer);
  fill(outer_strides[0], args.x_outer);
  fill(outer_strides[1], args.y_outer);
  fill(inside, args.reduced);
  fill(inside_strides[0], args.x_reduced);
  return args;
}

// Columns of many rows in two phases: parts of the rows, then the parts. So a thread reads the rows that it wrote, not its columns of
// everybody's. The parts are of equal size, so that the mean of their means is the mean.
class ReduceInParts final : public Step {
 public:
  ReduceInParts(const ReduceArgs& args, int axis, int parts, const ReduceKernels& kernels)
      : args_(args), axis_(axis), parts_(parts), kernels_(kernels) {
    phase_tasks = {parts, 1};
    workspace_bytes = static_cast<size_t>(parts * args.results()) * sizeof(float);
    kernel = "reduce " + std::string(name_of(args.op)) + " in parts";
    why = "columns of many rows";
  }

  // Into how many, for the reduced axis with the most: as many as divide it, few enough to be long; 1: not worth it.
  static int parts_of(const ReduceArgs& args, int axis) {
    const bool sums = args.op == ReduceOp::sum || args.op == ReduceOp::mean;
    const bool one = args.outer[0] * args.outer[1] * args.outer[2] == 1;
    const int64_t rows = args.reduced[0] * args.reduced[1] * args.reduced[2];
    if (!sums || !one || args.inner <= 1 || rows < 128) return 1;
    for (int parts = 16; parts > 3; --parts) {
      if (args.reduced[axis] % parts == 0) return parts;
    }
    return 1;
  }

  void run(const Buffers& b, int phase, int task, int) const override {
    ReduceArgs args = args_;
    float* partial = reinterpret_cast<float*>(b.workspace);
    args.x = b.inputs[0];
    args.y = b.outputs[0];
    if (phase == 0) {
      args.reduced[axis_] /= parts_;
      args.x = b.in<std::byte>(0) + task * args.reduced[axis_] * args.x_reduced[axis_] * (bits_of(args.x_type) / 8);
      args.y = partial + task * args.inner;
      args.y_type = DType::f32;
    } else {
      for (int i = 0; i < kMaxReduceDims; ++i) args.reduced[i] = i == axis_ ? parts_ : 1;
      args.x_reduced[axis_] = args.inner;
      args.x = partial;
      args.x_type = DType::f32;
    }
    kernels_.reduce(args, 0, args.inner);
  }

 private:
  ReduceArgs args_;
  int axis_, parts_;
  const ReduceKernels& kernels_;
};

template <ReduceOp kOp>
Result<std::unique_ptr<Step>> prepare_reduce(const PrepareContext& c) {
  const DType dtype = c.in(0).type.dtype;
  constexpr bool kOrders = kOp == ReduceOp::max || kOp == ReduceOp::min;
  if (!is_arithmetic(dtype) || (dtype == DType::boolean && !kOrders))
    return Error{ErrorCode::unsupported, "a reduction of " + std::string(name_of(dtype))};
  const auto kernel_args = is_float(dtype) && dtype != DType::f64 ? reduce_args(c, kOp) : std::nullopt;
  if (!kernel_args) return wide_reduce(c, kOp, *reduced_axes(c.infer()));
  const ReduceArgs& args = *kernel_args;
  const int64_t results = args.results();
  const int64_t each = args.reduced[0] * args.reduced[1] * args.reduced[2];
  const int64_t grain = args.inner > 1 ? 64 : 1;
  const int64_t units = (results + grain - 1) / grain;
  const int tasks = task_count(units, static_cast<double>(each * grain) * 0.1, c.threads());
  const ReduceKernels& kernels = reduce_kernels(c.isa);
  const auto longest = static_cast<int>(std::max_element(args.reduced, args.reduced + kMaxReduceDims) - args.reduced);
  if (const int parts = ReduceInParts::parts_of(args, longest); parts > 1)
    return std::unique_ptr<Step>(std::make_unique<ReduceInParts>(args, longest, parts, kernels));
  auto step = make_step("reduce " + std::string(name_of(kOp)), tasks,
                        [args, &kernels, units, results, grain, tasks](const Buffers& b, int task, int) {
                          ReduceArgs bound = args;
                          bound.x = b.inputs[0];
                          bound.y = b.outputs[0];
                          const Range range = task_range(units, tasks, task);
                          kernels.reduce(bound, range.begin * grain, std::min(range.end * grain, results));
                        });
  step->why = args.inner > 1 ? "columns" : "rows";
  return step;
}

}  // namespace

namespace ops {
#define OXPLOW_REDUCTION(op, function)                                     \
  constinit const OpSpec op{.name = #op,                                   \
                            .infer = infer_reduce,                         \
                            .prepare = prepare_reduce<ReduceOp::function>, \
                            .accepts_input = accepts_any,                  \
                            .by_sample = reduce_by_sample};
OXPLOW_REDUCTION(ReduceSum, sum)
OXPLOW_REDUCTION(ReduceMean, mean)
OXPLOW_REDUCTION(ReduceMax, max)
OXPLOW_REDUCTION(ReduceMin, min)
OXPLOW_REDUCTION(ReduceProd, prod)
OXPLOW_REDUCTION(ReduceSumSquare, sum_square)
OXPLOW_REDUCTION(ReduceL1, l1)
OXPLOW_REDUCTION(ReduceL2, l2)
OXPLOW_REDUCTION(ReduceLogSum, log_sum)
OXPLOW_REDUCTION(ReduceLogSumExp, log_sum_exp)
#undef OXPLOW_REDUCTION
}  // namespace ops
}  // namespace oxplow
