// Attention: y = softmax(scale q k^T + mask) v, heads in parallel.
//   inputs: q [B, Sq, H, D], k [B, Sk, H, D], v [B, Sk, H, Dv], mask (optional, broadcast to [B, H, Sq, Sk]); output [B, Sq, H, Dv]

#include "oxplow/kernels/attention/attention.h"

#include "oxplow/ops/op.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_attention(const InferContext& c) {
  const Shape &q = c.shape(0), &k = c.shape(1), &v = c.shape(2);
  if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4 || q[0] != k[0] || q[0] != v[0] || k[1] != v[1] || k[2] != v[2] ||
      q[3] != k[3] || k[2] == 0 || q[2] % k[2] != 0) {
    return Error{ErrorCode::invalid_model,
                 "attention of " + to_string(c.type(0)) + ", " + to_string(c.type(1)) + " and " + to_string(c.type(2))};
  }
  if (c.type(1).dtype != c.type(0).dtype || c.type(2).dtype != c.type(0).dtype || (c.has(3) && c.type(3).dtype != DType::f32)) {
    return Error{ErrorCode::invalid_model, "attention of " + to_string(c.type(0)) + ", " + to_string(c.type(1)) + " and " +
                                               to_string(c.type(2)) + ": types differ, or the mask is not f32"};
  }
  if (c.has(3)) {
    OXPLOW_TRY([&]() -> Status {
      OXPLOW_ASSIGN(const Shape all, broadcast(c.shape(3), Shape{q[0], q[2], q[1], k[1]}));
      if (all != Shape{q[0], q[2], q[1], k[1]}) return Error{ErrorCode::invalid_model, "a mask of " + to_string(c.shape(3))};
      return {};
    }());
  }
  return TensorTypes{{c.type(0).dtype, Shape{q[0], q[1], q[2], v[3]}}};
}

Result<std::unique_ptr<Step>> prepare_attention(const PrepareContext& c) {
  const AttentionKernel* kernel = find_attention(c.isa, c.in(0).type.dtype);
  if (kernel == nullptr) return Error{ErrorCode::unsupported, "attention of " + std::string(name_of(c.in(0).type.dtype))};
  const Operand &q = c.in(0), &k = c.in(1), &v = c.in(2), &y = c.out();
  AttentionArgs args{.batch = q.type.shape[0],
                     .queries = q.type.shape[1],
                     .keys = k.type.shape[1],
                     .heads = q.type.shape[2],
                     .kv_heads = k.type.shape[2],
                     .head_dim = q.type.shape[3],
                     .value_dim = v.type.shape[3]};
  args.q_batch = q.strides[0], args.q_row = q.strides[1], args.q_head = q.strides[2];
  args.k_batch = k.strides[0], args.k_row = k.strides[1], args.k_head = k.strides[2];
  args.v_batch = v.strides[0], args.v_row = v.strides[1], args.v_head = v.strides[2];
  args.y_batch = y.strides[0], args.y_row = y.strides[1], args.y_head = y.strides[2];
  args.scale = c.attributes.number("scale", 1);
  args.causal = c.attributes.integer("causal", 0) != 0;
  args.causal_offset = args.keys - args.queries;
  const bool has_mask = c.has(3);
  if (has_mask) {
    const Dims mask = broadcast_strides(c.in(3), Shape{args.batch, args.heads, args.queries, args.keys});
    args.mask_batch = mask[0], args.mask_head = mask[1], args.mask_query = mask[2], args.mask_key = mask[3];
  }
  const int64_t units = kernel->tasks(args);
  const double unit_ns =
      static_cast<double>(args.batch * args.heads * args.queries * args.keys * (args.head_dim + args.value_dim)) / 50 /
      static_cast<double>(std::max<int64_t>(units, 1));
  const int tasks = task_count(units, unit_ns, c.threads());
  const size_t scratch = round_up(kernel->scratch_bytes(args), kCacheLine);
  auto step = make_step(kernel->name, tasks, [=](const Buffers& b, int task, int worker) {
    AttentionArgs bound = args;
    bound.q = b.inputs[0];
    bound.k = b.inputs[1];
    bound.v = b.inputs[2];
    bound.mask = has_mask ? b.in<float>(3) : nullptr;
    bound.y = b.outputs[0];
    const Range range = task_range(units, tasks, task);
    kernel->run(bound, range.begin, range.end, b.workspace + static_cast<size_t>(worker) * scratch);
  });
  step->workspace_bytes = scratch * static_cast<size_t>(c.threads());
  step->why = "scores stay in cache: one pass over the keys";
  return step;
}

bool attention_accepts(const PrepareContext& c, int i) { return i == 3 || c.in(i).rows_contiguous(); }

Cost attention_cost(const PrepareContext& c) {
  const Shape &q = c.in(0).type.shape, &k = c.in(1).type.shape, &v = c.in(2).type.shape;
  Cost cost;
  cost.flops = 2.0 * static_cast<double>(q[0] * q[1] * q[2] * k[1] * (q[3] + v[3]));
  for (int i = 0; i < 3; ++i) cost.bytes += static_cast<double>(c.in(i).type.bytes());
  cost.bytes += static_cast<double>(c.out().type.bytes());
  return cost;
}

}  // namespace

namespace ops {
constinit const OpSpec Attention{.name = "Attention",
                                 .infer = infer_attention,
                                 .prepare = prepare_attention,
                                 .accepts_input = attention_accepts,
                                 .accepts_output = writes_rows,
                                 .cost = attention_cost,
                                 .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
