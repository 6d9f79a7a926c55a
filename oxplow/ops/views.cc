// Ops that rename elements and compute nothing: a window into the input's memory where the readers can do with it, else a copy.

#include <algorithm>
#include <numeric>

#include "oxplow/ops/op.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

TensorTypes one(DType dtype, Shape shape) { return {{dtype, std::move(shape)}}; }

// Strides that show a tensor lying as `from` says under other extents of the same order, if there are any.
std::optional<Dims> reshaped_strides(const Operand& from, const Shape& to) {
  Dims result = Dims::filled(to.rank(), 0);
  if (elements_of(to) == 0) return dense_strides(to);
  const Shape& shape = from.type.shape;
  int i = 0, j = 0;
  while (i < shape.rank() || j < to.rank()) {
    // The shortest runs of axes on both sides with the same product.
    const int first_i = i, first_j = j;
    int64_t left = i < shape.rank() ? shape[i++] : 1, right = j < to.rank() ? to[j++] : 1;
    while (left != right) {
      if (left < right) {
        left *= shape[i++];
      } else {
        right *= to[j++];
      }
    }
    int64_t stride = 0, expected = 0;
    bool started = false;
    for (int k = i - 1; k >= first_i; --k) {
      if (shape[k] == 1) continue;
      if (!started) {
        stride = expected = from.strides[k];
        started = true;
      }
      if (from.strides[k] != expected) return std::nullopt;
      expected = from.strides[k] * shape[k];
    }
    if (!started) stride = 1;
    for (int k = j - 1; k >= first_j; --k) {
      result[k] = stride;
      stride *= to[k];
    }
  }
  return result;
}

std::optional<View> view_same_order(const InferContext& c, const Shape& result, int) {
  auto strides = reshaped_strides(c.inputs[0], result);
  if (!strides) return std::nullopt;
  return View{*strides, 0};
}

Result<TensorTypes> infer_identity(const InferContext& c) { return TensorTypes{c.type(0)}; }

Result<TensorTypes> infer_reshape(const InferContext& c) {
  OXPLOW_ASSIGN(auto target, c.integers(1, "the new shape"));
  const Shape& from = c.shape(0);
  const bool zero_is_zero = c.attributes.integer("allowzero", 0) != 0;
  if (target.size() > static_cast<size_t>(kMaxRank)) return Error{ErrorCode::unsupported, "more than 10 axes"};
  Shape to;
  int unknown = -1;
  int64_t known = 1;
  for (size_t i = 0; i < target.size(); ++i) {
    int64_t extent = target[i];
    if (extent == 0 && !zero_is_zero) {
      if (static_cast<int>(i) >= from.rank())
        return Error{ErrorCode::invalid_model, "extent 0 copies an axis that the input does not have"};
      extent = from[static_cast<int>(i)];
    }
    if (extent == -1) {
      if (unknown >= 0) return Error{ErrorCode::invalid_model, "two extents of the new shape are -1"};
      unknown = static_cast<int>(i);
      extent = 1;
    }
    if (extent < 0 || __builtin_mul_overflow(known, extent, &known))
      return Error{ErrorCode::invalid_model, "impossible extent in the new shape"};
    to.push_back(extent);
  }
  const int64_t count = elements_of(from);
  if (unknown >= 0) {
    if (known == 0 || count % known != 0)
      return Error{ErrorCode::invalid_model, "cannot reshape " + to_string(from) + ": -1 has no whole value"};
    to[unknown] = count / known;
  } else if (known != count) {
    return Error{ErrorCode::invalid_model,
                 "cannot reshape " + to_string(from) + " to " + to_string(to) + ": the number of elements differs"};
  }
  return one(c.type(0).dtype, to);
}

Result<TensorTypes> infer_flatten(const InferContext& c) {
  const Shape& from = c.shape(0);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 1), from.rank(), true));
  return one(c.type(0).dtype, Shape{product(from, 0, axis), product(from, axis, from.rank())});
}

Result<TensorTypes> infer_squeeze(const InferContext& c) {
  const Shape& from = c.shape(0);
  Shape to;
  std::vector<bool> drop(from.size(), false);
  if (c.has(1)) {
    OXPLOW_ASSIGN(auto axes, c.integers(1, "axes"));
    for (int64_t a : axes) {
      OXPLOW_ASSIGN(const int axis, normalized_axis(a, from.rank()));
      if (from[axis] != 1)
        return Error{ErrorCode::invalid_model, "axis " + std::to_string(axis) + " of " + to_string(from) + " is not 1"};
      drop[static_cast<size_t>(axis)] = true;
    }
  } else {
    for (int i = 0; i < from.rank(); ++i) drop[static_cast<size_t>(i)] = from[i] == 1;
  }
  for (int i = 0; i < from.rank(); ++i) {
    if (!drop[static_cast<size_t>(i)]) to.push_back(from[i]);
  }
  return one(c.type(0).dtype, to);
}

Result<TensorTypes> infer_unsqueeze(const InferContext& c) {
  OXPLOW_ASSIGN(auto axes, c.integers(1, "axes"));
  const int rank = c.shape(0).rank() + static_cast<int>(axes.size());
  if (rank > kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
  std::vector<int> places;
  for (int64_t a : axes) {
    OXPLOW_ASSIGN(const int axis, normalized_axis(a, rank));
    places.push_back(axis);
  }
  std::sort(places.begin(), places.end());
  if (std::adjacent_find(places.begin(), places.end()) != places.end())
    return Error{ErrorCode::invalid_model, "an axis is given twice"};
  Shape to = c.shape(0);
  for (int axis : places) to.insert(axis, 1);
  return one(c.type(0).dtype, to);
}

Result<std::vector<int>> permutation(const InferContext& c) {
  const int rank = c.shape(0).rank();
  std::vector<int64_t> given = c.attributes.integers("perm");
  if (given.empty()) {
    for (int i = rank - 1; i >= 0; --i) given.push_back(i);
  }
  std::vector<int> perm;
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (int64_t axis : given) {
    if (axis < 0 || axis >= rank || seen[static_cast<size_t>(axis)]) break;
    seen[static_cast<size_t>(axis)] = true;
    perm.push_back(static_cast<int>(axis));
  }
  if (static_cast<int>(perm.size()) != rank || static_cast<int>(given.size()) != rank) {
    return Error{ErrorCode::invalid_model, "perm does not name each of the " + std::to_string(rank) + " axes once"};
  }
  return perm;
}

Result<TensorTypes> infer_transpose(const InferContext& c) {
  OXPLOW_ASSIGN(auto perm, permutation(c));
  Shape to;
  for (int axis : perm) to.push_back(c.shape(0)[axis]);
  return one(c.type(0).dtype, to);
}

std::optional<View> view_transpose(const InferContext& c, const Shape&, int) {
  auto perm = permutation(c);
  View view;
  for (int axis : *perm) view.strides.push_back(c.inputs[0].strides[axis]);
  return view;
}

// One axis of a Slice: elements start, start + step, ... (count of them).
struct AxisSlice {
  int64_t start = 0, step = 1, count = 0;
};

Result<std::vector<AxisSlice>> slices(const InferContext& c) {
  const Shape& from = c.shape(0);
  std::vector<AxisSlice> result;
  for (int64_t extent : from) result.push_back({0, 1, extent});
  OXPLOW_ASSIGN(auto starts, c.integers(1, "starts"));
  OXPLOW_ASSIGN(auto ends, c.integers(2, "ends"));
  std::vector<int64_t> axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (c.has(3)) {
    OXPLOW_ASSIGN(axes, c.integers(3, "axes"));
  }
  if (c.has(4)) {
    OXPLOW_ASSIGN(steps, c.integers(4, "steps"));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    return Error{ErrorCode::invalid_model, "starts, ends, axes and steps differ in length"};
  }
  for (size_t i = 0; i < starts.size(); ++i) {
    OXPLOW_ASSIGN(const int axis, normalized_axis(axes[i], from.rank()));
    const int64_t n = from[axis], step = steps[i];
    if (step == 0) return Error{ErrorCode::invalid_model, "a slice of step 0"};
    if (n == 0) continue;
    int64_t start = starts[i] < 0 ? starts[i] + n : starts[i];
    int64_t end = ends[i] < 0 ? (ends[i] < -n - 1 ? -1 : ends[i] + n) : ends[i];
    start = std::clamp<int64_t>(start, 0, step > 0 ? n : n - 1);
    end = std::clamp<int64_t>(end, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
    const int64_t span = step > 0 ? end - start : start - end;
    const int64_t stride = step > 0 ? step : -std::max<int64_t>(step, -(int64_t{1} << 62));
    result[static_cast<size_t>(axis)] = {start, step, span <= 0 ? 0 : (span - 1) / stride + 1};
  }
  return result;
}

Result<TensorTypes> infer_slice(const InferContext& c) {
  OXPLOW_ASSIGN(auto parts, slices(c));
  Shape to;
  for (const AxisSlice& part : parts) to.push_back(part.count);
  return one(c.type(0).dtype, to);
}

std::optional<View> view_slice(const InferContext& c, const Shape& result, int) {
  auto parts = slices(c);
  View view;
  const bool empty = elements_of(result) == 0;
  for (int i = 0; i < result.rank(); ++i) {
    const AxisSlice& part = (*parts)[static_cast<size_t>(i)];
    view.strides.push_back(result[i] <= 1 ? c.inputs[0].strides[i] : c.inputs[0].strides[i] * part.step);
    if (!empty) view.offset += c.inputs[0].strides[i] * part.start;
  }
  return view;
}

Result<std::vector<int64_t>> split_sizes(const InferContext& c, int axis) {
  const int64_t n = c.shape(0)[axis];
  if (c.has(1)) {
    OXPLOW_ASSIGN(auto sizes, c.integers(1, "split"));
    int64_t sum = 0;
    for (int64_t size : sizes) {
      if (size < 0 || size > n) return Error{ErrorCode::invalid_model, "a part of a Split has an impossible size"};
      sum += size;
    }
    if (sum != n || static_cast<int>(sizes.size()) != c.outputs) {
      return Error{ErrorCode::invalid_model, "the parts of a Split do not make up the axis of " + std::to_string(n)};
    }
    return sizes;
  }
  const int64_t parts = c.attributes.integer("num_outputs", c.outputs);
  if (parts != c.outputs || parts <= 0) return Error{ErrorCode::invalid_model, "num_outputs differs from the number of outputs"};
  const int64_t size = (n + parts - 1) / parts;
  std::vector<int64_t> sizes(static_cast<size_t>(parts), size);
  sizes.back() = n - size * (parts - 1);
  if (sizes.back() < 0) return Error{ErrorCode::invalid_model, "more parts than elements"};
  return sizes;
}

Result<TensorTypes> infer_split(const InferContext& c) {
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), c.shape(0).rank()));
  OXPLOW_ASSIGN(auto sizes, split_sizes(c, axis));
  TensorTypes types;
  for (int64_t size : sizes) {
    types.push_back(c.type(0));
    types.back().shape[axis] = size;
  }
  return types;
}

std::optional<View> view_split(const InferContext& c, const Shape&, int output) {
  const int axis = *normalized_axis(c.attributes.integer("axis", 0), c.shape(0).rank());
  auto sizes = split_sizes(c, axis);
  View view{c.inputs[0].strides, 0};
  for (int i = 0; i < output; ++i) view.offset += (*sizes)[static_cast<size_t>(i)] * c.inputs[0].strides[axis];
  return view;
}

bool transpose_by_sample(const InferContext& c) { return permutation(c)->front() == 0; }
bool split_by_sample(const InferContext& c) { return *normalized_axis(c.attributes.integer("axis", 0), c.shape(0).rank()) != 0; }

Result<TensorTypes> infer_expand(const InferContext& c) {
  OXPLOW_ASSIGN(auto target, c.integers(1, "the shape"));
  if (target.size() > static_cast<size_t>(kMaxRank)) return Error{ErrorCode::unsupported, "more than 10 axes"};
  for (int64_t extent : target) {
    if (extent < 0) return Error{ErrorCode::invalid_model, "negative extent in the shape"};
  }
  OXPLOW_ASSIGN(Shape to, broadcast(c.shape(0), Shape(std::span<const int64_t>(target))));
  return one(c.type(0).dtype, to);
}

std::optional<View> view_expand(const InferContext& c, const Shape& result, int) {
  return View{broadcast_strides(c.inputs[0], result), 0};
}

// Of sequences and maps.
Result<std::vector<Datum>> compute_identity(const ComputeContext& c) { return std::vector<Datum>{c.in(0)}; }

}  // namespace

namespace ops {
constinit const OpSpec Identity{.name = "Identity",
                                .infer = infer_identity,
                                .view = view_same_order,
                                .by_sample = samples_apart,
                                .compute = compute_identity,
                                .strings = true};
constinit const OpSpec Reshape{.name = "Reshape",
                               .infer = infer_reshape,
                               .view = view_same_order,
                               .required_inputs = 2,
                               .by_sample = samples_apart,
                               .strings = true};
constinit const OpSpec Flatten{
    .name = "Flatten", .infer = infer_flatten, .view = view_same_order, .by_sample = samples_apart, .strings = true};
constinit const OpSpec Squeeze{
    .name = "Squeeze", .infer = infer_squeeze, .view = view_same_order, .by_sample = samples_apart, .strings = true};
constinit const OpSpec Unsqueeze{.name = "Unsqueeze",
                                 .infer = infer_unsqueeze,
                                 .view = view_same_order,
                                 .required_inputs = 2,
                                 .by_sample = samples_apart,
                                 .strings = true};
constinit const OpSpec Transpose{
    .name = "Transpose", .infer = infer_transpose, .view = view_transpose, .by_sample = transpose_by_sample, .strings = true};
constinit const OpSpec Slice{.name = "Slice", .infer = infer_slice, .view = view_slice, .required_inputs = 3, .strings = true};
constinit const OpSpec Split{
    .name = "Split", .infer = infer_split, .view = view_split, .by_sample = split_by_sample, .strings = true};
constinit const OpSpec Expand{
    .name = "Expand", .infer = infer_expand, .view = view_expand, .required_inputs = 2, .strings = true};
}  // namespace ops
}  // namespace oxplow
