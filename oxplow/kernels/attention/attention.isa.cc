#include "oxplow/kernels/attention/attention.h"

#include "oxplow/kernels/attention/amx_attention.h"
#include "oxplow/kernels/attention/decode.h"
#include "oxplow/kernels/attention/exp2.h"
#include "oxplow/kernels/attention/panel.h"
#include "oxplow/kernels/attention/transpose.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {

extern const AttentionKernels attention_kernels;

namespace {

constexpr int64_t kWidth = F32::kWidth;
constexpr int kMaxVectors = kWidth == 16 ? 4 : 2;  // of queries in a panel
constexpr int64_t kMaxLanes = kMaxVectors * kWidth;
// Keys whose scores are in scratch at a time: a panel's scores stay near L1, and sums are seldom taken to a new greatest score.
constexpr int64_t kKeyBlock = kWidth == 16 ? 256 : 512;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Panels share the vectors of queries evenly.
int64_t query_vectors(const AttentionArgs& args) { return divide_up(args.queries, kWidth); }
int64_t query_panels(const AttentionArgs& args) { return divide_up(query_vectors(args), kMaxVectors); }

// Few queries: a task is a head of keys, and its rows are the queries of all heads that share it.
bool decodes(const AttentionArgs& args) { return args.queries <= kDecodeRows; }
int64_t decode_rows(const AttentionArgs& args) { return args.heads / args.kv_heads * args.queries; }

int64_t tasks(const AttentionArgs& args) {
  if (decodes(args)) return args.queries == 0 ? 0 : args.batch * args.kv_heads;
  return args.batch * args.heads * query_panels(args);
}

// The scratch of a worker: arrays of floats, each aligned to 64 bytes.
struct Scratch {
  float *queries, *out, *scores, *block_greatest, *greatest, *total, *factor, *keys, *values;
  int64_t bytes;
  int64_t out_row;  // floats, of out and values
};

template <typename T>
Scratch scratch_of(const AttentionArgs& args, char* memory) {
  Scratch s{};
  int64_t used = 0;
  const auto take = [&](int64_t floats) {
    float* p = reinterpret_cast<float*>(memory + used);
    used += (floats * 4 + 63) / 64 * 64;
    return p;
  };
  s.queries = take(args.head_dim * kMaxLanes);
  s.out_row = divide_up(args.value_dim, kWidth) * kWidth;
  if (decodes(args)) {
    const int64_t rows = decode_rows(args);
    s.queries = take(rows * divide_up(args.head_dim, kWidth) * kWidth);
    s.out = take(rows * s.out_row);
    s.scores = take(kDecodeRows * kDecodeKeys);
    s.greatest = take(rows);
    s.total = take(rows);
    s.factor = take(kDecodeRows);
    s.bytes = used;
    return s;
  }
  s.out = take(s.out_row * kMaxLanes);
  s.scores = take(smaller(args.keys, kKeyBlock) * kMaxLanes);
  s.block_greatest = take(kMaxLanes);
  s.greatest = take(kMaxLanes);
  s.total = take(kMaxLanes);
  s.factor = take(kMaxLanes);
  s.values = take(smaller(args.keys, kKeyBlock) * s.out_row);
  if constexpr (sizeof(T) != 4) s.keys = take(smaller(args.keys, kKeyBlock) * divide_up(args.head_dim, kWidth) * kWidth);
  s.bytes = used;
  return s;
}

template <typename T>
size_t scratch_bytes(const AttentionArgs& args) {
  return static_cast<size_t>(scratch_of<T>(args, nullptr).bytes);
}

// Copies rows of memory to rows of f32 in whole vectors, the lanes past `columns` zero, and remembers what it has copied: tasks of
// one head follow one another.
template <typename T>
struct RowCopy {
  const T* from = nullptr;
  int64_t count = 0;

  OXPLOW_INLINE Rows get(const T* p, int64_t step, int64_t rows, int64_t columns, float* to) {
    const int64_t width = divide_up(columns, kWidth) * kWidth;
    const Rows result{reinterpret_cast<const char*>(to), width * 4};
    if (from == p && count == rows) return result;
    from = p;
    count = rows;
    for (int64_t i = 0; i < rows; ++i) {
      const T* row = p + i * step;
      int64_t d = 0;
      for (; d + kWidth <= columns; d += kWidth) load_f32(row + d).store(to + i * width + d);
      if (d < columns) load_f32(row + d, columns - d).store(to + i * width + d);
    }
    return result;
  }
};

template <int kVectors>
constexpr PanelTiles<kVectors> kTiles{};

// One panel of queries of one head.
template <typename T, int kVectors>
struct Panel {
  static constexpr int64_t kLanes = kVectors * kWidth;

  const AttentionArgs& args;
  Scratch s;
  int64_t query, count;  // queries [query, query + count)
  const T *from_q, *from_k, *from_v;
  T* y;
  const float* mask;
  RowCopy<T>& keys_copy;
  RowCopy<T>& values_copy;

  // Q transposed, in units of the exponent of two.
  OXPLOW_INLINE void pack_queries() const {
    const F32 scale = F32::broadcast(args.scale * 1.44269504f);
    for (int vector = 0; vector < kVectors; ++vector) {
      const int64_t rows = smaller(count - vector * kWidth, kWidth);
      for (int64_t d = 0; d < args.head_dim; d += kWidth) {
        const int64_t columns = smaller(args.head_dim - d, kWidth);
        F32 block[kWidth];
        OXPLOW_UNROLL for (int i = 0; i < kWidth; ++i) {
          const T* from = from_q + (vector * kWidth + i) * args.q_row + d;
          block[i] = i >= rows ? F32::zero() : columns == kWidth ? load_f32(from) : load_f32(from, columns);
        }
        transpose(block);
        float* to = s.queries + d * kLanes + vector * kWidth;
        OXPLOW_UNROLL for (int i = 0; i < kWidth; ++i) {
          if (i < columns) (block[i] * scale).store(to + i * kLanes);
        }
      }
    }
  }

  OXPLOW_INLINE void store_outputs() const {
    for (int64_t i = 0; i < count; ++i) {
      // A query that sees nothing has a total of zero.
      const F32 factor = F32::broadcast(s.total[i] == 0 ? 0 : 1 / s.total[i]);
      const float* from = s.out + i * s.out_row;
      T* to = y + i * args.y_row;
      int64_t d = 0;
      for (; d + kWidth <= args.value_dim; d += kWidth) store_f32(F32::load(from + d) * factor, to + d);
      if (d < args.value_dim) store_f32(F32::load(from + d) * factor, to + d, args.value_dim - d);
    }
  }

  // The mask of keys [begin, begin + n); a mask of neither simple kind is copied to where the scores will be.
  OXPLOW_INLINE void set_mask(ScoreArgs& a, int64_t begin, int64_t n) const {
    if (mask == nullptr) return;
    const float* from = mask + begin * args.mask_key;
    if (args.mask_query == 0) {
      a.mask_kind = MaskKind::keys;
      a.mask = {reinterpret_cast<const char*>(from), args.mask_key * 4};
      return;
    }
    a.mask_kind = MaskKind::lanes;
    if (args.mask_query == 1 && count == kLanes) {
      a.mask = {reinterpret_cast<const char*>(from), args.mask_key * 4};
      return;
    }
    a.mask = {reinterpret_cast<const char*>(s.scores), kLanes * 4};
    for (int vector = 0; vector < kVectors; ++vector) {
      const int64_t lanes = smaller(count - vector * kWidth, kWidth);
      const float* lane = from + vector * kWidth * args.mask_query;
      if (args.mask_query == 1) {
        for (int64_t j = 0; j < n; ++j) {
          F32::load(lane + j * args.mask_key, lanes).store(s.scores + j * kLanes + vector * kWidth);
        }
      } else if (args.mask_key == 1) {
        transpose_mask(lane, lanes, n, s.scores + vector * kWidth);
      } else {
        for (int64_t j = 0; j < n; ++j) {
          float* to = s.scores + j * kLanes + vector * kWidth;
          for (int64_t l = 0; l < kWidth; ++l) to[l] = l < lanes ? lane[l * args.mask_query + j * args.mask_key] : 0.0f;
        }
      }
    }
  }

  OXPLOW_INLINE void transpose_mask(const float* from, int64_t lanes, int64_t n, float* to) const {
    for (int64_t j = 0; j < n; j += kWidth) {
      const int64_t columns = smaller(n - j, kWidth);
      F32 block[kWidth];
      OXPLOW_UNROLL for (int i = 0; i < kWidth; ++i) {
        const float* row = from + i * args.mask_query + j;
        block[i] = i >= lanes ? F32::zero() : columns == kWidth ? F32::load(row) : F32::load(row, columns);
      }
      transpose(block);
      OXPLOW_UNROLL for (int i = 0; i < kWidth; ++i) {
        if (i < columns) block[i].store(to + (j + i) * kLanes);
      }
    }
  }

  // Scores become weights relative to the greatest score so far; `factor` takes what is there already to the new greatest.
  OXPLOW_INLINE void weigh(int64_t n, bool first) const {
    F32 least[kVectors], total[kVectors];
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
      const F32 before = first ? F32::broadcast(-__builtin_inff()) : F32::load(s.greatest + v * kWidth);
      const F32 now = max(before, F32::load(s.block_greatest + v * kWidth));
      now.store(s.greatest + v * kWidth);
      // Nothing seen yet: any finite number keeps the weights of hidden keys at zero.
      least[v] = select(now == F32::broadcast(-__builtin_inff()), F32::zero(), now);
      const F32 factor = exp2_of_negative(before - least[v]);
      factor.store(s.factor + v * kWidth);
      total[v] = first ? F32::zero() : F32::load(s.total + v * kWidth) * factor;
    }
    for (int64_t j = 0; j < n; ++j) {
      float* row = s.scores + j * kLanes;
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
        const F32 weight = exp2_of_negative(F32::load(row + v * kWidth) - least[v]);
        weight.store(row + v * kWidth);
        total[v] = total[v] + weight;
      }
    }
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) total[v].store(s.total + v * kWidth);
  }

  OXPLOW_INLINE void add_scores(int64_t begin, int64_t n) const {
    ScoreArgs a;
    const T* rows = from_k + begin * args.k_row;
    if constexpr (sizeof(T) == 4) {
      a.keys = {reinterpret_cast<const char*>(rows), args.k_row * 4};
    } else {
      a.keys = keys_copy.get(rows, args.k_row, n, args.head_dim, s.keys);
    }
    a.head_dim = args.head_dim;
    a.queries = s.queries;
    a.scores = s.scores;
    a.greatest = s.block_greatest;
    a.causal = args.causal;
    a.last_seen = query + args.causal_offset - begin;
    set_mask(a, begin, n);
    for (int64_t i = 0; i < kLanes; i += kWidth) F32::broadcast(-__builtin_inff()).store(s.block_greatest + i);
    over_rows(kTiles<kVectors>.score, a, n);
  }

  OXPLOW_INLINE void add_values(int64_t begin, int64_t n) const {
    ValueArgs a;
    a.count = n;
    a.lanes = kLanes;
    a.out_row = s.out_row;
    a.factor = s.factor;
    a.first = begin == 0;
    a.causal = args.causal;
    a.last_seen = query + args.causal_offset - begin;
    a.weights = s.scores;
    const Rows rows = values_copy.get(from_v + begin * args.v_row, args.v_row, n, args.value_dim, s.values);
    const int64_t vectors = s.out_row / kWidth, parts = divide_up(vectors, kMaxVectors);
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t vector = vectors * part / parts;
      a.values = {rows.first + vector * kWidth * 4, rows.step};
      a.out = s.out + vector * kWidth;
      switch (vectors * (part + 1) / parts - vector) {
        case 1: over_rows(kTiles<1>.value, a, count); break;
        case 2: over_rows(kTiles<2>.value, a, count); break;
#if defined(__AVX512F__)
        case 3: over_rows(kTiles<3>.value, a, count); break;
        case 4: over_rows(kTiles<4>.value, a, count); break;
#endif
      }
    }
  }

  __attribute__((noinline)) void run() const {
    pack_queries();
    int64_t keys = args.keys;
    if (args.causal) keys = larger(0, smaller(keys, query + count + args.causal_offset));
    const int64_t blocks = divide_up(keys, kKeyBlock);
    if (blocks == 0) {
      for (int64_t i = 0; i < s.out_row * count; i += kWidth) F32::zero().store(s.out + i);
      for (int64_t i = 0; i < kLanes; i += kWidth) F32::zero().store(s.total + i);
    }
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t begin = keys * block / blocks;
      const int64_t n = keys * (block + 1) / blocks - begin;
      add_scores(begin, n);
      weigh(n, begin == 0);
      add_values(begin, n);
    }
    store_outputs();
  }
};

// A head of keys, and the few queries that look at it.
template <typename T>
struct Decode {
  const AttentionArgs& args;
  Scratch s;
  int64_t batch, kv_head;

  OXPLOW_INLINE int64_t head_of(int64_t row) const { return kv_head * (args.heads / args.kv_heads) + row / args.queries; }
  OXPLOW_INLINE int64_t q_row() const { return divide_up(args.head_dim, kWidth) * kWidth; }

  OXPLOW_INLINE void load_queries(int64_t rows) const {
    const F32 scale = F32::broadcast(args.scale * 1.44269504f);
    for (int64_t r = 0; r < rows; ++r) {
      const T* q =
          static_cast<const T*>(args.q) + batch * args.q_batch + r % args.queries * args.q_row + head_of(r) * args.q_head;
      for (int64_t d = 0; d < args.head_dim; d += kWidth) {
        (load_f32(q + d, smaller(args.head_dim - d, kWidth)) * scale).store(s.queries + r * q_row() + d);
      }
      for (int64_t d = 0; d < s.out_row; d += kWidth) F32::zero().store(s.out + r * s.out_row + d);
      s.greatest[r] = -__builtin_inff();
      s.total[r] = 0;
    }
  }

  // Masks the scores of row `r` for keys [begin, begin + n), and makes them weights.
  OXPLOW_INLINE void weigh(int64_t r, int64_t begin, int64_t n, float* scores, float* factor) const {
    const int64_t query = r % args.queries;
    if (args.mask != nullptr) {
      const float* mask = args.mask + batch * args.mask_batch + head_of(r) * args.mask_head + query * args.mask_query;
      for (int64_t j = 0; j < n; ++j) scores[j] += mask[(begin + j) * args.mask_key] * 1.44269504f;
    }
    const int64_t whole = divide_up(n, kWidth) * kWidth;
    int64_t seen = n;
    if (args.causal) seen = larger(0, smaller(n, query + args.causal_offset + 1 - begin));
    for (int64_t j = seen; j < whole; ++j) scores[j] = -__builtin_inff();
    F32 best = F32::broadcast(s.greatest[r]);
    for (int64_t j = 0; j < whole; j += kWidth) best = max(F32::load(scores + j), best);
    const float now = max_of(best);
    const F32 least = F32::broadcast(now == -__builtin_inff() ? 0 : now);
    alignas(64) float before[kWidth];
    exp2_of_negative(F32::broadcast(s.greatest[r]) - least).store(before);
    *factor = before[0];
    s.greatest[r] = now;
    F32 total = F32::zero();
    for (int64_t j = 0; j < whole; j += kWidth) {
      const F32 weight = exp2_of_negative(F32::load(scores + j) - least);
      weight.store(scores + j);
      total = total + weight;
    }
    s.total[r] = s.total[r] * *factor + sum(total);
  }

  template <int kR>
  OXPLOW_INLINE void add(int64_t row, int64_t begin, int64_t n) const {
    const T* k = static_cast<const T*>(args.k) + batch * args.k_batch + kv_head * args.k_head + begin * args.k_row;
    const T* v = static_cast<const T*>(args.v) + batch * args.v_batch + kv_head * args.v_head + begin * args.v_row;
    decode_scores<kR>(k, args.k_row, n, args.head_dim, s.queries + row * q_row(), q_row(), s.scores);
    for (int r = 0; r < kR; ++r) weigh(row + r, begin, n, s.scores + r * kDecodeKeys, s.factor + r);
    decode_values<kR>(v, args.v_row, n, args.value_dim, s.scores, s.factor, s.out + row * s.out_row, s.out_row);
  }

  __attribute__((noinline)) void run() const {
    const int64_t rows = decode_rows(args);
    load_queries(rows);
    int64_t keys = args.keys;
    if (args.causal) keys = larger(0, smaller(keys, args.queries + args.causal_offset));
    for (int64_t begin = 0; begin < keys; begin += kDecodeKeys) {
      const int64_t n = smaller(kDecodeKeys, keys - begin);
      for (int64_t row = 0; row < rows; row += kDecodeRows) {
        switch (smaller(kDecodeRows, rows - row)) {
          case 1: add<1>(row, begin, n); break;
          case 2: add<2>(row, begin, n); break;
          case 3: add<3>(row, begin, n); break;
          default: add<4>(row, begin, n); break;
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const F32 factor = F32::broadcast(s.total[r] == 0 ? 0 : 1 / s.total[r]);
      T* y = static_cast<T*>(args.y) + batch * args.y_batch + r % args.queries * args.y_row + head_of(r) * args.y_head;
      for (int64_t d = 0; d < args.value_dim; d += kWidth) {
        store_f32(F32::load(s.out + r * s.out_row + d) * factor, y + d, smaller(args.value_dim - d, kWidth));
      }
    }
  }
};

template <typename T>
void run(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* scratch) {
  const Scratch s = scratch_of<T>(args, static_cast<char*>(scratch));
  if (decodes(args)) {
    for (int64_t task = task_begin; task < task_end; ++task) {
      Decode<T>{args, s, task / args.kv_heads, task % args.kv_heads}.run();
    }
    return;
  }
  RowCopy<T> keys_copy, values_copy;
  const int64_t panels = query_panels(args);
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t panel = task % panels;
    const int64_t head = task / panels % args.heads;
    const int64_t batch = task / panels / args.heads;
    const int64_t kv_head = head / (args.heads / args.kv_heads);
    const int64_t vector = query_vectors(args) * panel / panels;
    const int64_t vectors = query_vectors(args) * (panel + 1) / panels - vector;
    const int64_t query = vector * kWidth;
    const auto run_panel = [&]<int kVectors>() {
      const Panel<T, kVectors> p{
          .args = args,
          .s = s,
          .query = query,
          .count = smaller(args.queries - query, kVectors * kWidth),
          .from_q = static_cast<const T*>(args.q) + batch * args.q_batch + head * args.q_head + query * args.q_row,
          .from_k = static_cast<const T*>(args.k) + batch * args.k_batch + kv_head * args.k_head,
          .from_v = static_cast<const T*>(args.v) + batch * args.v_batch + kv_head * args.v_head,
          .y = static_cast<T*>(args.y) + batch * args.y_batch + head * args.y_head + query * args.y_row,
          .mask = args.mask == nullptr ? nullptr
                                       : args.mask + batch * args.mask_batch + head * args.mask_head + query * args.mask_query,
          .keys_copy = keys_copy,
          .values_copy = values_copy};
      p.run();
    };
    switch (vectors) {
      case 1: run_panel.template operator()<1>(); break;
      case 2: run_panel.template operator()<2>(); break;
#if defined(__AVX512F__)
      case 3: run_panel.template operator()<3>(); break;
      case 4: run_panel.template operator()<4>(); break;
#endif
    }
  }
}

#if defined(__AMX_BF16__)

// Queries enough for its tiles, and a mask, if any, that is read along the keys. Pointers may still be missing.
bool suits_amx(const AttentionArgs& args) { return !decodes(args) && (args.mask_key == 0 || args.mask_key == 1); }

// By AMX where that suits.
size_t scratch_bytes_amx(const AttentionArgs& args) {
  return suits_amx(args) ? amx_attention_scratch_bytes(args) : scratch_bytes<Bf16>(args);
}
int64_t tasks_amx(const AttentionArgs& args) { return suits_amx(args) ? amx_attention_tasks(args) : tasks(args); }
void run_amx(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* scratch) {
  suits_amx(args) ? amx_attention_run(args, task_begin, task_end, scratch) : run<Bf16>(args, task_begin, task_end, scratch);
}

#endif

constexpr AttentionKernel kKernels[] = {
    {"attention_f32_" OXPLOW_TEXT(OXPLOW_ISA), DType::f32, scratch_bytes<float>, tasks, run<float>},
#if defined(__AMX_BF16__)
    {"attention_bf16_amx", DType::bf16, scratch_bytes_amx, tasks_amx, run_amx},
#endif
    {"attention_bf16_" OXPLOW_TEXT(OXPLOW_ISA), DType::bf16, scratch_bytes<Bf16>, tasks, run<Bf16>},
};

}  // namespace

constinit const AttentionKernels attention_kernels{kKernels};

}  // namespace oxplow::OXPLOW_ISA
