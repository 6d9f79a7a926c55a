// ArgMax and ArgMin: the index (i64) of the greatest or least element along attribute axis, of equals the first or with select_last_index
// the last. NaN counts as greatest and as least. keepdims leaves the axis with extent 1.

#include "oxplow/kernels/reduce/reduce.h"
#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_rows.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_arg_reduce(const InferContext& c) {
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), c.shape(0).rank()));
  if (!is_arithmetic(c.type(0).dtype))
    return Error{ErrorCode::unsupported, "the greatest of " + std::string(name_of(c.type(0).dtype))};
  if (c.shape(0)[axis] == 0) return Error{ErrorCode::invalid_model, "an axis of no elements has no greatest nor least one"};
  Shape to = c.shape(0);
  if (c.attributes.integer("keepdims", 1) != 0) {
    to[axis] = 1;
  } else {
    to.erase(axis);
  }
  return TensorTypes{{DType::i64, to}};
}

// The vector kernels' floats.
std::unique_ptr<Step> kernel_step(const PrepareContext& c, const AxisRows& rows, bool least, bool last) {
  ArgReduceArgs args;
  args.least = least;
  args.last = last;
  args.outer = rows.outer;
  args.axis = rows.length;
  args.inner = rows.inner;
  args.x_type = c.in(0).type.dtype;
  args.x_outer = rows.length * rows.inner;
  args.x_axis = rows.inner;
  const ReduceKernels& kernels = reduce_kernels(c.isa);
  const int64_t results = rows.rows();
  const int tasks = task_count(results, static_cast<double>(rows.length) * 0.3, c.threads());
  return make_step(least ? "arg_min" : "arg_max", tasks, [=, &kernels](const Buffers& b, int task, int) {
    ArgReduceArgs bound = args;
    bound.x = b.inputs[0];
    bound.y = b.out<int64_t>();
    const Range range = task_range(results, tasks, task);
    kernels.arg_reduce(bound, range.begin, range.end);
  });
}

template <bool kLeast>
Result<std::unique_ptr<Step>> prepare_arg_reduce(const PrepareContext& c) {
  const TensorType& x = c.in(0).type;
  const AxisRows rows(x.shape, *normalized_axis(c.attributes.integer("axis", 0), x.shape.rank()));
  const bool last = c.attributes.integer("select_last_index", 0) != 0;
  if (is_float(x.dtype) && x.dtype != DType::f64) return kernel_step(c, rows, kLeast, last);
  return visit_wide(x.dtype, [&](auto wide) {
    using Wide = decltype(wide);
    return wide_rows<Wide, int64_t>(c, kLeast ? "wide_arg_min" : "wide_arg_max", rows, 1,
                                    [last](const Wide* row, int64_t* y, int64_t n) {
                                      int64_t best = 0;
                                      for (int64_t i = 1; i < n && row[best] == row[best]; ++i) {
                                        const bool better = kLeast ? row[i] < row[best] : row[i] > row[best];
                                        if (better || row[i] != row[i] || (last && row[i] == row[best])) best = i;
                                      }
                                      *y = best;
                                    });
  });
}

}  // namespace

namespace ops {
constinit const OpSpec ArgMax{.name = "ArgMax", .infer = infer_arg_reduce, .prepare = prepare_arg_reduce<false>};
constinit const OpSpec ArgMin{.name = "ArgMin", .infer = infer_arg_reduce, .prepare = prepare_arg_reduce<true>};
}  // namespace ops
}  // namespace oxplow
