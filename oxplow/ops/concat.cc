// Concat: inputs side by side along an axis.

#include <algorithm>

#include "oxplow/kernels/copy/copy.h"
#include "oxplow/ops/op.h"
#include "oxplow/ops/parts.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// Copies into parts of one output, cut into tasks together: unit u of the whole is unit u - first of one part.
struct Part {
  CopyPlan plan;
  int64_t first_unit = 0;
  int64_t offset = 0;  // bytes into the output
};

void run_parts(const CopyKernels& kernels, const std::vector<Part>& parts, const Buffers& b, Range range) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const int64_t begin = std::max(range.begin - part.first_unit, int64_t{0});
    const int64_t end = std::min(range.end - part.first_unit, part.plan.units);
    if (begin < end) kernels.run(part.plan, b.inputs[i], b.out<std::byte>() + part.offset, begin, end);
  }
}

Result<TensorTypes> infer_concat(const InferContext& c) {
  if (c.inputs.empty()) return Error{ErrorCode::invalid_model, "a Concat of nothing"};
  TensorType type = c.type(0);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), type.shape.rank()));
  for (int i = 1; i < static_cast<int>(c.inputs.size()); ++i) {
    if (!c.has(i)) return Error{ErrorCode::invalid_model, "input " + std::to_string(i) + " is missing"};
    const TensorType& other = c.type(i);
    bool fits = other.dtype == type.dtype && other.shape.rank() == type.shape.rank();
    for (int d = 0; fits && d < type.shape.rank(); ++d) fits = d == axis || other.shape[d] == type.shape[d];
    if (!fits)
      return Error{ErrorCode::invalid_model,
                   to_string(c.type(0)) + " and " + to_string(other) + " side by side along axis " + std::to_string(axis)};
    if (__builtin_add_overflow(type.shape[axis], other.shape[axis], &type.shape[axis]))
      return Error{ErrorCode::invalid_model, "an impossible Concat"};
  }
  return TensorTypes{type};
}

bool concat_by_sample(const InferContext& c) {
  for (int i = 0; i < static_cast<int>(c.inputs.size()); ++i) {
    if (c.constant(i)) return false;
  }
  return *normalized_axis(c.attributes.integer("axis", 0), c.shape(0).rank()) != 0;
}

Result<std::unique_ptr<Step>> prepare_concat(const PrepareContext& c) {
  const Operand& y = c.out();
  if (bits_of(y.type.dtype) < 8) return Error{ErrorCode::unsupported, "Concat of 4-bit elements"};
  const int axis = *normalized_axis(c.attributes.integer("axis", 0), y.type.shape.rank());
  std::vector<Part> parts;
  int64_t units = 0, at = 0, unit_bytes = 1;
  for (const Operand& x : c.inputs) {
    Part part{plan_copy(x.type.dtype, y.type.dtype, x.type.shape, x.strides, y.strides), units,
              at * y.strides[axis] * bits_of(y.type.dtype) / 8};
    units += part.plan.units;
    at += x.type.shape[axis];
    unit_bytes = std::max(unit_bytes, part.plan.unit_bytes);
    parts.push_back(part);
  }
  const int tasks = task_count(units, static_cast<double>(unit_bytes) * 0.1, c.threads());
  const CopyKernels& kernels = copy_kernels(c.isa);
  auto step = make_step(std::string("concat_") + kernels.isa, tasks, [=, &kernels](const Buffers& b, int task, int) {
    run_parts(kernels, parts, b, task_range(units, tasks, task));
  });
  step->why = "elements move";
  return step;
}

// Of strings.
Result<std::vector<Datum>> compute_concat(const ComputeContext& c) {
  std::vector<Tensor> parts;
  for (const Datum& input : c.inputs) {
    if (!input.tensor()) return Error{ErrorCode::invalid_model, std::string("a Concat of ") + input.kind()};
    parts.push_back(*input.tensor());
  }
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), parts[0].shape().rank()));
  OXPLOW_ASSIGN(Tensor whole, concatenated(parts, axis));
  return std::vector<Datum>{std::move(whole)};
}

}  // namespace

namespace ops {
constinit const OpSpec Concat{.name = "Concat",
                              .infer = infer_concat,
                              .prepare = prepare_concat,
                              .accepts_input = accepts_any,
                              .accepts_output = writes_any,
                              .by_sample = concat_by_sample,
                              .compute = compute_concat};
}  // namespace ops
}  // namespace oxplow
