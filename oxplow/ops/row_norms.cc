// Norms along one axis.
//   LpNormalization: y = x / |x| with the norm of attribute p (1 or 2) along attribute axis; 0 where that is 0.
//   LRN: y[c] = x[c] / (bias + alpha / size * sum of x^2 over the `size` channels around c)^beta, channels on axis 1.

#include <algorithm>
#include <cmath>

#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_rows.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_floats(const InferContext& c, int64_t axis) {
  OXPLOW_ASSIGN([[maybe_unused]] const int checked, normalized_axis(axis, c.shape(0).rank()));
  if (!is_float(c.type(0).dtype)) return Error{ErrorCode::unsupported, "a norm of " + std::string(name_of(c.type(0).dtype))};
  return TensorTypes{c.type(0)};
}

Result<TensorTypes> infer_lp(const InferContext& c) {
  const int64_t p = c.attributes.integer("p", 2);
  if (p != 1 && p != 2) return Error{ErrorCode::invalid_model, "p must be 1 or 2"};
  return infer_floats(c, c.attributes.integer("axis", -1));
}

Result<std::unique_ptr<Step>> prepare_lp(const PrepareContext& c) {
  const Shape& shape = c.in(0).type.shape;
  const AxisRows rows(shape, *normalized_axis(c.attributes.integer("axis", -1), shape.rank()));
  const bool squares = c.attributes.integer("p", 2) == 2;
  return wide_rows<double, double>(c, "lp_normalization", rows, rows.length, [squares](const double* x, double* y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += squares ? x[i] * x[i] : std::fabs(x[i]);
    const double norm = squares ? std::sqrt(sum) : sum;
    for (int64_t i = 0; i < n; ++i) y[i] = norm == 0 ? 0 : x[i] / norm;
  });
}

Result<TensorTypes> infer_lrn(const InferContext& c) {
  if (c.attributes.integer("size", 0) < 1) return Error{ErrorCode::invalid_model, "size must be at least 1"};
  return infer_floats(c, 1);
}

Result<std::unique_ptr<Step>> prepare_lrn(const PrepareContext& c) {
  const AxisRows rows(c.in(0).type.shape, 1);
  const int64_t size = std::min(c.attributes.integer("size", 1), 2 * rows.length + 1);
  const auto scale =
      static_cast<double>(c.attributes.number("alpha", 1e-4f)) / static_cast<double>(c.attributes.integer("size", 1));
  const auto beta = static_cast<double>(c.attributes.number("beta", 0.75f));
  const auto bias = static_cast<double>(c.attributes.number("bias", 1));
  return wide_rows<double, double>(c, "lrn", rows, rows.length, [=](const double* x, double* y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t first = std::max<int64_t>(0, i - (size - 1) / 2), last = std::min(n - 1, i + size / 2);
      double squares = 0;
      for (int64_t k = first; k <= last; ++k) squares += x[k] * x[k];
      y[i] = x[i] / std::pow(bias + scale * squares, beta);
    }
  });
}

}  // namespace

namespace ops {
constinit const OpSpec LpNormalization{.name = "LpNormalization", .infer = infer_lp, .prepare = prepare_lp};
constinit const OpSpec LRN{.name = "LRN", .infer = infer_lrn, .prepare = prepare_lrn};
}  // namespace ops
}  // namespace oxplow
