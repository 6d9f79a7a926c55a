// LinearAttention: a recurrence over time of a state S [D, Dv] for each key head, rules "linear", "gated", "delta" and "gated_delta":
//   S <- exp(decay) S (gated);  v <- beta (v - S^T k) (delta);  S <- S + k v^T;  y = scale S^T q
//   inputs: q [B, T, H D], k [B, T, G D], v [B, T, G Dv], past state [B, G, D, Dv], decay [B, T, G] or [B, T, G D], beta [B, T, G] or
//   [B, T, 1]; outputs: y [B, T, H Dv] and the last state. Query heads h of one key head g = h / (H / G) read the same state.

#include <cmath>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

enum Input { kQuery, kKey, kValue, kPast, kDecay, kBeta };

struct Recurrence {
  int64_t batch = 0, steps = 0, heads = 0, groups = 0, columns = 0, values = 0;
  int64_t decay_columns = 0, beta_columns = 0;  // 0: none
  bool delta = false;
  float scale = 1;
};

Result<Recurrence> recurrence_of(const InferContext& c) {
  const Shape &q = c.shape(kQuery), &k = c.shape(kKey), &v = c.shape(kValue);
  Recurrence r;
  r.heads = c.attributes.integer("q_num_heads", 0);
  r.groups = c.attributes.integer("kv_num_heads", 0);
  const auto misfit = [&](const std::string& what) {
    return Error{ErrorCode::invalid_model, "linear attention of " + to_string(c.type(0)) + ", " + to_string(c.type(1)) + " and " +
                                               to_string(c.type(2)) + ": " + what};
  };
  if (r.heads <= 0 || r.groups <= 0 || r.heads % r.groups != 0) return misfit("q_num_heads is no multiple of kv_num_heads");
  if (q.rank() != 3 || k.rank() != 3 || v.rank() != 3 || q[2] % r.heads != 0 || v[2] % r.groups != 0)
    return misfit("no such heads");
  r.batch = q[0], r.steps = q[1], r.columns = q[2] / r.heads, r.values = v[2] / r.groups;
  if (k != Shape{q[0], q[1], r.groups * r.columns} || v[0] != q[0] || v[1] != q[1]) return misfit("the shapes differ");
  if (c.has(kPast) && c.shape(kPast) != Shape{r.batch, r.groups, r.columns, r.values})
    return misfit("the past state does not fit");
  const std::string rule = c.attributes.text("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta";
  r.delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !r.delta && rule != "linear") return Error{ErrorCode::unsupported, "the update rule '" + rule + "'"};
  if (gated != c.has(kDecay) || r.delta != c.has(kBeta)) return misfit("decay or beta do not go with the rule '" + rule + "'");
  for (int i : {int{kDecay}, int{kBeta}}) {
    if (!c.has(i)) continue;
    const Shape& s = c.shape(i);
    if (s.rank() != 3 || s[0] != r.batch || s[1] != r.steps) return misfit("decay or beta do not fit");
    (i == kDecay ? r.decay_columns : r.beta_columns) = s[2];
  }
  if (gated && r.decay_columns != r.groups && r.decay_columns != r.groups * r.columns) return misfit("the decay does not fit");
  if (r.delta && r.beta_columns != r.groups && r.beta_columns != 1) return misfit("beta does not fit");
  for (int i = 1; i < static_cast<int>(c.inputs.size()); ++i) {
    if (c.has(i) && i != kPast && c.type(i).dtype != c.type(0).dtype) return misfit("types differ");
  }
  r.scale = c.attributes.number("scale", 0);
  if (r.scale == 0) r.scale = 1 / std::sqrt(static_cast<float>(r.columns));
  return r;
}

Result<TensorTypes> infer_linear_attention(const InferContext& c) {
  OXPLOW_ASSIGN(const Recurrence r, recurrence_of(c));
  const DType state = c.has(kPast) ? c.type(kPast).dtype : c.type(0).dtype;
  if (state != c.type(0).dtype && state != DType::f32)
    return Error{ErrorCode::unsupported, "a state of " + std::string(name_of(state))};
  return TensorTypes{{c.type(0).dtype, Shape{r.batch, r.steps, r.heads * r.values}},
                     {state, Shape{r.batch, r.groups, r.columns, r.values}}};
}

// All steps of one key head of one batch. `state` and `value` are scratch.
template <typename T, typename C>
struct KeyHead {
  const Recurrence& r;
  const T *q, *k, *v, *decay, *beta;
  T* y;
  C *state, *value;

  void run(int64_t n, int64_t g) const {
    for (int64_t t = 0; t < r.steps; ++t) {
      const int64_t row = n * r.steps + t;
      const T* key = k + (row * r.groups + g) * r.columns;
      if (decay) fade(row, g);
      for (int64_t m = 0; m < r.values; ++m) value[m] = static_cast<C>(v[(row * r.groups + g) * r.values + m]);
      if (r.delta) correct(key, static_cast<C>(beta[row * r.beta_columns + (r.beta_columns == 1 ? 0 : g)]));
      for (int64_t d = 0; d < r.columns; ++d) {
        const C x = static_cast<C>(key[d]);
        for (int64_t m = 0; m < r.values; ++m) state[d * r.values + m] += x * value[m];
      }
      const int64_t of_group = r.heads / r.groups;
      for (int64_t h = g * of_group; h < (g + 1) * of_group; ++h) read(row, h);
    }
  }
  void fade(int64_t row, int64_t g) const {
    const bool by_column = r.decay_columns != r.groups;
    for (int64_t d = 0; d < r.columns; ++d) {
      const int64_t at = row * r.decay_columns + (by_column ? g * r.columns + d : g);
      const C keep = std::exp(static_cast<C>(decay[at]));
      for (int64_t m = 0; m < r.values; ++m) state[d * r.values + m] *= keep;
    }
  }
  void correct(const T* key, C weight) const {
    for (int64_t d = 0; d < r.columns; ++d) {
      const C x = static_cast<C>(key[d]);
      for (int64_t m = 0; m < r.values; ++m) value[m] -= state[d * r.values + m] * x;
    }
    for (int64_t m = 0; m < r.values; ++m) value[m] *= weight;
  }
  void read(int64_t row, int64_t h) const {
    const T* query = q + (row * r.heads + h) * r.columns;
    for (int64_t m = 0; m < r.values; ++m) value_read()[m] = 0;
    for (int64_t d = 0; d < r.columns; ++d) {
      const C x = static_cast<C>(query[d]);
      for (int64_t m = 0; m < r.values; ++m) value_read()[m] += x * state[d * r.values + m];
    }
    for (int64_t m = 0; m < r.values; ++m) y[(row * r.heads + h) * r.values + m] = T(static_cast<C>(r.scale) * value_read()[m]);
  }
  C* value_read() const { return value + r.values; }
};

template <typename T, typename S>
std::unique_ptr<Step> linear_attention(const PrepareContext& c, const Recurrence& r) {
  using C = Wide<T>;
  const int64_t units = r.batch * r.groups, cells = r.columns * r.values;
  const int tasks = part_count(units, units);
  const size_t scratch = round_up(static_cast<size_t>(cells + 2 * r.values) * sizeof(C), kCacheLine);
  const bool has_past = c.has(kPast), has_decay = c.has(kDecay), has_beta = c.has(kBeta);
  const bool gives_state = c.outputs.size() > 1 && c.out(1).present;
  auto step = make_step("linear_attention", tasks, [=](const Buffers& b, int task, int worker) {
    if (task >= units) return;
    auto* state = reinterpret_cast<C*>(b.workspace + static_cast<size_t>(worker) * scratch);
    for (int64_t i = 0; i < cells; ++i) state[i] = has_past ? static_cast<C>(b.in<S>(kPast)[task * cells + i]) : C{0};
    const KeyHead<T, C> head{r,
                             b.in<T>(kQuery),
                             b.in<T>(kKey),
                             b.in<T>(kValue),
                             has_decay ? b.in<T>(kDecay) : nullptr,
                             has_beta ? b.in<T>(kBeta) : nullptr,
                             b.out<T>(),
                             state,
                             state + cells};
    head.run(task / r.groups, task % r.groups);
    for (int64_t i = 0; gives_state && i < cells; ++i) b.out<S>(1)[task * cells + i] = S(state[i]);
  });
  step->workspace_bytes = scratch * static_cast<size_t>(c.threads());
  step->why = "step by step, heads in parallel";
  return step;
}

Result<std::unique_ptr<Step>> prepare_linear_attention(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Recurrence r, recurrence_of(c.infer()));
  const DType dtype = c.in(0).type.dtype, state = c.has(kPast) ? c.in(kPast).type.dtype : dtype;
  return visit_floating(dtype, "LinearAttention", [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    if (state == dtype) return linear_attention<T, T>(c, r);
    return linear_attention<T, float>(c, r);
  });
}

}  // namespace

namespace ops {
constinit const OpSpec LinearAttention{
    .name = "LinearAttention", .infer = infer_linear_attention, .prepare = prepare_linear_attention, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
