// Trilu:   the upper (j >= i + k) or lower (j <= i + k) triangle of the last two axes, zeros elsewhere; k is optional input 1.
// EyeLike: ones where j = i + k, zeros elsewhere, as large as a matrix; of type `dtype`, if given.

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_trilu(const InferContext& c) {
  if (c.shape(0).rank() < 2) return Error{ErrorCode::invalid_model, "Trilu of " + to_string(c.type(0)) + ": it wants matrices"};
  if (c.has(1) && (c.type(1).dtype != DType::i64 || c.type(1).elements() != 1))
    return Error{ErrorCode::invalid_model, "the diagonal of a Trilu is " + to_string(c.type(1)) + ", not one i64"};
  return TensorTypes{c.type(0)};
}

template <typename T>
std::unique_ptr<Step> trilu(const PrepareContext& c) {
  const Shape& shape = c.in(0).type.shape;
  const int64_t columns = shape.back(), height = shape[shape.rank() - 2], rows = columns == 0 ? 0 : elements_of(shape) / columns;
  const bool upper = c.attributes.integer("upper", 1) != 0, has_k = c.has(1);
  const int tasks = task_count(rows, static_cast<double>(columns * static_cast<int64_t>(sizeof(T))) * 0.1, c.threads());
  return make_step("trilu", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(rows, tasks, task);
    const int64_t k = has_k ? b.in<int64_t>(1)[0] : 0;
    for (int64_t row = range.begin; row < range.end; ++row) {
      // Columns before `edge` are on the lower side.
      const int64_t i = row % height + (upper ? 0 : 1);
      const int64_t edge = k > columns ? columns : k < -height ? 0 : i + k < 0 ? 0 : i + k > columns ? columns : i + k;
      const T* from = b.in<T>(0) + row * columns;
      T* to = b.out<T>() + row * columns;
      for (int64_t j = 0; j < edge; ++j) to[j] = upper ? T{0} : from[j];
      for (int64_t j = edge; j < columns; ++j) to[j] = upper ? from[j] : T{0};
    }
  });
}

Result<std::unique_ptr<Step>> prepare_trilu(const PrepareContext& c) {
  return visit_width(c.in(0).type.dtype, "Trilu", [&](auto t) -> Result<std::unique_ptr<Step>> { return trilu<decltype(t)>(c); });
}

Result<TensorTypes> infer_eye_like(const InferContext& c) {
  if (c.shape(0).rank() != 2)
    return Error{ErrorCode::invalid_model, "EyeLike of " + to_string(c.type(0)) + ": it wants a matrix"};
  const auto dtype = static_cast<DType>(c.attributes.integer("dtype", static_cast<int64_t>(c.type(0).dtype)));
  if (!is_arithmetic(dtype)) return Error{ErrorCode::unsupported, "EyeLike of " + std::string(name_of(dtype))};
  return TensorTypes{{dtype, c.shape(0)}};
}

Result<std::unique_ptr<Step>> prepare_eye_like(const PrepareContext& c) {
  const int64_t rows = c.out().type.shape[0], columns = c.out().type.shape[1], k = c.attributes.integer("k", 0);
  return visit(c.out().type.dtype, [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    return make_step("eye_like", 1, [=](const Buffers& b, int, int) {
      T* y = b.out<T>();
      for (int64_t i = 0; i < rows * columns; ++i) y[i] = T(0);
      if (k <= -rows || k >= columns) return;
      for (int64_t i = k < 0 ? -k : 0; i < rows && i + k < columns; ++i) y[i * columns + i + k] = T(1);
    });
  });
}

}  // namespace

namespace ops {
constinit const OpSpec Trilu{.name = "Trilu", .infer = infer_trilu, .prepare = prepare_trilu};
constinit const OpSpec EyeLike{.name = "EyeLike", .infer = infer_eye_like, .prepare = prepare_eye_like};
}  // namespace ops
}  // namespace oxplow
