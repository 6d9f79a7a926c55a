// Gather: slices of input 0 along an axis, named by the integers of input 1. An index outside of the axis is clamped into it: indices
// are data, and a run must not fail nor read elsewhere.

#include <algorithm>
#include <cstring>

#include "oxplow/ops/op.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_gather(const InferContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), x.rank()));
  if (c.type(1).dtype != DType::i64 && c.type(1).dtype != DType::i32)
    return Error{ErrorCode::invalid_model, "indices must be i32 or i64"};
  if (x.rank() + indices.rank() - 1 > kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
  if (const Tensor* known = c.constant(1)) {
    for (int64_t i : to_int64s(*known)) {
      if (i < -x[axis] || i >= x[axis])
        return Error{ErrorCode::invalid_model,
                     "index " + std::to_string(i) + " is outside of an axis of " + std::to_string(x[axis])};
    }
  }
  Shape to;
  for (int i = 0; i < axis; ++i) to.push_back(x[i]);
  for (int64_t extent : indices) to.push_back(extent);
  for (int i = axis + 1; i < x.rank(); ++i) to.push_back(x[i]);
  return TensorTypes{{c.type(0).dtype, to}};
}

Result<std::unique_ptr<Step>> prepare_gather(const PrepareContext& c) {
  const TensorType& x = c.in(0).type;
  if (bits_of(x.dtype) < 8) return Error{ErrorCode::unsupported, "Gather of 4-bit elements"};
  const int axis = *normalized_axis(c.attributes.integer("axis", 0), x.shape.rank());
  const int64_t outer = product(x.shape, 0, axis), extent = x.shape[axis], count = c.in(1).type.elements();
  const size_t run = static_cast<size_t>(product(x.shape, axis + 1, x.shape.rank())) * static_cast<size_t>(bits_of(x.dtype) / 8);
  const bool wide = c.in(1).type.dtype == DType::i64;
  const int64_t units = outer * count;
  const int tasks = task_count(units, static_cast<double>(run) * 0.1 + 5, c.threads());
  auto step = make_step("gather", tasks, [=](const Buffers& b, int task, int) {
    if (extent == 0) return;
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      int64_t index = wide ? b.in<int64_t>(1)[u % count] : b.in<int32_t>(1)[u % count];
      index = std::clamp<int64_t>(index < 0 ? index + extent : index, 0, extent - 1);
      std::memcpy(b.out<std::byte>() + static_cast<size_t>(u) * run,
                  b.in<std::byte>(0) + static_cast<size_t>(u / count * extent + index) * run, run);
    }
  });
  step->why = "rows by index";
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec Gather{.name = "Gather", .infer = infer_gather, .prepare = prepare_gather, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
