#include "oxplow/ops/op.h"

#include <algorithm>
#include <cmath>

namespace oxplow {
namespace {

constexpr const OpSpec* kOps[] = {
#define OXPLOW_OP(name) &ops::name,
#include "oxplow/ops/ops.inc"
#undef OXPLOW_OP
};

size_t bytes_of(const Operand& operand) { return operand.present ? operand.type.bytes() : 0; }

}  // namespace

std::span<const OpSpec* const> all_ops() { return kOps; }

const OpSpec* find_op(std::string_view name) {
  static const std::map<std::string_view, const OpSpec*> by_name = [] {
    std::map<std::string_view, const OpSpec*> map;
    for (const OpSpec* op : kOps) map.emplace(op->name, op);
    return map;
  }();
  auto it = by_name.find(name);
  return it == by_name.end() ? nullptr : it->second;
}

bool Operand::strides_are_dense() const {
  int64_t expected = 1;
  for (int i = type.shape.rank() - 1; i >= 0; --i) {
    if (type.shape[i] != 1 && strides[i] != expected) return false;
    expected *= type.shape[i];
  }
  return true;
}

bool Operand::rows_contiguous() const { return type.shape.empty() || type.shape.back() == 1 || strides.back() == 1; }

Result<std::vector<int64_t>> InferContext::integers(int i, std::string_view what) const {
  const Tensor* value = constant(i);
  if (value == nullptr) {
    return Error{ErrorCode::needs_values, std::string(what) + " (input " + std::to_string(i) +
                                              ") depends on data; it must be known from the input shapes"};
  }
  if (is_float(value->dtype())) return Error{ErrorCode::invalid_model, std::string(what) + " must be integers"};
  if (!is_arithmetic(value->dtype()))
    return Error{ErrorCode::unsupported, std::string(what) + " of " + std::string(name_of(value->dtype()))};
  return to_int64s(*value);
}

const Datum& ComputeContext::in(int i) const {
  static const Datum kNothing;
  return i < static_cast<int>(inputs.size()) ? inputs[static_cast<size_t>(i)] : kNothing;
}

Result<Tensor> ComputeContext::tensor(int i, std::string_view what) const {
  const Tensor* tensor = in(i).tensor();
  if (tensor == nullptr) return Error{ErrorCode::invalid_model, std::string(what) + " must be a tensor, not " + in(i).kind()};
  return *tensor;
}

Result<TensorTypes> infer_types(const OpSpec& op, const InferContext& context) {
  if (op.infer == nullptr)
    return Error{ErrorCode::needs_values, "the results of " + std::string(op.name) + " cannot be told from its inputs' shapes"};
  for (int i = 0; i < op.required_inputs; ++i) {
    if (!context.has(i)) return Error{ErrorCode::invalid_model, std::string(op.name) + " lacks its input " + std::to_string(i)};
  }
  const auto is_string = [](const Operand& operand) { return operand.present && operand.type.dtype == DType::string; };
  const Error strings{op.compute ? ErrorCode::needs_values : ErrorCode::unsupported, std::string(op.name) + " of strings"};
  if (!op.strings && std::any_of(context.inputs.begin(), context.inputs.end(), is_string)) return strings;
  OXPLOW_ASSIGN(TensorTypes types, op.infer(context));
  if (types.size() < static_cast<size_t>(context.outputs)) {
    return Error{ErrorCode::invalid_model, std::string(op.name) + " has " + std::to_string(types.size()) +
                                               " outputs, the model names " + std::to_string(context.outputs)};
  }
  for (const TensorType& type : types) {
    if (!op.strings && type.dtype == DType::string) return strings;
    if (!is_possible(type)) return Error{ErrorCode::invalid_model, "a result of type " + to_string(type) + " is impossible"};
  }
  return types;
}

Cost cost_of(const OpSpec& op, const PrepareContext& context) {
  if (op.cost) return op.cost(context);
  Cost cost;
  for (const Operand& o : context.inputs) cost.bytes += static_cast<double>(bytes_of(o));
  for (const Operand& o : context.outputs) cost.bytes += static_cast<double>(bytes_of(o));
  return cost;
}

bool accepts_rows(const PrepareContext& context, int i) { return context.in(i).rows_contiguous(); }
bool accepts_any(const PrepareContext&, int) { return true; }
bool writes_rows(const PrepareContext& context, int i) { return context.out(i).rows_contiguous(); }
bool writes_any(const PrepareContext&, int) { return true; }

bool samples_apart(const InferContext&) { return true; }

bool samples_broadcast(const InferContext& context) {
  int rank = 0;
  for (const Operand& input : context.inputs) rank = std::max(rank, input.type.shape.rank());
  for (const Operand& input : context.inputs) {
    const Shape& shape = input.type.shape;
    if (!input.present) continue;
    const bool apart = input.constant != nullptr ? shape.rank() < rank || rank == 0 || shape[0] == 1 : shape.rank() == rank;
    if (!apart) return false;
  }
  return true;
}

int task_count(int64_t units, double nanoseconds, int threads) {
  if (threads == 1) return 1;
  constexpr double kShortest = 4000;  // ns: a claim costs about 50, waking a neighbour's cache lines some hundred
  constexpr double kShare = 1000;     // of one task a thread: worth it from some barriers' time on
  const double time = static_cast<double>(units) * nanoseconds;
  const int64_t shares = std::min<int64_t>(static_cast<int64_t>(time / kShare), threads);
  const int64_t wanted = std::max<int64_t>(static_cast<int64_t>(time / kShortest), shares);
  const int64_t most = std::min<int64_t>(units, int64_t{4} * threads);
  return static_cast<int>(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(most, 1)));
}

int part_count(int64_t wanted, int64_t units) {
  return static_cast<int>(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(units, 1)));
}

Range task_range(int64_t units, int tasks, int task) { return {units * task / tasks, units * (task + 1) / tasks}; }

}  // namespace oxplow
