#include "oxplow/ops/wide_norm.h"

#include <cmath>
#include <vector>

#include "oxplow/base/elements.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

class WideNormStep final : public Step {
 public:
  WideNormStep(const PrepareContext& c, const WideNorm& norm) : norm_(norm), strides_{norm.scale_strides} {
    const bool has_bias = c.has(2);
    if (has_bias) strides_.push_back(norm.bias_strides);
    merge_axes(norm_.extents, strides_);
    for (const Operand& operand : c.inputs) types_.push_back(operand.type.dtype);
    result_ = c.out().type.dtype;
    for (int i : {1, 2}) has_statistic_[i - 1] = static_cast<int>(c.outputs.size()) > i && c.out(i).present;
    const double row_ns = static_cast<double>(norm.columns) * 6;
    // Rows that share bytes do not occur: floats have 8 bits or more.
    phase_tasks = {task_count(norm.rows, row_ns, c.threads())};
    workspace_bytes = static_cast<size_t>(c.threads()) * static_cast<size_t>(norm.columns) * sizeof(double);
    kernel = norm.centered ? "wide_layer_norm" : "wide_rms_norm";
    why = "elements of any type";
  }

  void run(const Buffers& b, int, int task, int worker) const override {
    auto* row = reinterpret_cast<double*>(b.workspace) + worker * norm_.columns;
    const Range range = task_range(norm_.rows, phase_tasks[0], task);
    for (int64_t r = range.begin; r < range.end; ++r) {
      load_elements(types_[0], b.inputs[0], r * norm_.columns, 1, norm_.columns, row);
      const auto n = static_cast<double>(norm_.columns);
      double mean = 0, squares = 0;
      if (norm_.centered) {
        for (int64_t i = 0; i < norm_.columns; ++i) mean += row[i];
        mean /= n;
      }
      for (int64_t i = 0; i < norm_.columns; ++i) {
        row[i] -= mean;
        squares += row[i] * row[i];
      }
      const double inverse = 1 / std::sqrt(squares / n + norm_.epsilon);
      if (has_statistic_[0]) b.out<float>(1)[r] = static_cast<float>(mean);
      if (has_statistic_[1]) b.out<float>(2)[r] = static_cast<float>(inverse);
      finish(b, r, row, inverse);
    }
  }

 private:
  void finish(const Buffers& b, int64_t r, const double* row, double inverse) const {
    double scale[kRunBlock], bias[kRunBlock] = {}, y[kRunBlock];
    int64_t done = 0;
    for_each_run(norm_.extents, strides_, r * norm_.columns, (r + 1) * norm_.columns, [&](const RunOffsets& at, int64_t n) {
      load_elements(types_[1], b.inputs[1], at[0], strides_[0].back(), n, scale);
      if (strides_.size() > 1) load_elements(types_[2], b.inputs[2], at[1], strides_[1].back(), n, bias);
      for (int64_t i = 0; i < n; ++i) y[i] = row[done + i] * inverse * scale[i] + bias[i];
      store_elements(result_, b.outputs[0], r * norm_.columns + done, 1, n, y);
      done += n;
    });
  }

  WideNorm norm_;
  std::vector<Dims> strides_;  // of scale and bias
  std::vector<DType> types_;
  DType result_;
  bool has_statistic_[2] = {};
};

}  // namespace

std::unique_ptr<Step> wide_norm(const PrepareContext& context, const WideNorm& norm) {
  return std::make_unique<WideNormStep>(context, norm);
}

}  // namespace oxplow
