// Scan(initial states..., scanned inputs...): body(states..., slices...) -> (states..., slices...), once for each slice of the scanned
// inputs along their axes, in their directions; gives the last states and the body's slices, stacked. Opset 8 (attribute `batched`) has
// an optional first input of lengths and runs each element of axis 0 by itself.

#include <algorithm>

#include "oxplow/ops/control_flow.h"
#include "oxplow/ops/parts.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// The numbers of an attribute, one for each of `count`; 0 where there is no attribute.
Result<std::vector<int64_t>> one_each(const Attributes& attributes, const char* name, size_t count) {
  auto values = attributes.integers(name);
  if (values.empty()) values.assign(count, 0);
  if (values.size() != count)
    return Error{ErrorCode::invalid_model, std::string(name) + " must have " + std::to_string(count) + " entries"};
  return values;
}

struct Scan {
  Body body;
  size_t states = 0, inputs = 0, outputs = 0;
  std::vector<int64_t> input_axes, input_backward, output_axes, output_backward;
};

Result<Scan> scan_of(const ComputeContext& c, size_t formal, bool batched) {
  const int64_t inputs = c.attributes.integer("num_scan_inputs", 0);
  if (inputs < 1 || static_cast<size_t>(inputs) > formal)
    return Error{ErrorCode::invalid_model, "num_scan_inputs does not fit the inputs"};
  OXPLOW_ASSIGN(Body body, Body::of(c, "body"));
  Scan scan{.body = std::move(body),
            .states = formal - static_cast<size_t>(inputs),
            .inputs = static_cast<size_t>(inputs),
            .outputs = 0,
            .input_axes = {},
            .input_backward = {},
            .output_axes = {},
            .output_backward = {}};
  if (static_cast<size_t>(c.outputs) < scan.states)
    return Error{ErrorCode::invalid_model, "a Scan with fewer outputs than states"};
  scan.outputs = static_cast<size_t>(c.outputs) - scan.states;
  OXPLOW_ASSIGN(scan.input_backward, one_each(c.attributes, batched ? "directions" : "scan_input_directions", scan.inputs));
  OXPLOW_ASSIGN(scan.input_axes, one_each(c.attributes, "scan_input_axes", scan.inputs));
  OXPLOW_ASSIGN(scan.output_axes, one_each(c.attributes, "scan_output_axes", scan.outputs));
  OXPLOW_ASSIGN(scan.output_backward, one_each(c.attributes, "scan_output_directions", scan.outputs));
  return scan;
}

Result<std::vector<Datum>> run_scan(const ComputeContext& c, Scan scan, std::vector<Datum> states,
                                    const std::vector<Tensor>& inputs, int64_t length) {
  for (size_t k = 0; k < scan.inputs; ++k) {
    OXPLOW_ASSIGN(scan.input_axes[k], normalized_axis(scan.input_axes[k], inputs[k].shape().rank()));
    const int64_t extent = inputs[k].shape()[static_cast<int>(scan.input_axes[k])];
    if (length < 0) length = extent;
    if (extent < length) return Error{ErrorCode::invalid_model, "scanned inputs of different lengths"};
  }
  std::vector<std::vector<Tensor>> scanned(scan.outputs);
  for (int64_t i = 0; i < length; ++i) {
    OXPLOW_TRY(c.bodies->count_step());
    std::vector<Datum> arguments = std::move(states);
    for (size_t k = 0; k < scan.inputs; ++k) {
      const int64_t at = scan.input_backward[k] ? length - 1 - i : i;
      OXPLOW_ASSIGN(Tensor slice, slice_of(inputs[k], static_cast<int>(scan.input_axes[k]), at));
      arguments.emplace_back(std::move(slice));
    }
    OXPLOW_ASSIGN(auto results, scan.body.run(std::move(arguments), scan.states + scan.outputs));
    for (size_t k = 0; k < scan.outputs; ++k) OXPLOW_TRY(append_scanned(scanned[k], results[scan.states + k]));
    results.resize(scan.states);
    states = std::move(results);
  }
  for (size_t k = 0; k < scan.outputs; ++k) {
    if (scan.output_backward[k]) std::reverse(scanned[k].begin(), scanned[k].end());
    const int rank = scanned[k].empty() ? 0 : scanned[k][0].shape().rank();
    OXPLOW_ASSIGN(const int axis, normalized_axis(scan.output_axes[k], rank + 1));
    OXPLOW_ASSIGN(Tensor stack, stack_scanned(c, scan.states + k, scanned[k], axis));
    states.emplace_back(std::move(stack));
  }
  return states;
}

Result<std::vector<Datum>> compute_scan(const ComputeContext& c) {
  const size_t formal = formal_inputs(c);
  OXPLOW_ASSIGN(Scan scan, scan_of(c, formal, false));
  std::vector<Datum> states(c.inputs.begin(), c.inputs.begin() + static_cast<std::ptrdiff_t>(scan.states));
  std::vector<Tensor> inputs;
  for (size_t i = scan.states; i < formal; ++i) {
    OXPLOW_ASSIGN(Tensor input, c.tensor(static_cast<int>(i), "a scanned input"));
    inputs.push_back(std::move(input));
  }
  return run_scan(c, std::move(scan), std::move(states), inputs, -1);
}

// The length of each element of the batch; -1 is all there is.
Result<std::vector<int64_t>> batch_lengths(const ComputeContext& c, int64_t batch) {
  if (!c.has(0)) return std::vector<int64_t>(static_cast<size_t>(batch), -1);
  const Tensor* lengths = c.in(0).tensor();
  if (lengths == nullptr || lengths->dtype() != DType::i64 || lengths->elements() != batch)
    return Error{ErrorCode::invalid_model, "sequence_lens must be i64, one for each element of the batch"};
  return to_int64s(*lengths);
}

Result<std::vector<Datum>> compute_batched_scan(const ComputeContext& c) {
  const size_t formal = formal_inputs(c);
  OXPLOW_ASSIGN(const Scan scan, scan_of(c, formal - std::min<size_t>(formal, 1), true));
  OXPLOW_ASSIGN(const Tensor first, c.tensor(1, "the first state or scanned input"));
  if (first.shape().empty()) return Error{ErrorCode::invalid_model, "a batch without an axis"};
  const int64_t batch = first.shape()[0];
  OXPLOW_ASSIGN(const auto lengths, batch_lengths(c, batch));
  std::vector<std::vector<Tensor>> results(static_cast<size_t>(c.outputs));
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<Datum> states;
    std::vector<Tensor> inputs;
    for (size_t i = 1; i < formal; ++i) {
      OXPLOW_ASSIGN(const Tensor input, c.tensor(static_cast<int>(i), "a state or scanned input"));
      if (input.shape().empty() || input.shape()[0] != batch)
        return Error{ErrorCode::invalid_model, "inputs of different batches"};
      OXPLOW_ASSIGN(Tensor element, slice_of(input, 0, b));
      if (i - 1 < scan.states)
        states.emplace_back(element);
      else
        inputs.push_back(std::move(element));
    }
    OXPLOW_ASSIGN(auto ended, run_scan(c, scan, std::move(states), inputs, lengths[static_cast<size_t>(b)]));
    for (size_t k = 0; k < results.size(); ++k) OXPLOW_TRY(append_scanned(results[k], ended[k]));
  }
  std::vector<Datum> stacks;
  for (const auto& parts : results) {
    if (parts.empty()) return Error{ErrorCode::unsupported, "a Scan over a batch of nothing"};
    OXPLOW_ASSIGN(Tensor stack, stacked(parts, 0));
    stacks.emplace_back(std::move(stack));
  }
  return stacks;
}

}  // namespace

namespace ops {
constinit const OpSpec ScanSlices{.name = "Scan", .required_inputs = 1, .compute = compute_scan};
constinit const OpSpec BatchedScan{.name = "BatchedScan", .required_inputs = 0, .compute = compute_batched_scan};
}  // namespace ops
}  // namespace oxplow
