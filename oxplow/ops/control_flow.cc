// Ops that run bodies: graphs in their attributes. Values that a body takes from the graph around it follow the op's own inputs:
// attribute `formal_inputs` says how many those are, `<body>_captures` which inputs are handed on to the body, behind its formal ones.
//   If(condition): then_branch or else_branch, of no formal inputs.
//   Loop(trip_count?, condition?, carried...): body(iteration, condition, carried...) -> (condition, carried..., scanned...), until the
//     count or the condition ends it; gives carried..., and every scanned value of all iterations stacked along a new axis 0.

#include "oxplow/ops/control_flow.h"

#include <limits>

#include "oxplow/ops/parts.h"

namespace oxplow {

Result<Body> Body::of(const ComputeContext& context, std::string_view name) {
  Body body;
  body.graph_ = context.attributes.graph(name);
  if (body.graph_ == nullptr) return Error{ErrorCode::invalid_model, "its attribute " + std::string(name) + " is missing"};
  if (context.bodies == nullptr) return Error{ErrorCode::needs_values, "a body runs only with the model"};
  body.runner_ = context.bodies;
  for (int64_t i : context.attributes.integers(std::string(name) + "_captures"))
    body.captured_.push_back(context.in(static_cast<int>(i)));
  body.formal_ = context.attributes.integer(std::string(name) + "_inputs", 0);
  return body;
}

Result<std::vector<Datum>> Body::run(std::vector<Datum> inputs, size_t outputs) const {
  if (static_cast<int64_t>(inputs.size()) != formal_) {
    return Error{ErrorCode::invalid_model,
                 "its body takes " + std::to_string(formal_) + " inputs, not " + std::to_string(inputs.size())};
  }
  inputs.insert(inputs.end(), captured_.begin(), captured_.end());
  OXPLOW_ASSIGN(auto results, runner_->run_body(*graph_, inputs));
  if (results.size() != outputs) {
    return Error{ErrorCode::invalid_model,
                 "its body has " + std::to_string(results.size()) + " outputs where " + std::to_string(outputs) + " are wanted"};
  }
  return results;
}

size_t formal_inputs(const ComputeContext& context) {
  return static_cast<size_t>(context.attributes.integer("formal_inputs", static_cast<int64_t>(context.inputs.size())));
}

namespace {

Result<bool> truth_of(const Datum& datum, std::string_view what) {
  const Tensor* tensor = datum.tensor();
  if (tensor == nullptr || tensor->dtype() != DType::boolean || tensor->elements() != 1)
    return Error{ErrorCode::invalid_model, std::string(what) + " must be one boolean"};
  return tensor->values<bool>()[0];
}

Result<std::vector<Datum>> compute_if(const ComputeContext& c) {
  OXPLOW_ASSIGN(const bool condition, truth_of(c.in(0), "the condition"));
  OXPLOW_ASSIGN(const Body body, Body::of(c, condition ? "then_branch" : "else_branch"));
  return body.run({}, static_cast<size_t>(c.outputs));
}

Result<int64_t> trip_count(const ComputeContext& c) {
  if (!c.has(0)) return std::numeric_limits<int64_t>::max();
  const Tensor* count = c.in(0).tensor();
  if (count == nullptr || count->dtype() != DType::i64 || count->elements() != 1)
    return Error{ErrorCode::invalid_model, "the trip count must be one i64"};
  return count->values<int64_t>()[0];
}

Result<std::vector<Datum>> compute_loop(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Body body, Body::of(c, "body"));
  OXPLOW_ASSIGN(const int64_t trips, trip_count(c));
  bool go_on = true;
  if (c.has(1)) {
    OXPLOW_ASSIGN(go_on, truth_of(c.in(1), "the condition"));
  }
  const size_t formal = formal_inputs(c);
  std::vector<Datum> carried;
  for (size_t i = 2; i < formal; ++i) carried.push_back(c.inputs[i]);
  const size_t kept = carried.size();
  if (static_cast<size_t>(c.outputs) < kept)
    return Error{ErrorCode::invalid_model, "a Loop with fewer outputs than carried values"};
  std::vector<std::vector<Tensor>> scanned(static_cast<size_t>(c.outputs) - kept);
  for (int64_t i = 0; i < trips && go_on; ++i) {
    OXPLOW_TRY(c.bodies->count_step());
    std::vector<Datum> inputs{Tensor::scalar<int64_t>(i), Tensor::scalar<bool>(go_on)};
    inputs.insert(inputs.end(), std::make_move_iterator(carried.begin()), std::make_move_iterator(carried.end()));
    OXPLOW_ASSIGN(auto results, body.run(std::move(inputs), 1 + kept + scanned.size()));
    OXPLOW_ASSIGN(go_on, truth_of(results[0], "the body's condition"));
    carried.assign(results.begin() + 1, results.begin() + 1 + static_cast<std::ptrdiff_t>(kept));
    for (size_t k = 0; k < scanned.size(); ++k) {
      OXPLOW_TRY(append_scanned(scanned[k], results[1 + kept + k]));
    }
  }
  for (size_t k = 0; k < scanned.size(); ++k) {
    OXPLOW_ASSIGN(Tensor stack, stack_scanned(c, 1 + kept + k, scanned[k], 0));
    carried.emplace_back(std::move(stack));
  }
  return carried;
}

}  // namespace

Status append_scanned(std::vector<Tensor>& scanned, const Datum& value) {
  if (value.tensor() == nullptr) return Error{ErrorCode::invalid_model, std::string("a scanned output is ") + value.kind()};
  scanned.push_back(*value.tensor());
  return {};
}

Result<Tensor> stack_scanned(const ComputeContext& context, size_t output, std::span<const Tensor> scanned, int axis) {
  if (!scanned.empty()) return stacked(scanned, axis);
  // No iteration: what the model declares of the body's output, open extents as none.
  const auto declared = context.attributes.integers("body_output_" + std::to_string(output));
  if (declared.empty()) return Error{ErrorCode::unsupported, "a loop without iterations whose body does not declare its outputs"};
  TensorType type{static_cast<DType>(declared[0]), {}};
  for (size_t i = 1; i < declared.size() && i < static_cast<size_t>(kMaxRank); ++i) type.shape.push_back(declared[i]);
  type.shape.insert(std::min(axis, type.shape.rank()), 0);
  return Tensor::allocate(type);
}

namespace ops {
constinit const OpSpec If{.name = "If", .compute = compute_if};
constinit const OpSpec Loop{.name = "Loop", .required_inputs = 0, .compute = compute_loop};
}  // namespace ops
}  // namespace oxplow
