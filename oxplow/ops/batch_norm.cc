// BatchNormalization of inference, channels on axis 1: y = (x - mean) / sqrt(variance + epsilon) * scale + bias. A pass folds it into the
// convolution before it or spells it out; it never reaches a plan.
//   inputs: x, scale [C], bias [C], mean [C], variance [C]

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_batch_norm(const InferContext& c) {
  if (c.shape(0).rank() < 2) return Error{ErrorCode::invalid_model, "an input of " + to_string(c.shape(0)) + " has no channels"};
  for (int i = 1; i < 5; ++i) {
    if (!c.has(i) || c.shape(i) != Shape{c.shape(0)[1]})
      return Error{ErrorCode::invalid_model, "scale, bias, mean and variance must have one element a channel"};
  }
  return TensorTypes{c.type(0)};
}

}  // namespace

namespace ops {
constinit const OpSpec BatchNormalization{.name = "BatchNormalization", .infer = infer_batch_norm, .required_inputs = 5};
}  // namespace ops
}  // namespace oxplow
