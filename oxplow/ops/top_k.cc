// TopK: the k largest (or smallest) elements along an axis, in order, and their positions; of equal ones the first counts. NaN is
// larger than any number. k is input 1.

#include <algorithm>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_top_k(const InferContext& c) {
  const Shape& x = c.shape(0);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", -1), x.rank()));
  OXPLOW_ASSIGN(const auto k, c.integers(1, "k"));
  if (k.size() != 1 || k[0] < 0 || k[0] > x[axis])
    return Error{ErrorCode::invalid_model,
                 "k of a TopK must be one number, from 0 to the axis' extent " + std::to_string(x[axis])};
  Shape to = x;
  to[axis] = k[0];
  return TensorTypes{{c.type(0).dtype, to}, {DType::i64, to}};
}

// A strict order of all values, NaN last.
template <typename T>
bool less(T a, T b) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return less(static_cast<float>(a), static_cast<float>(b));
  } else if constexpr (std::is_floating_point_v<T>) {
    return a < b || (a == a && b != b);
  } else {
    return a < b;
  }
}

// A line along the axis: its elements lie `stride` apart.
template <typename T>
void top_of_line(const T* x, int64_t stride, int64_t extent, int64_t k, bool largest, int64_t* order, T* values,
                 int64_t* places) {
  for (int64_t i = 0; i < extent; ++i) order[i] = i;
  const auto before = [=](int64_t a, int64_t b) {
    const T va = x[a * stride], vb = x[b * stride];
    if (largest ? less(vb, va) : less(va, vb)) return true;
    if (largest ? less(va, vb) : less(vb, va)) return false;
    return a < b;
  };
  // Selecting first is linear in the extent; a heap of k is as good for few.
  if (k * 8 < extent) {
    std::partial_sort(order, order + k, order + extent, before);
  } else {
    std::nth_element(order, order + k, order + extent, before);
    std::sort(order, order + k, before);
  }
  for (int64_t i = 0; i < k; ++i) {
    values[i * stride] = x[order[i] * stride];
    if (places) places[i * stride] = order[i];
  }
}

template <typename T>
std::unique_ptr<Step> top_k(const PrepareContext& c) {
  const Shape x = c.in(0).type.shape, to = c.out().type.shape;
  const int axis = *normalized_axis(c.attributes.integer("axis", -1), x.rank());
  const int64_t extent = x[axis], k = to[axis], inner = product(x, axis + 1, x.rank()), lines = product(x, 0, axis) * inner;
  const bool largest = c.attributes.integer("largest", 1) != 0;
  const bool wants_places = c.outputs.size() > 1 && c.out(1).present;
  const int tasks = task_count(lines, static_cast<double>(extent) * 8, c.threads());
  const auto scratch = static_cast<size_t>(extent) * sizeof(int64_t);
  auto step = make_step("top_k", tasks, [=](const Buffers& b, int task, int worker) {
    const Range range = task_range(lines, tasks, task);
    auto* order = reinterpret_cast<int64_t*>(b.workspace + static_cast<size_t>(worker) * scratch);
    for (int64_t line = range.begin; line < range.end; ++line) {
      const int64_t outer = line / inner, column = line % inner, at = outer * k * inner + column;
      top_of_line(b.in<T>(0) + outer * extent * inner + column, inner, extent, k, largest, order, b.out<T>() + at,
                  wants_places ? b.out<int64_t>(1) + at : nullptr);
    }
  });
  step->workspace_bytes = scratch * static_cast<size_t>(c.threads());
  step->why = "a heap for few, else a selection that is then sorted";
  return step;
}

Result<std::unique_ptr<Step>> prepare_top_k(const PrepareContext& c) {
  return visit_arithmetic(c.in(0).type.dtype, "TopK",
                          [&](auto t) -> Result<std::unique_ptr<Step>> { return top_k<decltype(t)>(c); });
}

}  // namespace

namespace ops {
constinit const OpSpec TopK{.name = "TopK", .infer = infer_top_k, .prepare = prepare_top_k, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
