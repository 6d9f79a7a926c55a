#include "oxplow/graph/evaluate.h"

#include "oxplow/ops/copy.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

Operand dense_operand(const Tensor& tensor, bool constant) {
  Operand operand;
  operand.type = tensor.type();
  operand.strides = dense_strides(tensor.shape());
  operand.constant = constant ? &tensor : nullptr;
  operand.present = tensor.defined();
  return operand;
}

void run_step(const Step& step, const Buffers& buffers, ThreadPool& pool) {
  for (int phase = 0; phase < static_cast<int>(step.phase_tasks.size()); ++phase) {
    pool.run(step.phase_tasks[static_cast<size_t>(phase)], [&](int task, int worker) { step.run(buffers, phase, task, worker); });
  }
}

// Copies elements that lie like `source` to where `target` says.
Status copy(const Operand& source, const void* from, const Operand& target, void* to, const Machine& machine) {
  static const Attributes kNone;
  OXPLOW_ASSIGN(auto step, prepare_copy({kNone, {&source, 1}, {&target, 1}, machine.isa, machine.pool, machine.packs}));
  void* in[] = {const_cast<void*>(from)};
  void* out[] = {to};
  run_step(*step, {in, out, nullptr}, machine.pool);
  return {};
}

// A view op's output, made dense by copying.
Status copy_view(const OpSpec& op, const InferContext& infer, Operand source, const void* data, int output, Tensor& result,
                 const Machine& machine) {
  auto view = op.view(infer, result.shape(), output);
  OXPLOW_CHECK(view.has_value());  // dense inputs always allow one
  source.type.shape = result.shape();
  source.strides = view->strides;
  source.constant = nullptr;
  const auto* from = static_cast<const std::byte*>(data) + bytes_of(source.type.dtype, static_cast<size_t>(view->offset));
  return copy(source, from, dense_operand(result, false), result.mutable_data(), machine);
}

// An NHWC image with zeros around it.
struct BorderedImage {
  Tensor memory;
  Operand operand;
  void* inside = nullptr;
};

Result<BorderedImage> with_border(const Operand& image, const void* data, const Border& border, const Machine& machine) {
  BorderedImage result;
  result.operand = image;
  result.operand.border = border;
  Shape whole = image.type.shape;
  whole[1] += border.top + border.bottom;
  whole[2] += border.left + border.right;
  OXPLOW_ASSIGN(result.memory, Tensor::allocate({image.type.dtype, whole}));
  result.operand.strides = dense_strides(whole);
  const auto origin = static_cast<size_t>(border.top * result.operand.strides[1] + border.left * result.operand.strides[2]);
  result.inside = static_cast<std::byte*>(result.memory.mutable_data()) + bytes_of(image.type.dtype, origin);
  OXPLOW_TRY(copy(image, data, result.operand, result.inside, machine));
  return result;
}

Result<std::vector<Datum>> compute(const OpSpec& op, const Attributes& attributes, std::span<const Datum> inputs, int outputs,
                                   const Machine& machine, BodyRunner* bodies) {
  for (int i = 0; i < op.required_inputs; ++i) {
    if (static_cast<size_t>(i) >= inputs.size() || inputs[static_cast<size_t>(i)].empty())
      return Error{ErrorCode::invalid_model, std::string(op.name) + " lacks its input " + std::to_string(i)};
  }
  OXPLOW_ASSIGN(auto results, op.compute({.attributes = attributes,
                                          .inputs = inputs,
                                          .outputs = outputs,
                                          .isa = machine.isa,
                                          .pool = machine.pool,
                                          .packs = machine.packs,
                                          .bodies = bodies}));
  if (results.size() < static_cast<size_t>(outputs)) {
    return Error{ErrorCode::invalid_model, std::string(op.name) + " has " + std::to_string(results.size()) +
                                               " outputs, the model names " + std::to_string(outputs)};
  }
  results.resize(static_cast<size_t>(outputs));
  return results;
}

// By the op's shape rule and its step.
Result<std::vector<Tensor>> run_step(const OpSpec& op, const Attributes& attributes, std::span<const Tensor> inputs, int outputs,
                                     const Machine& machine) {
  std::vector<Operand> in, out;
  for (const Tensor& tensor : inputs) in.push_back(dense_operand(tensor, true));
  const InferContext infer{attributes, in, outputs};
  OXPLOW_ASSIGN(TensorTypes types, infer_types(op, infer));
  if (op.known) {
    if (auto known = op.known(infer)) return std::vector<Tensor>{std::move(*known)};
  }
  std::vector<Tensor> results;
  for (int i = 0; i < outputs; ++i) {
    OXPLOW_ASSIGN(Tensor result, Tensor::allocate(types[static_cast<size_t>(i)]));
    results.push_back(std::move(result));
    out.push_back(dense_operand(results.back(), false));
  }
  if (op.view) {
    for (int i = 0; i < outputs; ++i) {
      OXPLOW_TRY(copy_view(op, infer, in[0], inputs[0].data(), i, results[static_cast<size_t>(i)], machine));
      OXPLOW_ASSIGN(results[static_cast<size_t>(i)], with_own_characters(results[static_cast<size_t>(i)]));
    }
    return results;
  }
  if (!op.prepare) return Error{ErrorCode::unsupported, std::string(op.name) + " can only be rewritten, not run by itself"};
  const PrepareContext context{attributes, in, out, machine.isa, machine.pool, machine.packs};
  std::vector<void*> in_data, out_data;
  for (const Tensor& tensor : inputs) in_data.push_back(const_cast<void*>(tensor.data()));
  BorderedImage bordered;
  if (const Border border = op.wants_border ? op.wants_border(context) : Border{}; !border.none()) {
    OXPLOW_ASSIGN(bordered, with_border(in[0], inputs[0].data(), border, machine));
    in[0] = bordered.operand;
    in_data[0] = bordered.inside;
  }
  OXPLOW_ASSIGN(auto step, op.prepare(context));
  OXPLOW_ASSIGN(Buffer workspace, Buffer::allocate(step->workspace_bytes));
  for (Tensor& tensor : results) out_data.push_back(tensor.mutable_data());
  run_step(*step, {in_data.data(), out_data.data(), workspace.data()}, machine.pool);
  for (Tensor& result : results) {
    OXPLOW_ASSIGN(result, with_own_characters(result));
  }
  return results;
}

}  // namespace

Result<std::vector<Datum>> evaluate(const OpSpec& op, const Attributes& attributes, std::span<const Datum> inputs, int outputs,
                                    const Machine& machine, BodyRunner* bodies) {
  if (op.compute && op.infer == nullptr) return compute(op, attributes, inputs, outputs, machine, bodies);
  std::vector<Tensor> tensors;
  for (const Datum& input : inputs) {
    if (input.sequence() || input.map()) {
      if (op.compute) return compute(op, attributes, inputs, outputs, machine, bodies);
      return Error{ErrorCode::invalid_model, std::string(op.name) + " wants tensors, not " + input.kind()};
    }
    tensors.push_back(input.tensor() ? *input.tensor() : Tensor{});
  }
  auto results = run_step(op, attributes, tensors, outputs, machine);
  if (!results.ok() && op.compute && results.error().code == ErrorCode::needs_values)
    return compute(op, attributes, inputs, outputs, machine, bodies);
  if (!results.ok()) return results.error();
  return std::vector<Datum>(results->begin(), results->end());
}

Result<std::vector<Tensor>> evaluate(const OpSpec& op, const Attributes& attributes, std::span<const Tensor> inputs, int outputs,
                                     const Machine& machine) {
  const std::vector<Datum> data(inputs.begin(), inputs.end());
  OXPLOW_ASSIGN(auto results, evaluate(op, attributes, data, outputs, machine, nullptr));
  std::vector<Tensor> tensors;
  for (const Datum& result : results) {
    if (!result.tensor()) return Error{ErrorCode::needs_values, std::string(op.name) + " gives " + result.kind()};
    tensors.push_back(*result.tensor());
  }
  return tensors;
}

}  // namespace oxplow
