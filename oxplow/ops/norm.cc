// LayerNormalization and RMSNormalization (without the mean) over the last axes, from attribute axis on: inputs x, scale, bias (optional),
// residual (optional, added to x first). Outputs: y; with a residual, the sum; without one, mean and 1 / deviation of the rows, f32.

#include "oxplow/kernels/norm/norm.h"

#include <algorithm>

#include "oxplow/ops/op.h"
#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_norm.h"

namespace oxplow {
namespace {

Result<int> first_normalized_axis(const InferContext& c) {
  return normalized_axis(c.attributes.integer("axis", -1), c.shape(0).rank());
}

// Whether the scale or bias has the elements of one row, in their order, for every row.
bool one_a_column(const Shape& scale, const Shape& x, int axis) {
  const int64_t columns = product(x, axis, x.rank());
  const bool flat = scale.rank() == 1 || product(scale, std::max(0, scale.rank() - (x.rank() - axis)), scale.rank()) == columns;
  return flat && elements_of(scale) == columns;
}

Result<TensorTypes> infer_norm(const InferContext& c) {
  OXPLOW_ASSIGN(const int axis, first_normalized_axis(c));
  if (!is_float(c.type(0).dtype)) return Error{ErrorCode::unsupported, "normalization of " + to_string(c.type(0))};
  for (int i : {1, 2}) {
    if (!c.has(i)) continue;
    if (!is_float(c.type(i).dtype))
      return Error{ErrorCode::unsupported, "normalization with scale or bias of " + to_string(c.type(i))};
    auto wide = broadcast(c.shape(0), c.shape(i));
    if (!one_a_column(c.shape(i), c.shape(0), axis) && (!wide.ok() || *wide != c.shape(0))) {
      return Error{ErrorCode::invalid_model, "scale or bias of " + to_string(c.shape(i)) + " for rows of " +
                                                 std::to_string(product(c.shape(0), axis, c.shape(0).rank())) + " of " +
                                                 to_string(c.shape(0))};
    }
  }
  if (c.has(3) && c.type(3) != c.type(0))
    return Error{ErrorCode::invalid_model, "a residual of " + to_string(c.type(3)) + " for " + to_string(c.type(0))};
  TensorTypes types{c.type(0)};
  if (c.has(3)) {
    types.push_back(c.type(0));
  } else {
    Shape rows = c.shape(0);
    for (int i = axis; i < rows.rank(); ++i) rows[i] = 1;
    types.insert(types.end(), 2, {DType::f32, rows});
  }
  types.resize(std::min(types.size(), static_cast<size_t>(std::max(c.outputs, 1))));
  return types;
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

// Whether the kernels do: f32, bf16 or f16 rows, each with the same scale and bias of f32.
bool kernel_takes(const PrepareContext& c, int axis) {
  const TensorType& x = c.in(0).type;
  for (int i : {1, 2}) {
    if (c.has(i) && (c.in(i).type.dtype != DType::f32 || !one_a_column(c.in(i).type.shape, x.shape, axis))) return false;
  }
  return x.dtype != DType::f64;
}

template <bool kCentered>
Result<std::unique_ptr<Step>> prepare_wide(const PrepareContext& c, int axis) {
  const Shape& x = c.in(0).type.shape;
  if (c.has(3)) return Error{ErrorCode::unsupported, "a residual of " + to_string(c.in(3).type)};
  WideNorm norm;
  norm.rows = product(x, 0, axis);
  norm.columns = product(x, axis, x.rank());
  norm.centered = kCentered;
  norm.epsilon = static_cast<double>(c.attributes.number("epsilon", 1e-5f));
  norm.extents = x;
  const auto strides = [&](int i) {
    if (!one_a_column(c.in(i).type.shape, x, axis)) return broadcast_strides(c.in(i), x);
    Dims of_row = dense_strides(x);
    for (int k = 0; k < axis; ++k) of_row[k] = 0;
    return of_row;
  };
  norm.scale_strides = strides(1);
  if (c.has(2)) norm.bias_strides = strides(2);
  return wide_norm(c, norm);
}

template <bool kCentered>
Result<std::unique_ptr<Step>> prepare_norm(const PrepareContext& c) {
  const int axis = *first_normalized_axis(c.infer());
  if (!kernel_takes(c, axis)) return prepare_wide<kCentered>(c, axis);
  const Operand& x = c.in(0);
  NormArgs args{.rows = product(x.type.shape, 0, axis),
                .columns = product(x.type.shape, axis, x.type.shape.rank()),
                .x_type = x.type.dtype,
                .ldx = *row_stride(x, axis),
                .y_type = c.out().type.dtype,
                .ldy = *row_stride(c.out(), axis),
                .epsilon = c.attributes.number("epsilon", 1e-5f)};
  const auto writes = [&](int i) { return static_cast<int>(c.outputs.size()) > i && c.out(i).present; };
  const bool has_beta = c.has(2), has_residual = c.has(3), has_sum = has_residual && writes(1);
  const bool has_mean = !has_residual && writes(1), has_deviation = !has_residual && writes(2);
  if (has_residual) args.ld_residual = *row_stride(c.in(3), axis);
  if (has_sum) args.ld_sum = *row_stride(c.out(1), axis);
  const auto run = kCentered ? norm_kernels(c.isa).layer_norm : norm_kernels(c.isa).rms_norm;
  const int tasks = task_count(args.rows, static_cast<double>(args.columns) * 0.15, c.threads());
  auto step = make_step(kCentered ? "layer_norm" : "rms_norm", tasks, [=](const Buffers& b, int task, int) {
    NormArgs bound = args;
    bound.x = b.inputs[0];
    bound.gamma = b.in<float>(1);
    bound.beta = has_beta ? b.in<float>(2) : nullptr;
    bound.residual = has_residual ? b.inputs[3] : nullptr;
    bound.y = b.outputs[0];
    bound.sum = has_sum ? b.outputs[1] : nullptr;
    bound.mean = has_mean ? b.out<float>(1) : nullptr;
    bound.inv_std = has_deviation ? b.out<float>(2) : nullptr;
    const Range range = task_range(bound.rows, tasks, task);
    run(bound, range.begin, range.end);
  });
  step->why = has_residual ? "with the addition before it" : "rows";
  return step;
}

bool norm_accepts(const PrepareContext& c, int i) {
  const int axis = *first_normalized_axis(c.infer());
  return (i == 0 || i == 3) && kernel_takes(c, axis) && row_stride(c.in(i), axis).has_value();
}

bool norm_by_sample(const InferContext& c) {
  return *first_normalized_axis(c) != 0 && c.constant(1) && (!c.has(2) || c.constant(2)) && !c.constant(3) &&
         samples_broadcast(c);
}

}  // namespace

namespace ops {
constinit const OpSpec LayerNormalization{.name = "LayerNormalization",
                                          .infer = infer_norm,
                                          .prepare = prepare_norm<true>,
                                          .accepts_input = norm_accepts,
                                          .required_inputs = 2,
                                          .by_sample = norm_by_sample};
constinit const OpSpec RMSNormalization{.name = "RMSNormalization",
                                        .infer = infer_norm,
                                        .prepare = prepare_norm<false>,
                                        .accepts_input = norm_accepts,
                                        .required_inputs = 2,
                                        .by_sample = norm_by_sample};
}  // namespace ops
}  // namespace oxplow
