#include "oxplow/ops/wide_matmul.h"

#include <algorithm>

#include "oxplow/base/elements.h"
#include "oxplow/ops/runs.h"

namespace oxplow {
namespace {

// Phase 0 copies both operands as wide numbers, dense; phase 1 computes rows of y. Wide is double or, for integers, uint64_t, in which
// sums wrap alike with and without signs.
template <typename Wide>
class WideMatMulStep final : public Step {
 public:
  WideMatMulStep(const PrepareContext& c, const WideMatMul& s) : shape_(s), result_(c.out().type.dtype) {
    for (int i : {0, 1}) {
      Copy& copy = copies_[i];
      copy.dtype = c.in(i).type.dtype;
      copy.extents = s.batch;
      copy.extents.push_back(i == 0 ? s.m : s.k);
      copy.extents.push_back(i == 0 ? s.k : s.n);
      copy.strides[0] = i == 0 ? s.a_strides : s.b_strides;
    }
    rows_ = elements_of(s.batch) * s.m;
    const double row_ns = static_cast<double>(s.n) * static_cast<double>(s.k) * 0.5;
    phase_tasks = {2, task_count(rows_, row_ns, c.threads())};
    const auto elements =
        static_cast<size_t>(elements_of(copies_[0].extents)) + static_cast<size_t>(elements_of(copies_[1].extents));
    workspace_bytes = (elements + static_cast<size_t>(c.threads()) * static_cast<size_t>(s.n)) * sizeof(Wide);
    kernel = "wide_matmul";
    why = "elements of any type";
  }

  void run(const Buffers& b, int phase, int task, int worker) const override {
    auto* a = reinterpret_cast<Wide*>(b.workspace);
    Wide* right = a + elements_of(copies_[0].extents);
    if (phase == 0) return copies_[task].run(b.inputs[task], task == 0 ? a : right);
    Wide* y = right + elements_of(copies_[1].extents) + worker * shape_.n;
    const Range range = task_range(rows_, phase_tasks[1], task);
    for (int64_t row = range.begin; row < range.end; ++row) {
      const Wide* matrix = right + row / shape_.m * shape_.k * shape_.n;
      std::fill(y, y + shape_.n, Wide{0});
      for (int64_t k = 0; k < shape_.k; ++k) {
        const Wide factor = a[row * shape_.k + k];
        for (int64_t j = 0; j < shape_.n; ++j) y[j] += factor * matrix[k * shape_.n + j];
      }
      store_elements(result_, b.outputs[0], row * shape_.y_row, 1, shape_.n, y);
    }
  }

 private:
  struct Copy {
    DType dtype;
    Shape extents;
    Dims strides[1];

    void run(const void* from, Wide* to) const {
      for_each_run(extents, strides, 0, elements_of(extents), [&](const RunOffsets& at, int64_t n) {
        load_elements(dtype, from, at[0], strides[0].back(), n, to);
        to += n;
      });
    }
  };

  WideMatMul shape_;
  Copy copies_[2];
  DType result_;
  int64_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<Step>> wide_matmul(const PrepareContext& context, const WideMatMul& s) {
  constexpr int64_t kMost = int64_t{1} << 34;  // elements: 128 GiB
  int64_t elements = 0;
  for (int64_t matrix : {s.m, s.n}) {
    int64_t count = elements_of(s.batch);
    if (__builtin_mul_overflow(count, std::max<int64_t>(matrix, 1), &count) ||
        __builtin_mul_overflow(count, std::max<int64_t>(s.k, 1), &count) || (elements += count / 2) > kMost)
      return Error{ErrorCode::unsupported, "a matrix product of " + std::string(name_of(context.in(0).type.dtype)) +
                                               " too large to be computed in 64 bits an element"};
  }
  if (is_float(context.in(0).type.dtype)) return std::unique_ptr<Step>(std::make_unique<WideMatMulStep<double>>(context, s));
  return std::unique_ptr<Step>(std::make_unique<WideMatMulStep<uint64_t>>(context, s));
}

}  // namespace oxplow
