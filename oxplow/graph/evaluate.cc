#include "oxplow/graph/evaluate.h"

#include "oxplow/ops/copy.h"

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

// A view op's output, made dense by copying.
Status copy_view(const OpSpec& op, const InferContext& infer, Operand source, const void* data, int output, Tensor& result,
                 const Attributes& attributes, const Machine& machine) {
  auto view = op.view(infer, result.shape(), output);
  OXPLOW_CHECK(view.has_value());  // dense inputs always allow one
  source.type.shape = result.shape();
  source.strides = view->strides;
  source.constant = nullptr;
  const Operand target = dense_operand(result, false);
  OXPLOW_ASSIGN(auto step, prepare_copy({attributes, {&source, 1}, {&target, 1}, machine.isa, machine.pool, machine.packs}));
  const auto* from = static_cast<const std::byte*>(data) + bytes_of(source.type.dtype, static_cast<size_t>(view->offset));
  void* in[] = {const_cast<std::byte*>(from)};
  void* out[] = {result.mutable_data()};
  run_step(*step, {in, out, nullptr}, machine.pool);
  return {};
}

}  // namespace

Result<std::vector<Tensor>> evaluate(const OpSpec& op, const Attributes& attributes, std::span<const Tensor> inputs, int outputs,
                                     const Machine& machine) {
  std::vector<Operand> in, out;
  for (const Tensor& tensor : inputs) in.push_back(dense_operand(tensor, true));
  const InferContext infer{attributes, in, outputs};
  OXPLOW_ASSIGN(TensorTypes types, op.infer(infer));
  std::vector<Tensor> results;
  for (int i = 0; i < outputs; ++i) {
    OXPLOW_ASSIGN(Tensor result, Tensor::allocate(types[static_cast<size_t>(i)]));
    results.push_back(std::move(result));
    out.push_back(dense_operand(results.back(), false));
  }
  if (op.view) {
    for (int i = 0; i < outputs; ++i) {
      OXPLOW_TRY(copy_view(op, infer, in[0], inputs[0].data(), i, results[static_cast<size_t>(i)], attributes, machine));
    }
    return results;
  }
  OXPLOW_ASSIGN(auto step, op.prepare({attributes, in, out, machine.isa, machine.pool, machine.packs}));
  OXPLOW_ASSIGN(Buffer workspace, Buffer::allocate(step->workspace_bytes));
  std::vector<void*> in_data, out_data;
  for (const Tensor& tensor : inputs) in_data.push_back(const_cast<void*>(tensor.data()));
  for (Tensor& tensor : results) out_data.push_back(tensor.mutable_data());
  run_step(*step, {in_data.data(), out_data.data(), workspace.data()}, machine.pool);
  return results;
}

}  // namespace oxplow
