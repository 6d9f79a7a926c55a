// The transformations of scores that ONNX's classifiers and regressors know and no other op has, over rows [N, C] of f32: ProbitTransform,
// the normal quantile sqrt(2) * erfinv(2p - 1) by the same closed approximation of erfinv as ONNX's reference; SoftmaxZero, a softmax in which zeros
// stay zeros.

#include <algorithm>
#include <cmath>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_transform(const InferContext& c) {
  if (c.type(0).dtype != DType::f32 || c.shape(0).rank() < 1)
    return Error{ErrorCode::unsupported, "transformed scores of " + to_string(c.type(0))};
  return TensorTypes{c.type(0)};
}

// S. Winitzki, "A handy approximation for the error function and its inverse", 2008, with a = 0.147.
float inverse_erf(float x) {
  const float product = (1 - x) * (1 + x);
  if (product == 0) return 0;
  const float log = std::log(product);
  const float v = 2 / (3.14159265f * 0.147f) + 0.5f * log;
  return std::copysign(std::sqrt(-v + std::sqrt(v * v - log / 0.147f)), x);
}

void probit(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = 1.41421356f * inverse_erf(2 * x[i] - 1);
}

void softmax_zero(const float* x, int64_t n, float* y) {
  const float greatest = *std::max_element(x, x + n);
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = std::fabs(x[i]) > 1e-7f ? std::exp(x[i] - greatest) : x[i] * std::exp(-greatest);
    sum += y[i];
  }
  for (int64_t i = 0; i < n; ++i) y[i] = sum == 0 ? 0.5f : y[i] / sum;
}

template <void (*kRow)(const float*, int64_t, float*)>
Result<std::unique_ptr<Step>> prepare_transform(const PrepareContext& c) {
  const int64_t columns = c.in(0).type.shape.back(), rows = columns == 0 ? 0 : c.in(0).type.elements() / columns;
  const int tasks = task_count(rows, 10.0 * static_cast<double>(columns), c.threads());
  auto step = make_step("transform_scores", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(rows, tasks, task);
    for (int64_t r = range.begin; r < range.end; ++r) kRow(b.in<float>(0) + r * columns, columns, b.out<float>() + r * columns);
  });
  step->why = "rows";
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec ProbitTransform{.name = "ProbitTransform", .infer = infer_transform, .prepare = prepare_transform<probit>};
constinit const OpSpec SoftmaxZero{.name = "SoftmaxZero", .infer = infer_transform, .prepare = prepare_transform<softmax_zero>};
}  // namespace ops
}  // namespace oxplow
