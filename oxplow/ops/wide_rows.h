#pragma once
// Functions of whole rows over elements of any type: softmax, running sums, norms. Rows are loaded as wide numbers (base/elements.h),
// computed and stored.

#include "oxplow/base/elements.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// A dense tensor as rows along an axis, `inner` elements apart.
struct AxisRows {
  int64_t outer = 1, length = 1, inner = 1;

  AxisRows() = default;
  // Along `axis`, or, when `coerce`d, along that and all after it as one.
  AxisRows(const Shape& shape, int axis, bool coerce = false)
      : outer(product(shape, 0, axis)),
        length(product(shape, axis, coerce ? shape.rank() : axis + 1)),
        inner(coerce ? 1 : product(shape, axis + 1, shape.rank())) {}
  int64_t rows() const { return outer * inner; }
  // Where row `row` begins if rows have `extent` elements.
  int64_t first(int64_t row, int64_t extent) const { return row / inner * extent * inner + row % inner; }
};

// A step that calls function(x, y, n) for each row x of input 0, n numbers, to have `result_length` numbers y of the same row of output 0.
// Both tensors are dense; elements have 8 bits or more.
template <typename In, typename Out, typename Function>
std::unique_ptr<Step> wide_rows(const PrepareContext& context, std::string kernel, const AxisRows& rows, int64_t result_length,
                                Function function) {
  const DType from = context.in(0).type.dtype, to = context.out().type.dtype;
  const int tasks = task_count(rows.rows(), static_cast<double>(rows.length) * 8, context.threads());
  const auto in_bytes = static_cast<size_t>(rows.length) * sizeof(In),
             out_bytes = static_cast<size_t>(result_length) * sizeof(Out);
  auto step = make_step(std::move(kernel), tasks, [=](const Buffers& b, int task, int worker) {
    auto* x = reinterpret_cast<In*>(b.workspace + static_cast<size_t>(worker) * (in_bytes + out_bytes));
    auto* y = reinterpret_cast<Out*>(reinterpret_cast<std::byte*>(x) + in_bytes);
    const Range range = task_range(rows.rows(), tasks, task);
    for (int64_t row = range.begin; row < range.end; ++row) {
      load_elements(from, b.inputs[0], rows.first(row, rows.length), rows.inner, rows.length, x);
      function(static_cast<const In*>(x), y, rows.length);
      store_elements(to, b.outputs[0], rows.first(row, result_length), rows.inner, result_length, y);
    }
  });
  step->workspace_bytes = static_cast<size_t>(context.threads()) * (in_bytes + out_bytes);
  step->why = "rows of any type";
  return step;
}

}  // namespace oxplow
