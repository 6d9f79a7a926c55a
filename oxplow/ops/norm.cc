// LayerNormalization over the last axes: inputs x, scale, bias (optional), residual (optional, added to x first; output 1 is that sum).

#include "oxplow/kernels/norm/norm.h"

#include "oxplow/ops/op.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

Result<int> first_normalized_axis(const InferContext& c) {
  return normalized_axis(c.attributes.integer("axis", -1), c.shape(0).rank());
}

Result<TensorTypes> infer_layer_norm(const InferContext& c) {
  OXPLOW_ASSIGN(const int axis, first_normalized_axis(c));
  const int64_t columns = product(c.shape(0), axis, c.shape(0).rank());
  for (int i : {1, 2}) {
    if (c.has(i) && elements_of(c.shape(i)) != columns) {
      return Error{ErrorCode::invalid_model,
                   "scale or bias of " + to_string(c.shape(i)) + " for rows of " + std::to_string(columns)};
    }
    if (c.has(i) && c.type(i).dtype != DType::f32)
      return Error{ErrorCode::unsupported, "LayerNormalization with scale or bias of " + to_string(c.type(i))};
  }
  if (c.has(3) && c.type(3) != c.type(0))
    return Error{ErrorCode::invalid_model, "a residual of " + to_string(c.type(3)) + " for " + to_string(c.type(0))};
  if (c.outputs > 2 || (c.outputs > 1 && !c.has(3)))
    return Error{ErrorCode::unsupported, "LayerNormalization's mean and deviation outputs"};
  return TensorTypes(static_cast<size_t>(c.outputs), c.type(0));
}

// The one stride between rows, if all axes before the normalized ones walk as one.
std::optional<int64_t> row_stride(const Operand& o, int axis) {
  Shape rows = o.type.shape, columns = o.type.shape;
  Dims row_strides = o.strides, column_strides = o.strides;
  while (rows.rank() > axis) rows.erase(rows.rank() - 1), row_strides.erase(row_strides.rank() - 1);
  for (int i = 0; i < axis; ++i) columns.erase(0), column_strides.erase(0);
  if (rows.empty()) rows.push_back(1), row_strides.push_back(0);
  merge_axes(rows, {&row_strides, 1});
  merge_axes(columns, {&column_strides, 1});
  if (rows.rank() != 1 || columns.rank() != 1 || (columns[0] != 1 && column_strides[0] != 1)) return std::nullopt;
  return rows[0] == 1 ? product(o.type.shape, axis, o.type.shape.rank()) : row_strides[0];
}

Result<std::unique_ptr<Step>> prepare_layer_norm(const PrepareContext& c) {
  const int axis = *first_normalized_axis(c.infer());
  const Operand& x = c.in(0);
  if (!is_float(x.type.dtype) || x.type.dtype == DType::f64)
    return Error{ErrorCode::unsupported, "LayerNormalization of " + std::string(name_of(x.type.dtype))};
  NormArgs args{.rows = product(x.type.shape, 0, axis),
                .columns = product(x.type.shape, axis, x.type.shape.rank()),
                .x_type = x.type.dtype,
                .ldx = *row_stride(x, axis),
                .y_type = c.out().type.dtype,
                .ldy = *row_stride(c.out(), axis),
                .epsilon = c.attributes.number("epsilon", 1e-5f)};
  const bool has_beta = c.has(2), has_residual = c.has(3), has_sum = c.outputs.size() > 1 && c.out(1).present;
  if (has_residual) args.ld_residual = *row_stride(c.in(3), axis);
  if (has_sum) args.ld_sum = *row_stride(c.out(1), axis);
  const NormKernels& kernels = norm_kernels(c.isa);
  const int tasks = task_count(args.rows, static_cast<double>(args.columns) * 0.15, c.threads());
  auto step = make_step("layer_norm", tasks, [=, &kernels](const Buffers& b, int task, int) {
    NormArgs bound = args;
    bound.x = b.inputs[0];
    bound.gamma = b.in<float>(1);
    bound.beta = has_beta ? b.in<float>(2) : nullptr;
    bound.residual = has_residual ? b.inputs[3] : nullptr;
    bound.y = b.outputs[0];
    bound.sum = has_sum ? b.outputs[1] : nullptr;
    const Range range = task_range(bound.rows, tasks, task);
    kernels.layer_norm(bound, range.begin, range.end);
  });
  step->why = has_residual ? "with the addition before it" : "rows";
  return step;
}

bool norm_accepts(const PrepareContext& c, int i) {
  return (i == 0 || i == 3) && row_stride(c.in(i), *first_normalized_axis(c.infer())).has_value();
}

bool norm_by_sample(const InferContext& c) {
  return *first_normalized_axis(c) != 0 && c.constant(1) && (!c.has(2) || c.constant(2)) && !c.constant(3);
}

}  // namespace

namespace ops {
constinit const OpSpec LayerNormalization{.name = "LayerNormalization",
                                          .infer = infer_layer_norm,
                                          .prepare = prepare_layer_norm,
                                          .accepts_input = norm_accepts,
                                          .required_inputs = 2,
                                          .by_sample = norm_by_sample};
}  // namespace ops
}  // namespace oxplow
