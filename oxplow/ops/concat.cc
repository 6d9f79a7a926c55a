// Concat: inputs side by side along an axis. Pad: a tensor with a frame of one value.

#include <algorithm>

#include "oxplow/kernels/copy/copy.h"
#include "oxplow/ops/op.h"
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

struct Frame {
  Dims before;
  Shape shape;
};

Result<Frame> frame(const InferContext& c) {
  const Shape& x = c.shape(0);
  OXPLOW_ASSIGN(auto pads, c.integers(1, "pads"));
  std::vector<int64_t> axes;
  if (c.has(3)) {
    OXPLOW_ASSIGN(axes, c.integers(3, "axes"));
  } else {
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  }
  if (pads.size() != 2 * axes.size()) return Error{ErrorCode::invalid_model, "pads do not name a begin and an end for each axis"};
  if (c.attributes.text("mode", "constant") != "constant")
    return Error{ErrorCode::unsupported, "Pad in mode " + c.attributes.text("mode", "")};
  Frame f{Dims::filled(x.rank(), 0), x};
  for (size_t i = 0; i < axes.size(); ++i) {
    OXPLOW_ASSIGN(const int axis, normalized_axis(axes[i], x.rank()));
    const int64_t begin = pads[i], end = pads[i + axes.size()];
    constexpr int64_t kLimit = int64_t{1} << 40;
    if (begin > kLimit || end > kLimit || begin < -x[axis] || end < -x[axis] || x[axis] + begin + end < 0)
      return Error{ErrorCode::invalid_model, "impossible pads"};
    f.before[axis] = begin;
    f.shape[axis] = x[axis] + begin + end;
  }
  return f;
}

Result<TensorTypes> infer_pad(const InferContext& c) {
  OXPLOW_ASSIGN(const Frame f, frame(c));
  if (c.has(2) && (c.type(2).dtype != c.type(0).dtype || c.type(2).elements() != 1)) {
    return Error{ErrorCode::invalid_model, "Pad wants one value of the input's type, not " + to_string(c.type(2))};
  }
  return TensorTypes{{c.type(0).dtype, f.shape}};
}

Result<std::unique_ptr<Step>> prepare_pad(const PrepareContext& c) {
  const Operand &x = c.in(0), &y = c.out();
  if (bits_of(y.type.dtype) < 8) return Error{ErrorCode::unsupported, "Pad of 4-bit elements"};
  OXPLOW_ASSIGN(const Frame f, frame(c.infer()));
  // Negative pads crop: the part of the input that stays.
  Shape inside = x.type.shape;
  int64_t from = 0, to = 0;
  for (int d = 0; d < inside.rank(); ++d) {
    const int64_t crop = std::max<int64_t>(-f.before[d], 0);
    inside[d] = std::min(x.type.shape[d] - crop, y.type.shape[d] - std::max<int64_t>(f.before[d], 0));
    inside[d] = std::max<int64_t>(inside[d], 0);
    from += crop * x.strides[d];
    to += std::max<int64_t>(f.before[d], 0) * y.strides[d];
  }
  const int64_t element = bits_of(y.type.dtype) / 8;
  const CopyPlan fill = plan_copy(y.type.dtype, y.type.dtype, y.type.shape, Dims::filled(y.type.shape.rank(), 0), y.strides);
  const CopyPlan copy = plan_copy(y.type.dtype, y.type.dtype, inside, x.strides, y.strides);
  const bool has_value = c.has(2);
  const CopyKernels& kernels = copy_kernels(c.isa);
  struct PadStep final : Step {
    std::function<void(const Buffers&, int phase, int task)> body;
    void run(const Buffers& b, int phase, int task, int) const override { body(b, phase, task); }
  };
  const auto tasks_of = [&](const CopyPlan& plan) {
    return task_count(plan.units, static_cast<double>(plan.unit_bytes) * 0.1, c.threads());
  };
  const int fills = tasks_of(fill), copies = tasks_of(copy);
  auto step = std::make_unique<PadStep>();
  step->body = [=, &kernels](const Buffers& b, int phase, int task) {
    constexpr int64_t kZero = 0;
    if (phase == 0) {
      const Range part = task_range(fill.units, fills, task);
      kernels.run(fill, has_value ? b.inputs[2] : &kZero, b.outputs[0], part.begin, part.end);
    } else {
      const Range part = task_range(copy.units, copies, task);
      kernels.run(copy, b.in<std::byte>(0) + from * element, b.out<std::byte>() + to * element, part.begin, part.end);
    }
  };
  step->phase_tasks = {fills, copies};
  step->kernel = std::string("pad_") + kernels.isa;
  step->why = "fill, then the inside";
  return std::unique_ptr<Step>(std::move(step));
}

bool pad_accepts(const PrepareContext&, int i) { return i == 0; }

}  // namespace

namespace ops {
constinit const OpSpec Concat{.name = "Concat",
                              .infer = infer_concat,
                              .prepare = prepare_concat,
                              .accepts_input = accepts_any,
                              .accepts_output = writes_any,
                              .by_sample = concat_by_sample};
constinit const OpSpec Pad{.name = "Pad",
                           .infer = infer_pad,
                           .prepare = prepare_pad,
                           .accepts_input = pad_accepts,
                           .accepts_output = writes_any,
                           .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
