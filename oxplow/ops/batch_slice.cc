// BatchSlice and BatchJoin: where a loop over slices of the batch begins and ends (see passes/slice_batch.cc). BatchSlice x [N, ...] is
// the slice [N / slices, ...] that a turn of the loop works on, BatchJoin the whole of what the turns make. Only the planner runs them:
// as places in memory.

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

Result<int64_t> slices_of(const InferContext& c) {
  const int64_t slices = c.attributes.integer("slices", 0);
  if (slices < 1 || c.shape(0).empty()) return Error{ErrorCode::internal, to_string(c.type(0)) + " in slices"};
  return slices;
}

Result<TensorTypes> infer_slice(const InferContext& c) {
  OXPLOW_ASSIGN(const int64_t slices, slices_of(c));
  TensorType type = c.type(0);
  if (type.shape[0] % slices != 0)
    return Error{ErrorCode::internal, to_string(type) + " in " + std::to_string(slices) + " slices"};
  type.shape[0] /= slices;
  return TensorTypes{type};
}

Result<TensorTypes> infer_join(const InferContext& c) {
  OXPLOW_ASSIGN(const int64_t slices, slices_of(c));
  TensorType type = c.type(0);
  if (__builtin_mul_overflow(type.shape[0], slices, &type.shape[0])) return Error{ErrorCode::internal, "an impossible BatchJoin"};
  return TensorTypes{type};
}

}  // namespace

namespace ops {
constinit const OpSpec BatchSlice{.name = "BatchSlice", .infer = infer_slice};
constinit const OpSpec BatchJoin{.name = "BatchJoin", .infer = infer_join};
}  // namespace ops
}  // namespace oxplow
