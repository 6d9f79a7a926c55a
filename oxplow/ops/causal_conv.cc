// CausalConvWithState: a depthwise convolution over time that sees only the past,
//   y[b][c][t] = activation(bias[c] + sum over i < K of w[c][0][i] * x[b][c][t + i - (K - 1)]), "none" or "silu".
//   inputs: x [B, C, T], w [C, 1, K], bias [C], the K - 1 steps before x [B, C, K - 1] (default 0); outputs: y and the last K - 1 steps.

#include <cmath>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_causal_conv(const InferContext& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  const std::string activation = c.attributes.text("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return Error{ErrorCode::unsupported, "the activation '" + activation + "'"};
  bool fits = x.rank() == 3 && w.rank() == 3 && w[0] == x[1] && w[1] == 1 && w[2] >= 1;
  fits = fits && (!c.has(2) || c.shape(2) == Shape{x[1]}) && (!c.has(3) || c.shape(3) == Shape{x[0], x[1], w[2] - 1});
  for (int i = 1; fits && i < static_cast<int>(c.inputs.size()); ++i) fits = !c.has(i) || c.type(i).dtype == c.type(0).dtype;
  if (!fits)
    return Error{ErrorCode::invalid_model, "a causal convolution of " + to_string(c.type(0)) + " by " + to_string(c.type(1))};
  return TensorTypes{c.type(0), {c.type(0).dtype, Shape{x[0], x[1], w[2] - 1}}};
}

template <typename T>
std::unique_ptr<Step> causal_conv(const PrepareContext& c) {
  using C = Wide<T>;
  const Shape x = c.in(0).type.shape;
  const int64_t channels = x[1], steps = x[2], taps = c.in(1).type.shape[2], before = taps - 1, lines = x[0] * channels;
  const bool has_bias = c.has(2), has_past = c.has(3), silu = c.attributes.text("activation", "none") != "none";
  const bool gives_state = c.outputs.size() > 1 && c.out(1).present;
  const int tasks = task_count(lines, static_cast<double>(steps * taps) * 0.5, c.threads());
  return make_step("causal_conv", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(lines, tasks, task);
    for (int64_t line = range.begin; line < range.end; ++line) {
      const T* w = b.in<T>(1) + line % channels * taps;
      // Step t of the line, those before 0 from the past.
      const auto at = [&](int64_t t) {
        if (t >= 0) return b.in<T>(0)[line * steps + t];
        return has_past ? b.in<T>(3)[line * before + before + t] : T(0);
      };
      for (int64_t t = 0; t < steps; ++t) {
        C sum = has_bias ? static_cast<C>(b.in<T>(2)[line % channels]) : C{0};
        for (int64_t i = 0; i < taps; ++i) sum += static_cast<C>(w[i]) * static_cast<C>(at(t + i - before));
        sum = static_cast<C>(T(sum));
        b.out<T>()[line * steps + t] = T(silu ? sum / (1 + std::exp(-sum)) : sum);
      }
      for (int64_t i = 0; gives_state && i < before; ++i) b.out<T>(1)[line * before + i] = at(steps - before + i);
    }
  });
}

Result<std::unique_ptr<Step>> prepare_causal_conv(const PrepareContext& c) {
  return visit_floating(c.in(0).type.dtype, "CausalConvWithState",
                        [&](auto t) -> Result<std::unique_ptr<Step>> { return causal_conv<decltype(t)>(c); });
}

}  // namespace

namespace ops {
constinit const OpSpec CausalConvWithState{
    .name = "CausalConvWithState", .infer = infer_causal_conv, .prepare = prepare_causal_conv, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
