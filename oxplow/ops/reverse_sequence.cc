// ReverseSequence: of each batch b, the first sequence_lens[b] steps along the time axis in reverse, the others as they are. Axes 0 and
// 1 are time and batch in either order.

#include <algorithm>
#include <cstring>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_reverse_sequence(const InferContext& c) {
  const int64_t time = c.attributes.integer("time_axis", 0), batch = c.attributes.integer("batch_axis", 1);
  if (c.shape(0).rank() < 2 || time + batch != 1 || time * batch != 0)
    return Error{ErrorCode::invalid_model, "time and batch must be axes 0 and 1 of two or more"};
  if (!is_index(c.type(1).dtype) || c.shape(1) != Shape{c.shape(0)[static_cast<int>(batch)]})
    return Error{ErrorCode::invalid_model, "lengths " + to_string(c.type(1)) + " of the sequences " + to_string(c.type(0))};
  return TensorTypes{c.type(0)};
}

Result<std::unique_ptr<Step>> prepare_reverse_sequence(const PrepareContext& c) {
  const Shape& x = c.in(0).type.shape;
  OXPLOW_ASSIGN(const int64_t element, element_bytes(c.in(0).type.dtype, "ReverseSequence"));
  const bool time_first = c.attributes.integer("time_axis", 0) == 0, wide = c.in(1).type.dtype == DType::i64;
  const int64_t steps = x[time_first ? 0 : 1], batches = x[time_first ? 1 : 0], row = product(x, 2, x.rank()) * element;
  const int tasks = task_count(batches, static_cast<double>(steps * row) * 0.1, c.threads());
  return make_step("reverse_sequence", tasks, [=](const Buffers& b, int task, int) {
    const IndexList lengths{b.inputs[1], wide};
    const auto at = [=](int64_t batch, int64_t t) { return (time_first ? t * batches + batch : batch * steps + t) * row; };
    const Range range = task_range(batches, tasks, task);
    for (int64_t batch = range.begin; batch < range.end; ++batch) {
      const int64_t length = std::clamp<int64_t>(lengths[batch], 0, steps);
      for (int64_t t = 0; t < steps; ++t) {
        const int64_t from = t < length ? length - 1 - t : t;
        std::memcpy(b.out<std::byte>() + at(batch, t), b.in<std::byte>(0) + at(batch, from), static_cast<size_t>(row));
      }
    }
  });
}

}  // namespace

namespace ops {
constinit const OpSpec ReverseSequence{
    .name = "ReverseSequence", .infer = infer_reverse_sequence, .prepare = prepare_reverse_sequence, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
