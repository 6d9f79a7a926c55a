// Pad:           a tensor in a frame: of one value ("constant", input 2), of the nearest element ("edge"), of the tensor mirrored at its
//                border elements ("reflect") or of the tensor repeated ("wrap"). Negative pads crop.
// CenterCropPad: crops or pads with zeros to the extents of input 1, keeping the center.

#include <algorithm>
#include <cstring>

#include "oxplow/kernels/copy/copy.h"
#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// Where the input lies: output index i along axis d is input index i - before[d].
struct Frame {
  Dims before;
  Shape shape;
};

enum class PadMode { constant, edge, reflect, wrap };

Result<PadMode> pad_mode(const Attributes& attributes) {
  const std::string name = attributes.text("mode", "constant");
  constexpr std::string_view kNames[] = {"constant", "edge", "reflect", "wrap"};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<PadMode>(i);
  }
  return Error{ErrorCode::unsupported, "Pad in mode " + name};
}

// `given` counted from the front, each named once.
Result<std::vector<int>> framed_axes(const InferContext& c, const std::vector<int64_t>& given) {
  const int rank = c.shape(0).rank();
  std::vector<int> axes;
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (int64_t a : given) {
    OXPLOW_ASSIGN(const int axis, normalized_axis(a, rank));
    if (seen[static_cast<size_t>(axis)]) return Error{ErrorCode::invalid_model, "an axis is given twice"};
    seen[static_cast<size_t>(axis)] = true;
    axes.push_back(axis);
  }
  return axes;
}

std::vector<int64_t> all_axes(int rank) {
  std::vector<int64_t> axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

Result<Frame> pad_frame(const InferContext& c) {
  const Shape& x = c.shape(0);
  OXPLOW_ASSIGN(const auto pads, c.integers(1, "pads"));
  std::vector<int64_t> given = all_axes(x.rank());
  if (c.has(3)) {
    OXPLOW_ASSIGN(given, c.integers(3, "axes"));
  }
  if (pads.size() != 2 * given.size())
    return Error{ErrorCode::invalid_model, "pads do not name a begin and an end for each axis"};
  OXPLOW_ASSIGN(const auto axes, framed_axes(c, given));
  OXPLOW_ASSIGN(const PadMode mode, pad_mode(c.attributes));
  Frame f{Dims::filled(x.rank(), 0), x};
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = axes[i];
    const int64_t begin = pads[i], end = pads[i + axes.size()];
    constexpr int64_t kLimit = int64_t{1} << 40;
    if (begin > kLimit || end > kLimit || begin < -x[axis] || end < -x[axis] || x[axis] + begin + end < 0)
      return Error{ErrorCode::invalid_model, "impossible pads"};
    if (mode != PadMode::constant && x[axis] == 0 && begin + end > 0)
      return Error{ErrorCode::invalid_model, "an axis without elements has nothing to pad with"};
    f.before[axis] = begin;
    f.shape[axis] = x[axis] + begin + end;
  }
  return f;
}

Result<TensorTypes> infer_pad(const InferContext& c) {
  OXPLOW_ASSIGN(const Frame f, pad_frame(c));
  if (c.has(2) && (c.type(2).dtype != c.type(0).dtype || c.type(2).elements() != 1)) {
    return Error{ErrorCode::invalid_model, "Pad wants one value of the input's type, not " + to_string(c.type(2))};
  }
  return TensorTypes{{c.type(0).dtype, f.shape}};
}

Result<Frame> center_frame(const InferContext& c) {
  const Shape& x = c.shape(0);
  OXPLOW_ASSIGN(const auto extents, c.integers(1, "the shape"));
  OXPLOW_ASSIGN(const auto axes, framed_axes(c, c.attributes.has("axes") ? c.attributes.integers("axes") : all_axes(x.rank())));
  if (extents.size() != axes.size()) return Error{ErrorCode::invalid_model, "the shape does not name an extent for each axis"};
  Frame f{Dims::filled(x.rank(), 0), x};
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t from = x[axes[i]], to = extents[i];
    if (to < 0 || to > int64_t{1} << 40) return Error{ErrorCode::invalid_model, "impossible extent " + std::to_string(to)};
    f.before[axes[i]] = to < from ? -((from - to) / 2) : (to - from) / 2;
    f.shape[axes[i]] = to;
  }
  return f;
}

Result<TensorTypes> infer_center_crop_pad(const InferContext& c) {
  OXPLOW_ASSIGN(const Frame f, center_frame(c));
  return TensorTypes{{c.type(0).dtype, f.shape}};
}

// Fills with one value (input 2, or zeros), then copies what of the input is inside.
Result<std::unique_ptr<Step>> prepare_constant(const PrepareContext& c, const Frame& f, bool has_value) {
  const Operand &x = c.in(0), &y = c.out();
  Shape inside = x.type.shape;
  int64_t from = 0, to = 0;
  for (int d = 0; d < inside.rank(); ++d) {
    const int64_t crop = std::max<int64_t>(-f.before[d], 0);
    inside[d] = std::min(x.type.shape[d] - crop, y.type.shape[d] - std::max<int64_t>(f.before[d], 0));
    inside[d] = std::max<int64_t>(inside[d], 0);
    from += crop * x.strides[d];
    to += std::max<int64_t>(f.before[d], 0) * y.strides[d];
  }
  OXPLOW_ASSIGN(const int64_t element, element_bytes(y.type.dtype, "Pad"));
  const CopyPlan fill = plan_copy(y.type.dtype, y.type.dtype, y.type.shape, Dims::filled(y.type.shape.rank(), 0), y.strides);
  const CopyPlan copy = plan_copy(y.type.dtype, y.type.dtype, inside, x.strides, y.strides);
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

// The input index that output index i + before shows along an axis of n > 0.
int64_t shown(PadMode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (mode == PadMode::edge) return i < 0 ? 0 : n - 1;
  const int64_t period = mode == PadMode::wrap ? n : std::max<int64_t>(2 * (n - 1), 1);
  const int64_t folded = (i % period + period) % period;
  return folded < n ? folded : period - folded;
}

// Row by row: each shows one row of the input, its inside in one piece.
template <typename T>
std::unique_ptr<Step> pad_by_index(const PrepareContext& c, const Frame& f, PadMode mode) {
  const Operand &x = c.in(0), &y = c.out();
  const Shape from = x.type.shape, to = y.type.shape;
  const Dims from_strides = x.strides, to_strides = y.strides;
  const int last = to.rank() - 1;
  const int64_t columns = to[last], rows = columns == 0 ? 0 : elements_of(to) / columns;
  const int tasks = task_count(rows, static_cast<double>(columns) * 1, c.threads());
  auto step = make_step("pad_by_index", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(rows, tasks, task);
    for (int64_t row = range.begin; row < range.end; ++row) {
      const T* in = b.in<T>(0);
      T* out = b.out<T>();
      int64_t rest = row;
      for (int d = last - 1; d >= 0; --d) {
        const int64_t i = rest % to[d];
        rest /= to[d];
        in += shown(mode, i - f.before[d], from[d]) * from_strides[d];
        out += i * to_strides[d];
      }
      for (int64_t j = 0; j < columns; ++j)
        out[j * to_strides[last]] = in[shown(mode, j - f.before[last], from[last]) * from_strides[last]];
    }
  });
  step->why = "each element knows its source";
  return step;
}

Result<std::unique_ptr<Step>> prepare_pad(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Frame f, pad_frame(c.infer()));
  OXPLOW_ASSIGN(const PadMode mode, pad_mode(c.attributes));
  if (mode == PadMode::constant || f.shape.empty()) return prepare_constant(c, f, c.has(2));
  return visit_width(c.in(0).type.dtype, "Pad",
                     [&](auto t) -> Result<std::unique_ptr<Step>> { return pad_by_index<decltype(t)>(c, f, mode); });
}

Result<std::unique_ptr<Step>> prepare_center_crop_pad(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Frame f, center_frame(c.infer()));
  return prepare_constant(c, f, false);
}

bool pad_accepts(const PrepareContext&, int i) { return i == 0; }

}  // namespace

namespace ops {
constinit const OpSpec Pad{.name = "Pad",
                           .infer = infer_pad,
                           .prepare = prepare_pad,
                           .accepts_input = pad_accepts,
                           .accepts_output = writes_any,
                           .required_inputs = 2};
constinit const OpSpec CenterCropPad{.name = "CenterCropPad",
                                     .infer = infer_center_crop_pad,
                                     .prepare = prepare_center_crop_pad,
                                     .accepts_input = pad_accepts,
                                     .accepts_output = writes_any,
                                     .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
