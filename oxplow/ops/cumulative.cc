// CumSum and CumProd: y[i] is the sum (product) of x[0 .. i] along the axis that input 1 gives. Attributes: exclusive (x[i] itself is left
// out), reverse (from the end).

#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_rows.h"

namespace oxplow {
namespace {

Result<int> axis_of(const InferContext& c) {
  OXPLOW_ASSIGN(auto axes, c.integers(1, "the axis"));
  if (axes.size() != 1) return Error{ErrorCode::invalid_model, "the axis must be one number"};
  return normalized_axis(axes[0], c.shape(0).rank());
}

Result<TensorTypes> infer_cumulative(const InferContext& c) {
  OXPLOW_ASSIGN([[maybe_unused]] const int axis, axis_of(c));
  if (!is_arithmetic(c.type(0).dtype) || c.type(0).dtype == DType::boolean)
    return Error{ErrorCode::unsupported, "running sums of " + std::string(name_of(c.type(0).dtype))};
  return TensorTypes{c.type(0)};
}

template <bool kProduct, typename Wide>
Wide combined(Wide a, Wide b) {
  if constexpr (std::is_integral_v<Wide>) {  // overflow wraps
    const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
    return static_cast<Wide>(kProduct ? x * y : x + y);
  } else {
    return kProduct ? a * b : a + b;
  }
}

template <bool kProduct>
Result<std::unique_ptr<Step>> prepare_cumulative(const PrepareContext& c) {
  const AxisRows rows(c.in(0).type.shape, *axis_of(c.infer()));
  const bool exclusive = c.attributes.integer("exclusive", 0) != 0, reverse = c.attributes.integer("reverse", 0) != 0;
  return visit_wide(c.in(0).type.dtype, [&](auto wide) {
    using Wide = decltype(wide);
    const auto run = [=](const Wide* x, Wide* y, int64_t n) {
      Wide total = kProduct ? 1 : 0;
      for (int64_t k = 0; k < n; ++k) {
        const int64_t i = reverse ? n - 1 - k : k;
        const Wide with = combined<kProduct>(total, x[i]);
        y[i] = exclusive ? total : with;
        total = with;
      }
    };
    return wide_rows<Wide, Wide>(c, kProduct ? "cumulative_product" : "cumulative_sum", rows, rows.length, run);
  });
}

}  // namespace

namespace ops {
constinit const OpSpec CumSum{
    .name = "CumSum", .infer = infer_cumulative, .prepare = prepare_cumulative<false>, .required_inputs = 2};
constinit const OpSpec CumProd{
    .name = "CumProd", .infer = infer_cumulative, .prepare = prepare_cumulative<true>, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
