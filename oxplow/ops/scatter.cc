// Copies of x with some elements replaced, or joined by a reduction ("none", "add", "mul", "max", "min") with what was there:
//   ScatterElements: y[i, indices[i, j, ...], ...] = updates[i, j, ...], the index standing in for the position along the axis.
//   ScatterND:       y[indices[i..., 0], ..., indices[i..., k - 1], ...] = updates[i..., ...].
//   TensorScatter:   rows of `updates` into the cache x from position write_indices[batch] of the axis on ("linear", or "circular").
// Updates of one place are applied in order. In a run an index outside of its axis is clamped.

#include <algorithm>
#include <cstring>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

enum class Join { none, add, mul, max, min };

Result<Join> join_of(const Attributes& attributes) {
  const std::string name = attributes.text("reduction", "none");
  constexpr std::string_view kNames[] = {"none", "add", "mul", "max", "min"};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<Join>(i);
  }
  return Error{ErrorCode::unsupported, "the reduction '" + name + "'"};
}

template <typename T>
T joined(Join join, T old, T update) {
  if constexpr (std::is_same_v<T, bool>) {
    return join == Join::add || join == Join::max ? old || update : join == Join::none ? update : old && update;
  } else if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return T(joined(join, static_cast<float>(old), static_cast<float>(update)));
  } else {
    switch (join) {
      case Join::none: return update;
      case Join::add: return static_cast<T>(old + update);
      case Join::mul: return static_cast<T>(old * update);
      case Join::max: return std::max(old, update);
      case Join::min: return std::min(old, update);
    }
    return update;
  }
}

// Calls f with the type to join in: the elements' own, or where nothing is computed any of their width.
template <typename F>
Result<std::unique_ptr<Step>> visit_join(Join join, DType dtype, std::string_view what, F&& f) {
  return join == Join::none ? visit_width(dtype, what, f) : visit_arithmetic(dtype, what, f);
}

// Phase 0 copies x, phase 1 scatters: body(buffers, task) of `tasks`.
template <typename F>
std::unique_ptr<Step> copy_then(const char* kernel, const PrepareContext& c, int tasks, F body) {
  struct CopyThen final : Step {
    explicit CopyThen(F f) : scatter(std::move(f)) {}
    void run(const Buffers& b, int phase, int task, int) const override {
      if (phase == 1) return scatter(b, task);
      const Range part = task_range(bytes, phase_tasks[0], task);
      std::memcpy(b.out<std::byte>() + part.begin, b.in<std::byte>(0) + part.begin, static_cast<size_t>(part.end - part.begin));
    }
    F scatter;
    int64_t bytes = 0;
  };
  auto step = std::make_unique<CopyThen>(std::move(body));
  step->bytes = static_cast<int64_t>(c.in(0).type.bytes());
  step->phase_tasks = {task_count(step->bytes, 0.1, c.threads()), tasks};
  step->kernel = kernel;
  step->why = "a copy, then the updates in order";
  return step;
}

Result<TensorTypes> infer_scatter_elements(const InferContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), x.rank()));
  OXPLOW_TRY(check_indices(c, 1, x[axis]));
  OXPLOW_ASSIGN([[maybe_unused]] const Join join, join_of(c.attributes));
  bool fits = indices.rank() == x.rank() && c.shape(2) == indices && c.type(2).dtype == c.type(0).dtype;
  for (int d = 0; fits && d < x.rank(); ++d) fits = d == axis || indices[d] <= x[d];
  if (!fits)
    return Error{ErrorCode::invalid_model, "updates " + to_string(c.type(2)) + " at indices of " + to_string(indices) +
                                               " do not lie within " + to_string(c.type(0))};
  return TensorTypes{c.type(0)};
}

// Lines along the axis share no element: they are the units of work.
template <typename T>
std::unique_ptr<Step> scatter_elements(const PrepareContext& c, Join join) {
  const Shape x = c.in(0).type.shape, from = c.in(1).type.shape;
  const int axis = *normalized_axis(c.attributes.integer("axis", 0), x.rank());
  const Dims x_strides = dense_strides(x), strides = dense_strides(from);
  const int64_t length = from[axis], lines = length == 0 ? 0 : elements_of(from) / length;
  const bool wide = c.in(1).type.dtype == DType::i64;
  const int64_t extent = x[axis];
  const int tasks = task_count(lines, static_cast<double>(length) * 3, c.threads());
  return copy_then("scatter_elements", c, tasks, [=](const Buffers& b, int task) {
    if (extent == 0) return;
    const IndexList indices{b.inputs[1], wide};
    const Range range = task_range(lines, tasks, task);
    for (int64_t line = range.begin; line < range.end; ++line) {
      int64_t to_line = 0, from_line = 0;
      for (int64_t d = x.rank() - 1, rest = line; d >= 0; --d) {
        const int i = static_cast<int>(d);
        if (i == axis) continue;
        to_line += rest % from[i] * x_strides[i];
        from_line += rest % from[i] * strides[i];
        rest /= from[i];
      }
      for (int64_t k = 0; k < length; ++k) {
        const int64_t at = from_line + k * strides[axis];
        T& to = b.out<T>()[to_line + index_within(indices[at], extent) * x_strides[axis]];
        to = joined(join, to, b.in<T>(2)[at]);
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_scatter_elements(const PrepareContext& c) {
  const Join join = *join_of(c.attributes);
  return visit_join(join, c.in(0).type.dtype, "ScatterElements",
                    [&](auto t) -> Result<std::unique_ptr<Step>> { return scatter_elements<decltype(t)>(c, join); });
}

Result<TensorTypes> infer_scatter_nd(const InferContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1), &updates = c.shape(2);
  OXPLOW_ASSIGN([[maybe_unused]] const Join join, join_of(c.attributes));
  if (!is_index(c.type(1).dtype)) return Error{ErrorCode::invalid_model, "indices must be i32 or i64"};
  bool fits = !indices.empty() && indices.back() <= x.rank() && c.type(2).dtype == c.type(0).dtype;
  if (fits) {
    const int depth = static_cast<int>(indices.back()), lead = indices.rank() - 1;
    fits = updates.rank() == lead + x.rank() - depth;
    for (int d = 0; fits && d < updates.rank(); ++d) fits = updates[d] == (d < lead ? indices[d] : x[depth + d - lead]);
  }
  if (!fits)
    return Error{ErrorCode::invalid_model, "updates " + to_string(c.type(2)) + " at indices of " + to_string(indices) +
                                               " do not fit into " + to_string(c.type(0))};
  return TensorTypes{c.type(0)};
}

// Slices of several updates may be the same one, so tasks share the elements of a slice, not the slices.
template <typename T>
std::unique_ptr<Step> scatter_nd(const PrepareContext& c, Join join) {
  const Shape x = c.in(0).type.shape, indices = c.in(1).type.shape;
  const int depth = static_cast<int>(indices.back());
  const int64_t updates = product(indices, 0, indices.rank() - 1), slice = product(x, depth, x.rank());
  const bool wide = c.in(1).type.dtype == DType::i64, empty = elements_of(x) == 0;
  const int tasks = task_count(slice, static_cast<double>(updates) * 1, c.threads());
  return copy_then("scatter_nd", c, tasks, [=](const Buffers& b, int task) {
    if (empty) return;
    const IndexList list{b.inputs[1], wide};
    const Range range = task_range(slice, tasks, task);
    for (int64_t u = 0; u < updates; ++u) {
      int64_t at = 0;
      for (int k = 0; k < depth; ++k) at = at * x[k] + index_within(list[u * depth + k], x[k]);
      T* to = b.out<T>() + at * slice;
      const T* from = b.in<T>(2) + u * slice;
      for (int64_t i = range.begin; i < range.end; ++i) to[i] = joined(join, to[i], from[i]);
    }
  });
}

Result<std::unique_ptr<Step>> prepare_scatter_nd(const PrepareContext& c) {
  const Join join = *join_of(c.attributes);
  return visit_join(join, c.in(0).type.dtype, "ScatterND",
                    [&](auto t) -> Result<std::unique_ptr<Step>> { return scatter_nd<decltype(t)>(c, join); });
}

Result<TensorTypes> infer_tensor_scatter(const InferContext& c) {
  const Shape &x = c.shape(0), &update = c.shape(1);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", -2), x.rank()));
  const std::string mode = c.attributes.text("mode", "linear");
  if (mode != "linear" && mode != "circular") return Error{ErrorCode::unsupported, "the mode '" + mode + "'"};
  bool fits = axis > 0 && update.rank() == x.rank() && c.type(1).dtype == c.type(0).dtype;
  for (int d = 0; fits && d < x.rank(); ++d) fits = d == axis ? update[d] <= x[d] : update[d] == x[d];
  if (c.has(2)) fits = fits && is_index(c.type(2).dtype) && c.shape(2) == Shape{x[0]};
  if (!fits)
    return Error{ErrorCode::invalid_model, "an update " + to_string(c.type(1)) + " of a cache " + to_string(c.type(0)) +
                                               " along axis " + std::to_string(axis)};
  return TensorTypes{c.type(0)};
}

Result<std::unique_ptr<Step>> prepare_tensor_scatter(const PrepareContext& c) {
  const Shape x = c.in(0).type.shape, update = c.in(1).type.shape;
  OXPLOW_ASSIGN(const int64_t element, element_bytes(c.in(0).type.dtype, "TensorScatter"));
  const int axis = *normalized_axis(c.attributes.integer("axis", -2), x.rank());
  const bool circular = c.attributes.text("mode", "linear") == "circular", has_indices = c.has(2);
  const bool wide = has_indices && c.in(2).type.dtype == DType::i64;
  const int64_t row = product(x, axis + 1, x.rank()) * element, of_batch = product(x, 1, axis);
  const int64_t extent = x[axis], length = update[axis], lines = product(x, 0, axis);
  const int tasks = task_count(lines, static_cast<double>(row * length) * 0.1, c.threads());
  return copy_then("tensor_scatter", c, tasks, [=](const Buffers& b, int task) {
    const Range range = task_range(lines, tasks, task);
    for (int64_t line = range.begin; line < range.end; ++line) {
      const int64_t given = has_indices ? IndexList{b.inputs[2], wide}[line / of_batch] : 0;
      const int64_t start =
          circular && extent > 0 ? (given % extent + extent) % extent : std::clamp<int64_t>(given, 0, extent - length);
      for (int64_t s = 0; s < length; ++s) {
        std::memcpy(b.out<std::byte>() + (line * extent + (start + s) % extent) * row,
                    b.in<std::byte>(1) + (line * length + s) * row, static_cast<size_t>(row));
      }
    }
  });
}

}  // namespace

namespace ops {
constinit const OpSpec ScatterElements{
    .name = "ScatterElements", .infer = infer_scatter_elements, .prepare = prepare_scatter_elements, .required_inputs = 3};
constinit const OpSpec ScatterND{
    .name = "ScatterND", .infer = infer_scatter_nd, .prepare = prepare_scatter_nd, .required_inputs = 3};
constinit const OpSpec TensorScatter{
    .name = "TensorScatter", .infer = infer_tensor_scatter, .prepare = prepare_tensor_scatter, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
