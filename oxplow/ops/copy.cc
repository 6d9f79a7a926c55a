#include "oxplow/ops/copy.h"

#include "oxplow/base/elements.h"
#include "oxplow/kernels/copy/copy.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {

namespace {

// Elements that share bytes, by one thread: neighbours are anybody's.
std::unique_ptr<Step> copy_packed(const Operand& from, const Operand& to) {
  Shape extents = to.type.shape;
  std::vector<Dims> strides{from.strides, to.strides};
  if (extents.empty()) extents.push_back(1), strides[0].push_back(0), strides[1].push_back(0);
  merge_axes(extents, strides);
  const DType dtype = to.type.dtype;
  return make_step("copy_packed", 1, [=](const Buffers& b, int, int) {
    double block[kRunBlock];
    for_each_run(extents, strides, 0, elements_of(extents), [&](const RunOffsets& at, int64_t n) {
      load_elements(dtype, b.inputs[0], at[0], strides[0].back(), n, block);
      store_elements(dtype, b.outputs[0], at[1], strides[1].back(), n, block);
    });
  });
}

// Elements of 16 bytes as two of 8 each.
Operand halved(Operand operand) {
  for (int64_t& stride : operand.strides) stride *= 2;
  operand.strides.push_back(1);
  operand.type.shape.push_back(2);
  operand.type.dtype = DType::i64;
  return operand;
}

}  // namespace

Result<std::unique_ptr<Step>> prepare_copy(const PrepareContext& context) {
  const bool wide = bits_of(context.in(0).type.dtype) == 128;
  if (wide && context.out().type.shape.rank() == kMaxRank)
    return Error{ErrorCode::unsupported, "more than 9 axes of " + std::string(name_of(context.out().type.dtype))};
  const Operand from = wide ? halved(context.in(0)) : context.in(0);
  const Operand to = wide ? halved(context.out()) : context.out();
  if (bits_of(from.type.dtype) < 8) return copy_packed(from, to);
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
