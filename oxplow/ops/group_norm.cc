// GroupNormalization: the channels (axis 1) in num_groups equal runs, each normalized over its channels and all positions, then times
// scale plus bias, which have one element a channel, or (opset 18) one a group. InstanceNormalization: every channel by itself.

#include "oxplow/ops/wide_norm.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_grouped(const InferContext& c, int64_t groups) {
  const Shape& x = c.shape(0);
  if (x.rank() < 2) return Error{ErrorCode::invalid_model, "an input of " + to_string(x) + " has no channels"};
  if (groups < 1 || x[1] % groups != 0)
    return Error{ErrorCode::invalid_model, std::to_string(x[1]) + " channels in " + std::to_string(groups) + " groups"};
  for (int i = 0; i < 3; ++i) {
    if (!is_float(c.type(i).dtype)) return Error{ErrorCode::unsupported, "normalization of " + to_string(c.type(i))};
  }
  for (int i = 1; i < 3; ++i) {
    if (c.shape(i) != Shape{x[1]} && c.shape(i) != Shape{groups})
      return Error{ErrorCode::invalid_model,
                   "scale or bias of " + to_string(c.shape(i)) + " for " + std::to_string(x[1]) + " channels"};
  }
  if (c.shape(1) != c.shape(2)) return Error{ErrorCode::invalid_model, "scale and bias differ in their extents"};
  return TensorTypes{c.type(0)};
}

Result<std::unique_ptr<Step>> prepare_grouped(const PrepareContext& c, int64_t groups) {
  const Shape& x = c.in(0).type.shape;
  const int64_t pieces = c.in(1).type.shape[0];  // of an image, each with one scale
  WideNorm norm;
  norm.rows = x[0] * groups;
  norm.columns = x[1] / groups * product(x, 2, x.rank());
  norm.epsilon = static_cast<double>(c.attributes.number("epsilon", 1e-5f));
  norm.extents = {x[0], pieces, pieces == 0 ? 0 : x[1] / pieces * product(x, 2, x.rank())};
  norm.scale_strides = norm.bias_strides = {0, 1, 0};
  return wide_norm(c, norm);
}

int64_t groups_of(const Attributes& attributes) { return attributes.integer("num_groups", 0); }

Result<TensorTypes> infer_group(const InferContext& c) { return infer_grouped(c, groups_of(c.attributes)); }
Result<std::unique_ptr<Step>> prepare_group(const PrepareContext& c) { return prepare_grouped(c, groups_of(c.attributes)); }

Result<TensorTypes> infer_instance(const InferContext& c) {
  return infer_grouped(c, c.shape(0).rank() < 2 ? 1 : std::max<int64_t>(c.shape(0)[1], 1));
}
Result<std::unique_ptr<Step>> prepare_instance(const PrepareContext& c) { return prepare_grouped(c, c.in(0).type.shape[1]); }

}  // namespace

namespace ops {
constinit const OpSpec GroupNormalization{
    .name = "GroupNormalization", .infer = infer_group, .prepare = prepare_group, .required_inputs = 3};
constinit const OpSpec InstanceNormalization{
    .name = "InstanceNormalization", .infer = infer_instance, .prepare = prepare_instance, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
