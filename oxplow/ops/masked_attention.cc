// ONNX's Attention with all it may have: a cache, grouped heads, masks, a causal or sliding window, soft capping, the scores as an output.
//   inputs: q, k, v as [B, H, S, D] or [B, S, H D]; mask (boolean or added, broadcast to [B, H, Sq, Sk]); past key and value
//   [B, H, P, D]; lengths [B] of the keys that are no padding. outputs: y; present key and value (past, then new); scores [B, H, Sq, Sk].
//   y = softmax(cap(scale q k^T) + mask) v; query i sits at position i + offset among the keys, offset being the length of the past (or
//   the valid keys less the queries). A query that sees no key gives zeros.
// The plain cases run in the kernel of ops/attention.cc; the others row by row, rounding to the element type where ONNX's own
// definition has a tensor of it.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "oxplow/kernels/attention/attention.h"
#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

enum Input { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kLengths };
enum Output { kResult, kPresentKey, kPresentValue, kScores };

// [batch][head][row][column], the column contiguous.
struct Heads {
  int64_t heads = 0, rows = 0, columns = 0;
  int64_t batch_stride = 0, head_stride = 0, row_stride = 0;
  int64_t at(int64_t b, int64_t h, int64_t i) const { return b * batch_stride + h * head_stride + i * row_stride; }
};

Heads separate_heads(int64_t heads, int64_t rows, int64_t columns) {
  return {heads, rows, columns, heads * rows * columns, rows * columns, columns};
}
Heads joined_heads(int64_t heads, int64_t rows, int64_t columns) {
  return {heads, rows, columns, heads * rows * columns, columns, heads * columns};
}

Result<Heads> heads_of(const Shape& shape, int64_t heads, const char* what) {
  if (shape.rank() == 4) return separate_heads(shape[1], shape[2], shape[3]);
  if (shape.rank() == 3 && heads > 0 && shape[2] % heads == 0) return joined_heads(heads, shape[1], shape[2] / heads);
  return Error{ErrorCode::invalid_model,
               std::string(what) + " of " + to_string(shape) + " has no " + std::to_string(heads) + " heads"};
}

struct Call {
  int64_t batch = 0, past = 0, keys = 0;  // keys: past and new
  bool joined = false;                    // [B, S, H D]
  Heads q, k, v, y;
  float scale = 1, softcap = 0;
  bool causal = false;
  int64_t left = -1, right = -1;  // how far a query sees; -1: any distance
  int64_t scores_mode = 0;        // what the scores output shows: 0 q k, 1 capped, 2 with the mask, 3 the softmax
  DType softmax_type = DType::f32;
};

Result<Call> call_of(const InferContext& c) {
  const Shape &q = c.shape(kQuery), &k = c.shape(kKey), &v = c.shape(kValue);
  const auto misfit = [&] {
    return Error{ErrorCode::invalid_model,
                 "attention of " + to_string(c.type(0)) + ", " + to_string(c.type(1)) + " and " + to_string(c.type(2))};
  };
  Call call;
  const int64_t q_heads = c.attributes.integer("q_num_heads", 0), kv_heads = c.attributes.integer("kv_num_heads", 0);
  OXPLOW_ASSIGN(call.q, heads_of(q, q_heads, "a query"));
  OXPLOW_ASSIGN(call.k, heads_of(k, kv_heads, "a key"));
  OXPLOW_ASSIGN(call.v, heads_of(v, kv_heads, "a value"));
  call.batch = q[0];
  call.joined = q.rank() == 3;
  if (k.rank() != q.rank() || v.rank() != q.rank() || k[0] != q[0] || v[0] != q[0] || call.k.rows != call.v.rows ||
      call.k.heads != call.v.heads || call.q.columns != call.k.columns || call.k.heads == 0 || call.q.heads % call.k.heads != 0) {
    return misfit();
  }
  for (int i = 1; i <= kPastValue; ++i) {
    if (i != kMask && c.has(i) && c.type(i).dtype != c.type(0).dtype) return misfit();
  }
  if (c.has(kPastKey) != c.has(kPastValue))
    return Error{ErrorCode::invalid_model, "a past key without a past value, or the reverse"};
  if (c.has(kPastKey)) {
    const Shape &pk = c.shape(kPastKey), &pv = c.shape(kPastValue);
    call.past = pk.rank() == 4 ? pk[2] : 0;
    if (pk != Shape{q[0], call.k.heads, call.past, call.k.columns} || pv != Shape{q[0], call.k.heads, call.past, call.v.columns})
      return Error{ErrorCode::invalid_model, "a past of " + to_string(pk) + " and " + to_string(pv) + " does not fit the keys"};
  }
  call.keys = call.past + call.k.rows;
  if (c.has(kLengths) && (c.type(kLengths).dtype != DType::i64 || c.shape(kLengths) != Shape{q[0]}))
    return Error{ErrorCode::invalid_model, "lengths of the keys are " + to_string(c.type(kLengths))};
  const auto make = call.joined ? joined_heads : separate_heads;
  call.y = make(call.q.heads, call.q.rows, call.v.columns);
  call.scale = c.attributes.number("scale", 1 / std::sqrt(static_cast<float>(std::max<int64_t>(call.q.columns, 1))));
  call.softcap = c.attributes.number("softcap", 0);
  call.causal = c.attributes.integer("is_causal", 0) != 0;
  call.left = c.attributes.integer("left_window_size", -1);
  call.right = c.attributes.integer("right_window_size", -1);
  call.scores_mode = c.attributes.integer("qk_matmul_output_mode", 0);
  call.softmax_type = static_cast<DType>(c.attributes.integer("softmax_precision", static_cast<int64_t>(c.type(0).dtype)));
  return call;
}

// Strides of the mask over [B, H, Sq, Sk]; its keys may be fewer, the others are hidden.
Result<Dims> mask_strides(const InferContext& c, const Call& call) {
  if (!c.has(kMask)) return Dims::filled(4, 0);
  const Shape& mask = c.shape(kMask);
  const Shape all{call.batch, call.q.heads, call.q.rows, call.keys};
  bool fits = mask.rank() >= 1 && mask.rank() <= 4 && mask.back() <= call.keys &&
              (c.type(kMask).dtype == DType::boolean || is_float(c.type(kMask).dtype));
  const Dims dense = dense_strides(mask);
  Dims strides = Dims::filled(4, 0);
  for (int d = 0; fits && d < mask.rank(); ++d) {
    const int to = 4 - mask.rank() + d;
    fits = to == 3 || mask[d] == all[to] || mask[d] == 1;
    if (to == 3 || mask[d] != 1) strides[to] = dense[d];
  }
  if (!fits) return Error{ErrorCode::invalid_model, "a mask " + to_string(c.type(kMask)) + " for scores of " + to_string(all)};
  return strides;
}

Result<TensorTypes> infer_masked_attention(const InferContext& c) {
  OXPLOW_ASSIGN(const Call call, call_of(c));
  OXPLOW_ASSIGN([[maybe_unused]] const Dims mask, mask_strides(c, call));
  const DType dtype = c.type(0).dtype;
  if (!is_float(dtype) || !is_float(call.softmax_type))
    return Error{ErrorCode::unsupported, "attention of " + std::string(name_of(dtype))};
  const Heads& y = call.y;
  const Shape result =
      call.joined ? Shape{call.batch, y.rows, y.heads * y.columns} : Shape{call.batch, y.heads, y.rows, y.columns};
  return TensorTypes{{dtype, result},
                     {dtype, Shape{call.batch, call.k.heads, call.keys, call.k.columns}},
                     {dtype, Shape{call.batch, call.v.heads, call.keys, call.v.columns}},
                     {dtype, Shape{call.batch, call.q.heads, call.q.rows, call.keys}}};
}

// Mask values as numbers to add.
struct Mask {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Dims strides;
  int64_t keys = 0;  // from here on hidden

  template <typename C>
  C at(int64_t offset, int64_t j) const {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    if (j >= keys) return kHidden;
    const int64_t i = offset + j * strides[3];
    switch (dtype) {
      case DType::boolean: return static_cast<const bool*>(data)[i] ? C{0} : kHidden;
      case DType::f64: return static_cast<C>(static_cast<const double*>(data)[i]);
      case DType::f16: return static_cast<C>(static_cast<float>(static_cast<const Float16*>(data)[i]));
      case DType::bf16: return static_cast<C>(static_cast<float>(static_cast<const BFloat16*>(data)[i]));
      default: return static_cast<C>(static_cast<const float*>(data)[i]);
    }
  }
};

// A number rounded to a type.
template <typename C>
C rounded(DType dtype, C v) {
  switch (dtype) {
    case DType::f16: return static_cast<C>(static_cast<float>(Float16(static_cast<float>(v))));
    case DType::bf16: return static_cast<C>(static_cast<float>(BFloat16(static_cast<float>(v))));
    case DType::f32: return static_cast<C>(static_cast<float>(v));
    default: return v;
  }
}

// One query of one head: everything between its row of q and its row of y.
template <typename T>
struct Row {
  using C = Wide<T>;
  const Call& call;
  Mask mask;
  const int64_t* lengths;
  C *query, *scores, *sum;  // scratch: D, keys and Dv numbers

  static C widened(T v) { return static_cast<C>(v); }
  static C round(C v) { return static_cast<C>(T(v)); }

  // The bias of key j, -inf where the query does not see it.
  C bias(int64_t b, int64_t i, int64_t mask_row, int64_t offset, int64_t j) const {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    const int64_t ahead = j - (i + offset);
    if (call.causal && ahead > 0) return kHidden;
    if (call.left >= 0 && -ahead > call.left) return kHidden;
    if (call.right >= 0 && ahead > call.right) return kHidden;
    if (lengths && j >= lengths[b]) return kHidden;
    return mask.data ? mask.template at<C>(mask_row, j) : C{0};
  }

  C dot(const T* key, C root) const {
    constexpr int64_t kLanes = 8;
    C lanes[kLanes] = {};
    const int64_t columns = call.q.columns, whole = columns / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += query[d + l] * round(widened(key[d + l]) * root);
    }
    for (int64_t d = whole; d < columns; ++d) lanes[d - whole] += query[d] * round(widened(key[d]) * root);
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  }

  // scores = softmax(scores) in the type it is asked for.
  void softmax(C largest) const {
    const DType type = call.softmax_type;
    C total = 0;
    for (int64_t j = 0; j < call.keys; ++j) {
      scores[j] = rounded(type, std::exp(rounded(type, scores[j] - largest)));
      total += scores[j];
    }
    total = rounded(type, total);
    for (int64_t j = 0; j < call.keys; ++j) scores[j] = rounded(type, scores[j] / total);
  }

  void run(const T* q, const T* k, const Heads& keys, const T* v, const Heads& values, T* y, T* shown, int64_t b, int64_t h,
           int64_t i) const {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    const int64_t group = h / (call.q.heads / call.k.heads);
    const int64_t mask_row = b * mask.strides[0] + h * mask.strides[1] + i * mask.strides[2];
    const int64_t offset = call.past > 0 || !lengths ? call.past : lengths[b] - call.q.rows;
    const C root = round(std::sqrt(static_cast<C>(call.scale))), cap = static_cast<C>(call.softcap);
    const T* q_row = q + call.q.at(b, h, i);
    for (int64_t d = 0; d < call.q.columns; ++d) query[d] = round(widened(q_row[d]) * root);
    C largest = kHidden, freest = kHidden;
    for (int64_t j = 0; j < call.keys; ++j) {
      C score = round(dot(k + keys.at(b, group, j), root));
      if (shown && call.scores_mode == 0) shown[j] = T(score);
      if (cap > 0) score = round(round(std::tanh(round(score / cap))) * cap);
      if (shown && call.scores_mode == 1) shown[j] = T(score);
      const C added = bias(b, i, mask_row, offset, j);
      score = round(score + added);
      if (shown && call.scores_mode == 2) shown[j] = T(score);
      scores[j] = rounded(call.softmax_type, score);
      largest = std::max(largest, scores[j]);
      freest = std::max(freest, added);
    }
    if (freest == kHidden || largest == kHidden) {
      for (int64_t j = 0; j < call.keys; ++j) scores[j] = 0;
    } else {
      softmax(largest);
    }
    if (shown && call.scores_mode == 3) {
      for (int64_t j = 0; j < call.keys; ++j) shown[j] = T(scores[j]);
    }
    for (int64_t d = 0; d < call.v.columns; ++d) sum[d] = 0;
    for (int64_t j = 0; j < call.keys; ++j) {
      const C p = round(scores[j]);
      if (p == 0) continue;
      const T* v_row = v + values.at(b, group, j);
      for (int64_t d = 0; d < call.v.columns; ++d) sum[d] += p * widened(v_row[d]);
    }
    T* y_row = y + call.y.at(b, h, i);
    for (int64_t d = 0; d < call.v.columns; ++d) y_row[d] = T(sum[d]);
  }
};

// Rows past and new of one head after each other.
void append_rows(const Call& call, const Heads& fresh, const std::byte* past, const std::byte* rows, std::byte* to, int64_t unit,
                 int64_t element) {
  const int64_t b = unit / fresh.heads, h = unit % fresh.heads, row = fresh.columns * element;
  to += unit * call.keys * row;
  if (call.past > 0) std::memcpy(to, past + unit * call.past * row, static_cast<size_t>(call.past * row));
  for (int64_t i = 0; i < fresh.rows; ++i)
    std::memcpy(to + (call.past + i) * row, rows + fresh.at(b, h, i) * element, static_cast<size_t>(row));
}

// Whether keys and values are written out: past and new rows are one tensor then, in an output or in the workspace.
struct Present {
  bool wanted = false;
  size_t key_offset = 0, value_offset = 0, bytes = 0;  // in the workspace, for those that are no output
  bool key_output = false, value_output = false;
};

Present present_of(const PrepareContext& c, const Call& call) {
  Present p;
  const auto is_output = [&](int i) { return i < static_cast<int>(c.outputs.size()) && c.out(i).present; };
  p.key_output = is_output(kPresentKey);
  p.value_output = is_output(kPresentValue);
  p.wanted = call.past > 0 || p.key_output || p.value_output;
  if (!p.wanted) return p;
  const auto bytes = [&](const Heads& h) {
    return round_up(bytes_of(c.in(0).type.dtype, static_cast<size_t>(call.batch * h.heads * call.keys * h.columns)), kCacheLine);
  };
  if (!p.key_output) p.bytes += bytes(call.k);
  p.value_offset = p.bytes;
  if (!p.value_output) p.bytes += bytes(call.v);
  return p;
}

// Phase 0 appends keys and values to the past (where that is wanted), phase 1 attends.
struct AttentionStep final : Step {
  Call call;
  Present present;
  int64_t element = 4;
  std::function<void(const Buffers&, const void* keys, const void* values, int task, int worker)> attend;

  std::byte* present_key(const Buffers& b) const {
    return present.key_output ? b.out<std::byte>(kPresentKey) : b.workspace + present.key_offset;
  }
  std::byte* present_value(const Buffers& b) const {
    return present.value_output ? b.out<std::byte>(kPresentValue) : b.workspace + present.value_offset;
  }
  void run(const Buffers& b, int phase, int task, int worker) const override {
    if (phase == 1) {
      return attend(b, present.wanted ? present_key(b) : b.inputs[kKey], present.wanted ? present_value(b) : b.inputs[kValue],
                    task, worker);
    }
    if (!present.wanted || task >= call.batch * call.k.heads) return;
    const bool past = call.past > 0;
    append_rows(call, call.k, past ? b.in<std::byte>(kPastKey) : nullptr, b.in<std::byte>(kKey), present_key(b), task, element);
    append_rows(call, call.v, past ? b.in<std::byte>(kPastValue) : nullptr, b.in<std::byte>(kValue), present_value(b), task,
                element);
  }
};

void attend_in_kernel(AttentionStep& step, const PrepareContext& c, const AttentionKernel& kernel, const Dims& mask,
                      const Heads& keys, const Heads& values) {
  const Call& call = step.call;
  AttentionArgs args{.batch = call.batch,
                     .queries = call.q.rows,
                     .keys = call.keys,
                     .heads = call.q.heads,
                     .kv_heads = call.k.heads,
                     .head_dim = call.q.columns,
                     .value_dim = call.v.columns};
  args.q_batch = call.q.batch_stride, args.q_row = call.q.row_stride, args.q_head = call.q.head_stride;
  args.k_batch = keys.batch_stride, args.k_row = keys.row_stride, args.k_head = keys.head_stride;
  args.v_batch = values.batch_stride, args.v_row = values.row_stride, args.v_head = values.head_stride;
  args.y_batch = call.y.batch_stride, args.y_row = call.y.row_stride, args.y_head = call.y.head_stride;
  args.mask_batch = mask[0], args.mask_head = mask[1], args.mask_query = mask[2], args.mask_key = mask[3];
  args.scale = call.scale;
  args.causal = call.causal;
  args.causal_offset = call.past;
  const bool has_mask = c.has(kMask);
  const int64_t units = kernel.tasks(args);
  const int tasks = task_count(units, 1e4, c.threads());
  const size_t scratch = round_up(kernel.scratch_bytes(args), kCacheLine), first = step.present.bytes;
  step.attend = [=, run = kernel.run](const Buffers& b, const void* k, const void* v, int task, int worker) {
    AttentionArgs bound = args;
    bound.q = b.inputs[kQuery], bound.k = k, bound.v = v, bound.y = b.outputs[kResult];
    bound.mask = has_mask ? b.in<float>(kMask) : nullptr;
    const Range range = task_range(units, tasks, task);
    run(bound, range.begin, range.end, b.workspace + first + static_cast<size_t>(worker) * scratch);
  };
  step.phase_tasks.push_back(tasks);
  step.workspace_bytes = first + scratch * static_cast<size_t>(c.threads());
  step.kernel = kernel.name;
  step.why = "scores stay in cache: one pass over the keys";
}

template <typename T>
void attend_by_rows(AttentionStep& step, const PrepareContext& c, const Dims& mask, const Heads& keys, const Heads& values) {
  using C = Wide<T>;
  const Call call = step.call;
  const int64_t rows = call.batch * call.q.heads * call.q.rows;
  const int tasks = task_count(rows, static_cast<double>(call.keys * (call.q.columns + call.v.columns)) * 0.3, c.threads());
  const int64_t numbers = call.q.columns + call.keys + call.v.columns;
  const size_t scratch = round_up(static_cast<size_t>(numbers) * sizeof(C), kCacheLine), first = step.present.bytes;
  const bool has_mask = c.has(kMask), has_lengths = c.has(kLengths);
  const DType mask_type = has_mask ? c.in(kMask).type.dtype : DType::f32;
  const int64_t mask_keys = !has_mask ? 0 : c.in(kMask).type.shape.back();
  const bool shows = static_cast<int>(c.outputs.size()) > kScores && c.out(kScores).present;
  step.attend = [=](const Buffers& b, const void* k, const void* v, int task, int worker) {
    auto* numbers_here = reinterpret_cast<C*>(b.workspace + first + static_cast<size_t>(worker) * scratch);
    const Row<T> row{call,
                     {has_mask ? b.inputs[kMask] : nullptr, mask_type, mask, mask_keys},
                     has_lengths ? b.in<int64_t>(kLengths) : nullptr,
                     numbers_here,
                     numbers_here + call.q.columns,
                     numbers_here + call.q.columns + call.keys};
    const Range range = task_range(rows, tasks, task);
    for (int64_t r = range.begin; r < range.end; ++r) {
      const int64_t i = r % call.q.rows, h = r / call.q.rows % call.q.heads, n = r / call.q.rows / call.q.heads;
      row.run(b.in<T>(kQuery), static_cast<const T*>(k), keys, static_cast<const T*>(v), values, b.out<T>(kResult),
              shows ? b.out<T>(kScores) + r * call.keys : nullptr, n, h, i);
    }
  };
  step.phase_tasks.push_back(tasks);
  step.workspace_bytes = first + scratch * static_cast<size_t>(c.threads());
  step.kernel = "attention_by_rows";
  step.why = "options that no kernel has";
}

Result<std::unique_ptr<Step>> prepare_masked_attention(const PrepareContext& c) {
  auto step = std::make_unique<AttentionStep>();
  OXPLOW_ASSIGN(step->call, call_of(c.infer()));
  OXPLOW_ASSIGN(const Dims mask, mask_strides(c.infer(), step->call));
  const Call& call = step->call;
  const DType dtype = c.in(0).type.dtype;
  step->element = bits_of(dtype) / 8;
  step->present = present_of(c, call);
  step->phase_tasks = {step->present.wanted ? part_count(call.batch * call.k.heads, call.batch * call.k.heads) : 1};
  const bool whole = step->present.wanted;
  const Heads keys = whole ? separate_heads(call.k.heads, call.keys, call.k.columns) : call.k;
  const Heads values = whole ? separate_heads(call.v.heads, call.keys, call.v.columns) : call.v;
  const bool shows = static_cast<int>(c.outputs.size()) > kScores && c.out(kScores).present;
  const bool plain_mask = !c.has(kMask) || (c.in(kMask).type.dtype == DType::f32 && c.in(kMask).type.shape.back() == call.keys);
  const bool plain = !shows && plain_mask && !c.has(kLengths) && call.softcap == 0 && call.left < 0 && call.right < 0 &&
                     call.keys > 0 && dtype == DType::f32;
  if (const AttentionKernel* kernel = plain ? find_attention(c.isa, dtype) : nullptr) {
    attend_in_kernel(*step, c, *kernel, mask, keys, values);
    return std::unique_ptr<Step>(std::move(step));
  }
  return visit_floating(dtype, "attention", [&](auto t) -> Result<std::unique_ptr<Step>> {
    attend_by_rows<decltype(t)>(*step, c, mask, keys, values);
    return std::unique_ptr<Step>(std::move(step));
  });
}

}  // namespace

namespace ops {
constinit const OpSpec MaskedAttention{
    .name = "MaskedAttention", .infer = infer_masked_attention, .prepare = prepare_masked_attention, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
