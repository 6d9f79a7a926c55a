#include "oxplow/ops/copy.h"

#include "oxplow/kernels/copy/copy.h"

namespace oxplow {

Result<std::unique_ptr<Step>> prepare_copy(const PrepareContext& context) {
  const Operand& from = context.in(0);
  const Operand& to = context.out();
  if (bits_of(from.type.dtype) < 8) return Error{ErrorCode::unsupported, "copies of 4-bit elements"};
  const CopyPlan plan = plan_copy(from.type.dtype, to.type.dtype, to.type.shape, from.strides, to.strides);
  const CopyKernels& kernels = copy_kernels(context.isa);
  const int tasks = task_count(plan.units, static_cast<double>(plan.unit_bytes) * 0.1, context.threads());
  auto step = make_step(std::string("copy_") + kernels.isa, tasks, [plan, &kernels, tasks](const Buffers& b, int task, int) {
    const Range range = task_range(plan.units, tasks, task);
    kernels.run(plan, b.inputs[0], b.outputs[0], range.begin, range.end);
  });
  step->why = "elements move";
  return step;
}

}  // namespace oxplow
