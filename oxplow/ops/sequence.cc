// Ops on sequences and optionals. A position counts from the end where it is negative. An optional that holds something is that thing.
//   SequenceConstruct(elements...), SequenceEmpty(), SequenceInsert(sequence, element, position = the end),
//   SequenceErase(sequence, position = the last), SequenceAt(sequence, position), SequenceLength(sequence): i64[].
//   SplitToSequence(tensor, lengths?): parts along `axis`: of these lengths, of one length each, or single slices, without the axis
//     where keepdims is 0. ConcatFromSequence(sequence): its tensors along `axis`, which is new where new_axis is 1.
//   SequenceMap(sequence, more...): body(element, more...) for each element, where sequences among `more` give theirs.
//   Optional(value?), OptionalHasElement(optional?): boolean[], OptionalGetElement(optional).

#include <algorithm>

#include "oxplow/ops/control_flow.h"
#include "oxplow/ops/parts.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

using Data = Result<std::vector<Datum>>;

Result<Sequence> sequence_of(const ComputeContext& c, int i) {
  const Sequence* sequence = c.in(i).sequence();
  if (sequence == nullptr)
    return Error{ErrorCode::invalid_model, "input " + std::to_string(i) + " must be a sequence, not " + c.in(i).kind()};
  return *sequence;
}

Result<std::vector<int64_t>> integers_of(const ComputeContext& c, int i, std::string_view what) {
  OXPLOW_ASSIGN(const Tensor tensor, c.tensor(i, what));
  if (tensor.dtype() != DType::i64 && tensor.dtype() != DType::i32)
    return Error{ErrorCode::invalid_model, std::string(what) + " must be i32 or i64"};
  return to_int64s(tensor);
}

// A position in [0, end), from input i; `otherwise` where there is none.
Result<size_t> position_of(const ComputeContext& c, int i, int64_t end, int64_t otherwise) {
  int64_t position = otherwise;
  if (c.has(i)) {
    OXPLOW_ASSIGN(const auto values, integers_of(c, i, "the position"));
    if (values.size() != 1) return Error{ErrorCode::invalid_model, "the position must be one integer"};
    position = values[0];
  }
  if (position < 0) position += end;
  if (position < 0 || position >= end) return Error{ErrorCode::invalid_argument, "a position outside of the sequence"};
  return static_cast<size_t>(position);
}

Data one(Datum datum) { return std::vector<Datum>{std::move(datum)}; }

// Sequences in sequences could be nested by a loop to any depth.
Status check_element(const Datum& datum) {
  if (!datum.sequence()) return {};
  return Error{ErrorCode::unsupported, "sequences of sequences"};
}

Data compute_construct(const ComputeContext& c) {
  for (const Datum& datum : c.inputs) OXPLOW_TRY(check_element(datum));
  return one(Sequence(c.inputs.begin(), c.inputs.end()));
}
Data compute_empty(const ComputeContext&) { return one(Sequence{}); }

Data compute_at(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Sequence sequence, sequence_of(c, 0));
  OXPLOW_ASSIGN(const size_t at, position_of(c, 1, static_cast<int64_t>(sequence.size()), 0));
  return one(sequence[at]);
}

Data compute_length(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Sequence sequence, sequence_of(c, 0));
  return one(Tensor::scalar<int64_t>(static_cast<int64_t>(sequence.size())));
}

Data compute_insert(const ComputeContext& c) {
  OXPLOW_TRY(check_element(c.inputs[1]));
  OXPLOW_ASSIGN(Sequence sequence, sequence_of(c, 0));
  const auto size = static_cast<int64_t>(sequence.size());
  size_t at = sequence.size();
  if (c.has(2)) {
    OXPLOW_ASSIGN(const auto values, integers_of(c, 2, "the position"));
    const int64_t position = values.size() == 1 ? values[0] + (values[0] < 0 ? size : 0) : -1;
    if (position < 0 || position > size) return Error{ErrorCode::invalid_argument, "a position outside of the sequence"};
    at = static_cast<size_t>(position);
  }
  sequence.insert(sequence.begin() + static_cast<std::ptrdiff_t>(at), c.inputs[1]);
  return one(std::move(sequence));
}

Data compute_erase(const ComputeContext& c) {
  OXPLOW_ASSIGN(Sequence sequence, sequence_of(c, 0));
  OXPLOW_ASSIGN(const size_t at, position_of(c, 1, static_cast<int64_t>(sequence.size()), -1));
  sequence.erase(sequence.begin() + static_cast<std::ptrdiff_t>(at));
  return one(std::move(sequence));
}

// The lengths of the parts: as input 1 says, which may be one length for all (the last part gets what is left).
Result<std::vector<int64_t>> part_lengths(const ComputeContext& c, int64_t extent) {
  constexpr int64_t kMostParts = int64_t{1} << 24;
  const Error many{ErrorCode::unsupported, "a sequence of more than " + std::to_string(kMostParts) + " parts"};
  if (!c.has(1))
    return extent > kMostParts ? many : Result<std::vector<int64_t>>(std::vector<int64_t>(static_cast<size_t>(extent), 1));
  OXPLOW_ASSIGN(auto lengths, integers_of(c, 1, "the lengths of the parts"));
  int64_t sum = 0;
  for (int64_t length : lengths) {
    if (length < 0 || length > extent) sum = extent;
    sum = std::min(sum + std::max<int64_t>(length, 0), extent + 1);
    if (length < 0) return Error{ErrorCode::invalid_model, "a part of negative length"};
  }
  if (!c.in(1).tensor()->shape().empty()) {
    if (sum != extent) return Error{ErrorCode::invalid_model, "the parts' lengths do not add up to " + std::to_string(extent)};
    return lengths;
  }
  const int64_t length = lengths.empty() ? 0 : lengths[0];
  if (lengths.size() != 1 || length == 0) return Error{ErrorCode::invalid_model, "parts of length 0"};
  if (extent / length > kMostParts) return many;
  std::vector<int64_t> equal;
  for (int64_t at = 0; at < extent; at += length) equal.push_back(std::min(length, extent - at));
  return equal;
}

Data compute_split(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor whole, c.tensor(0, "the input"));
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), whole.shape().rank()));
  OXPLOW_ASSIGN(const auto lengths, part_lengths(c, whole.shape()[axis]));
  const bool slices = !c.has(1) && c.attributes.integer("keepdims", 1) == 0;
  Sequence parts;
  int64_t at = 0;
  for (int64_t length : lengths) {
    OXPLOW_ASSIGN(Tensor part, slices ? slice_of(whole, axis, at) : part_of(whole, axis, at, at + length));
    parts.emplace_back(std::move(part));
    at += length;
  }
  return one(std::move(parts));
}

Data compute_concat(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Sequence sequence, sequence_of(c, 0));
  std::vector<Tensor> parts;
  for (const Datum& element : sequence) {
    if (!element.tensor()) return Error{ErrorCode::invalid_model, "a concatenation of what are no tensors"};
    parts.push_back(*element.tensor());
  }
  if (parts.empty()) return Error{ErrorCode::invalid_model, "a concatenation of an empty sequence"};
  const bool fresh = c.attributes.integer("new_axis", 0) != 0;
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", 0), parts[0].shape().rank() + (fresh ? 1 : 0)));
  OXPLOW_ASSIGN(Tensor whole, fresh ? stacked(parts, axis) : concatenated(parts, axis));
  return one(std::move(whole));
}

Data compute_map(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Body body, Body::of(c, "body"));
  OXPLOW_ASSIGN(const Sequence sequence, sequence_of(c, 0));
  std::vector<Sequence> results(static_cast<size_t>(c.outputs));
  for (size_t i = 0; i < sequence.size(); ++i) {
    OXPLOW_TRY(c.bodies->count_step());
    std::vector<Datum> arguments{sequence[i]};
    for (size_t k = 1; k < formal_inputs(c); ++k) {
      const Sequence* more = c.inputs[k].sequence();
      if (more && more->size() <= i) return Error{ErrorCode::invalid_model, "sequences of different lengths"};
      arguments.push_back(more ? (*more)[i] : c.inputs[k]);
    }
    OXPLOW_ASSIGN(auto outputs, body.run(std::move(arguments), results.size()));
    for (size_t k = 0; k < results.size(); ++k) {
      OXPLOW_TRY(check_element(outputs[k]));
      results[k].push_back(std::move(outputs[k]));
    }
  }
  std::vector<Datum> data;
  for (Sequence& result : results) data.emplace_back(std::move(result));
  return data;
}

Data compute_optional(const ComputeContext& c) { return one(c.in(0)); }
Data compute_has_element(const ComputeContext& c) { return one(Tensor::scalar<bool>(c.has(0))); }

}  // namespace

namespace ops {
constinit const OpSpec SequenceConstruct{.name = "SequenceConstruct", .required_inputs = 0, .compute = compute_construct};
constinit const OpSpec SequenceEmpty{.name = "SequenceEmpty", .required_inputs = 0, .compute = compute_empty};
constinit const OpSpec SequenceAt{.name = "SequenceAt", .required_inputs = 2, .compute = compute_at};
constinit const OpSpec SequenceLength{.name = "SequenceLength", .compute = compute_length};
constinit const OpSpec SequenceInsert{.name = "SequenceInsert", .required_inputs = 2, .compute = compute_insert};
constinit const OpSpec SequenceErase{.name = "SequenceErase", .compute = compute_erase};
constinit const OpSpec SplitToSequence{.name = "SplitToSequence", .compute = compute_split};
constinit const OpSpec ConcatFromSequence{.name = "ConcatFromSequence", .compute = compute_concat};
constinit const OpSpec SequenceMap{.name = "SequenceMap", .compute = compute_map};
constinit const OpSpec Optional{.name = "Optional", .required_inputs = 0, .compute = compute_optional};
constinit const OpSpec OptionalHasElement{.name = "OptionalHasElement", .required_inputs = 0, .compute = compute_has_element};
constinit const OpSpec OptionalGetElement{.name = "OptionalGetElement", .compute = compute_optional};
}  // namespace ops
}  // namespace oxplow
