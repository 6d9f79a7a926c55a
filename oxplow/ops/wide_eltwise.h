#pragma once
// Elementwise functions over elements of any type, broadcast together: blocks are loaded as wide numbers (base/elements.h), computed and
// stored. One loop for all types, for what the vector kernels do not take.

#include <vector>

#include "oxplow/base/elements.h"
#include "oxplow/ops/op.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {

// The iteration space of output 0 with the inputs broadcast to it, axes merged where all walk as one.
struct EltwiseSpace {
  Shape extents;
  std::vector<Dims> strides;  // of each input, then of output 0

  explicit EltwiseSpace(const PrepareContext& context);
  // Tasks are ranges of whole blocks of the elements counted in row-major order.
  int64_t blocks() const { return (elements_of(extents) + kRunBlock - 1) / kRunBlock; }
  Range elements(Range blocks) const {
    return {blocks.begin * kRunBlock, std::min(blocks.end * kRunBlock, elements_of(extents))};
  }
};

// A step that calls function(in, out, n) on blocks: in[k] points at n numbers of input k, out at as many of output 0.
template <typename Wide, typename Function>
std::unique_ptr<Step> wide_eltwise(const PrepareContext& context, std::string kernel, Function function) {
  const EltwiseSpace space(context);
  std::vector<DType> types;
  for (const Operand& input : context.inputs) types.push_back(input.type.dtype);
  OXPLOW_CHECK(types.size() < kMaxRunOperands);
  const DType result = context.out().type.dtype;
  // Neighbours in memory that share a byte may be any part of the space apart, unless it is dense.
  const bool divisible = bits_of(result) >= 8 || (space.extents.rank() == 1 && space.strides.back()[0] == 1);
  const int tasks = divisible ? task_count(space.blocks(), 4.0 * kRunBlock, context.threads()) : 1;
  auto step = make_step(std::move(kernel), tasks, [=](const Buffers& b, int task, int) {
    Wide blocks[kMaxRunOperands][kRunBlock];
    const Wide* in[kMaxRunOperands];
    for (size_t i = 0; i < types.size(); ++i) in[i] = blocks[i];
    Wide* out = blocks[types.size()];
    const Range range = space.elements(task_range(space.blocks(), tasks, task));
    for_each_run(space.extents, space.strides, range.begin, range.end, [&](const RunOffsets& at, int64_t n) {
      for (size_t i = 0; i < types.size(); ++i)
        load_elements(types[i], b.inputs[i], at[i], space.strides[i].back(), n, blocks[i]);
      function(in, out, n);
      store_elements(result, b.outputs[0], at[types.size()], space.strides.back().back(), n, out);
    });
  });
  step->why = "elements of any type";
  return step;
}

}  // namespace oxplow
