// Det: the determinants of square matrices, the last two axes of a floating tensor, by elimination with pivots in double.

#include <cmath>
#include <utility>

#include "oxplow/base/elements.h"
#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_det(const InferContext& c) {
  const Shape& x = c.shape(0);
  if (!is_float(c.type(0).dtype)) return Error{ErrorCode::unsupported, "determinants of " + to_string(c.type(0))};
  if (x.rank() < 2 || x.back() != x[x.rank() - 2])
    return Error{ErrorCode::invalid_model, to_string(x) + " are no square matrices"};
  return TensorTypes{{c.type(0).dtype, Shape(std::span(x.begin(), x.size() - 2))}};
}

// Of the n x n matrix a, which it destroys.
double determinant(double* a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    }
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      for (int64_t j = k; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
      result = -result;
    }
    result *= a[k * n + k];
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (int64_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

Result<std::unique_ptr<Step>> prepare_det(const PrepareContext& c) {
  const DType dtype = c.in(0).type.dtype;
  const int64_t n = c.in(0).type.shape.back(), matrices = c.out().type.elements();
  const double size = static_cast<double>(n);
  const int tasks = task_count(matrices, size * size * size + 20, c.threads());
  auto step = make_step("det", tasks, [=](const Buffers& b, int task, int worker) {
    double* matrix = reinterpret_cast<double*>(b.workspace) + worker * n * n;
    const Range range = task_range(matrices, tasks, task);
    for (int64_t i = range.begin; i < range.end; ++i) {
      load_elements(dtype, b.inputs[0], i * n * n, 1, n * n, matrix);
      const double result = determinant(matrix, n);
      store_elements(dtype, b.outputs[0], i, 1, 1, &result);
    }
  });
  step->workspace_bytes = static_cast<size_t>(c.threads()) * static_cast<size_t>(n * n) * sizeof(double);
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec Det{.name = "Det", .infer = infer_det, .prepare = prepare_det};
}  // namespace ops
}  // namespace oxplow
