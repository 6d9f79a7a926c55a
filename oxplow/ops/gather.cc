// Gather:         y[..., i..., ...] = x[..., indices[i...], ...] along one axis.
// GatherElements: y[i, j, ...] = x[i, indices[i, j, ...], ...], the index standing in for the position along the axis.
// GatherND:       y[b..., i..., ...] = x[b..., indices[b..., i..., 0], ..., indices[b..., i..., k - 1], ...], batch_dims axes b.
// Indices may be negative; in a run an index outside of the axis is clamped.

#include <algorithm>
#include <cstring>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_gather(const InferContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), x.rank()));
  OXPLOW_TRY(check_indices(c, 1, x[axis]));
  if (x.rank() + indices.rank() - 1 > kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
  Shape to;
  for (int i = 0; i < axis; ++i) to.push_back(x[i]);
  for (int64_t extent : indices) to.push_back(extent);
  for (int i = axis + 1; i < x.rank(); ++i) to.push_back(x[i]);
  return TensorTypes{{c.type(0).dtype, to}};
}

Result<std::unique_ptr<Step>> prepare_gather(const PrepareContext& c) {
  const TensorType& x = c.in(0).type;
  OXPLOW_ASSIGN(const int64_t element, element_bytes(x.dtype, "Gather"));
  const int axis = *normalized_axis(c.attributes.integer("axis", 0), x.shape.rank());
  const int64_t outer = product(x.shape, 0, axis), extent = x.shape[axis], count = c.in(1).type.elements();
  const auto run = static_cast<size_t>(product(x.shape, axis + 1, x.shape.rank()) * element);
  const bool wide = c.in(1).type.dtype == DType::i64;
  const int64_t units = outer * count;
  const int tasks = task_count(units, static_cast<double>(run) * 0.1 + 5, c.threads());
  auto step = make_step("gather", tasks, [=](const Buffers& b, int task, int) {
    if (extent == 0) return;
    const IndexList indices{b.inputs[1], wide};
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      const int64_t index = index_within(indices[u % count], extent);
      std::memcpy(b.out<std::byte>() + static_cast<size_t>(u) * run,
                  b.in<std::byte>(0) + static_cast<size_t>(u / count * extent + index) * run, run);
    }
  });
  step->why = "rows by index";
  return step;
}

Result<TensorTypes> infer_gather_elements(const InferContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), x.rank()));
  OXPLOW_TRY(check_indices(c, 1, x[axis]));
  bool fits = indices.rank() == x.rank();
  for (int d = 0; fits && d < x.rank(); ++d) fits = d == axis || indices[d] <= x[d];
  if (!fits) return Error{ErrorCode::invalid_model, "indices of " + to_string(indices) + " do not lie within " + to_string(x)};
  return TensorTypes{{c.type(0).dtype, indices}};
}

template <typename T>
std::unique_ptr<Step> gather_elements(const PrepareContext& c) {
  const Shape x = c.in(0).type.shape, to = c.in(1).type.shape;
  const int axis = *normalized_axis(c.attributes.integer("axis", 0), x.rank());
  const Dims strides = dense_strides(x);
  const int64_t columns = to.back(), rows = columns == 0 ? 0 : elements_of(to) / columns;
  const bool wide = c.in(1).type.dtype == DType::i64, along_row = axis == x.rank() - 1;
  const int tasks = task_count(rows, static_cast<double>(columns) * 2, c.threads());
  return make_step("gather_elements", tasks, [=](const Buffers& b, int task, int) {
    const IndexList indices{b.inputs[1], wide};
    const Range range = task_range(rows, tasks, task);
    if (x[axis] == 0) return;
    for (int64_t row = range.begin; row < range.end; ++row) {
      const T* from = b.in<T>(0);
      for (int64_t d = to.rank() - 2, rest = row; d >= 0; rest /= to[static_cast<int>(d)], --d) {
        if (d != axis) from += rest % to[static_cast<int>(d)] * strides[static_cast<int>(d)];
      }
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t index = index_within(indices[row * columns + j], x[axis]);
        b.out<T>()[row * columns + j] = from[index * strides[axis] + (along_row ? 0 : j)];
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_gather_elements(const PrepareContext& c) {
  return visit_width(c.in(0).type.dtype, "GatherElements", [&](auto t) -> Result<std::unique_ptr<Step>> {
    auto step = gather_elements<decltype(t)>(c);
    step->why = "elements by index";
    return step;
  });
}

Result<TensorTypes> infer_gather_nd(const InferContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  const int64_t batch_dims = c.attributes.integer("batch_dims", 0);
  if (!is_index(c.type(1).dtype)) return Error{ErrorCode::invalid_model, "indices must be i32 or i64"};
  if (indices.empty() || batch_dims < 0 || batch_dims >= std::min(x.rank(), indices.rank()) || indices.back() < 1 ||
      batch_dims + indices.back() > x.rank()) {
    return Error{ErrorCode::invalid_model, "indices of " + to_string(indices) + " into " + to_string(x) + " after " +
                                               std::to_string(batch_dims) + " batch axes"};
  }
  Shape to;
  for (int d = 0; d < indices.rank() - 1; ++d) {
    if (d < batch_dims && indices[d] != x[d])
      return Error{ErrorCode::invalid_model, "the batch axes of " + to_string(indices) + " and " + to_string(x) + " differ"};
    to.push_back(indices[d]);
  }
  for (int d = static_cast<int>(batch_dims + indices.back()); d < x.rank(); ++d) {
    if (to.rank() == kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
    to.push_back(x[d]);
  }
  return TensorTypes{{c.type(0).dtype, to}};
}

Result<std::unique_ptr<Step>> prepare_gather_nd(const PrepareContext& c) {
  const Shape x = c.in(0).type.shape, indices = c.in(1).type.shape;
  OXPLOW_ASSIGN(const int64_t element, element_bytes(c.in(0).type.dtype, "GatherND"));
  const int batch_dims = static_cast<int>(c.attributes.integer("batch_dims", 0)), depth = static_cast<int>(indices.back());
  const int64_t batches = product(x, 0, batch_dims), units = product(indices, 0, indices.rank() - 1);
  const int64_t of_batch = batches == 0 ? 0 : units / batches;
  const int64_t slice = product(x, batch_dims + depth, x.rank()) * element;
  const bool wide = c.in(1).type.dtype == DType::i64;
  const bool empty = c.out().type.elements() == 0 || c.in(0).type.elements() == 0;
  const int tasks = task_count(units, static_cast<double>(slice) * 0.1 + 5, c.threads());
  auto step = make_step("gather_nd", tasks, [=](const Buffers& b, int task, int) {
    if (empty) return;
    const IndexList list{b.inputs[1], wide};
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      int64_t at = u / of_batch;
      for (int k = 0; k < depth; ++k) at = at * x[batch_dims + k] + index_within(list[u * depth + k], x[batch_dims + k]);
      std::memcpy(b.out<std::byte>() + u * slice, b.in<std::byte>(0) + at * slice, static_cast<size_t>(slice));
    }
  });
  step->why = "slices by index";
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec Gather{
    .name = "Gather", .infer = infer_gather, .prepare = prepare_gather, .required_inputs = 2, .strings = true};
constinit const OpSpec GatherElements{
    .name = "GatherElements", .infer = infer_gather_elements, .prepare = prepare_gather_elements, .required_inputs = 2};
constinit const OpSpec GatherND{.name = "GatherND", .infer = infer_gather_nd, .prepare = prepare_gather_nd, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
