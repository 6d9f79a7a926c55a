#include "oxplow/kernels/attention/amx_attention.h"

#if defined(__AMX_BF16__)

#include "oxplow/kernels/attention/exp2.h"
#include "oxplow/kernels/attention/transpose.h"
#include "oxplow/kernels/gemm/amx_tile.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {

namespace {

// A task is a panel of queries of one head. For each block of keys, K and V are packed once as right-hand sides of AMX products;
// then, a group of queries at a time:
//
//   S[query][key]  = sum over d of Q[query][d] * K[key][d]      rows of Q as they lie, f32 sums
//   P[query][key]  = 2^(S scale log2(e) + mask - greatest)      along rows, rounded to bf16
//   O[query][d]   += sum over keys of P[query][key] * V[key][d]
constexpr int64_t kPanelQueries = 256;
constexpr int64_t kGroup = 32;  // queries: two tiles
constexpr int64_t kBlockKeys = 256;
constexpr int64_t kTile = 16;       // rows of a tile, and columns of sums
constexpr int64_t kTileDepth = 32;  // products a tile adds to each sum
constexpr int64_t kTileBytes = 1024;
// Rows apart by a few lines more than a power of two share no few sets of L1.
constexpr int64_t kScoreRow = kBlockKeys + 16;
constexpr int64_t kWeightRow = kBlockKeys + 32;
constexpr int kRowsAtOnce = 4;  // of scores: one alone would wait for its sums across lanes
constexpr float kLog2E = 1.44269504f;

int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

struct Scratch {
  uint16_t *queries, *keys, *values, *weights;
  float *scores, *out, *greatest, *total;
  int64_t dims, columns;  // of the packed K and V: head_dim and value_dim in whole tiles
  int64_t bytes;
};

Scratch scratch_of(const AttentionArgs& args, char* memory) {
  Scratch s{};
  const auto take = [&]<typename T>(T*& p, int64_t count) {
    p = reinterpret_cast<T*>(memory + s.bytes);
    s.bytes += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
  };
  const int64_t panel = smaller(round_up(args.queries, kGroup), kPanelQueries);
  const int64_t block = smaller(round_up(args.keys, kTileDepth), kBlockKeys);
  s.dims = round_up(args.head_dim, kTileDepth);
  s.columns = round_up(args.value_dim, kTile);
  take(s.queries, kGroup * s.dims);
  take(s.keys, block * s.dims);
  take(s.values, block * s.columns);
  take(s.weights, kGroup * kWeightRow);
  take(s.scores, kGroup * kScoreRow);
  take(s.out, panel * s.columns);
  take(s.greatest, panel);
  take(s.total, panel);
  return s;
}

// Rows of bf16 times packed tiles: c[16 kRows][16 kColumns] = a b, or with `resume` += a b. Tiles of b for one group of 16 columns
// lie one after another, groups b_group bytes apart.
struct Product {
  const uint16_t* a;
  int64_t a_row;  // elements
  const uint16_t* b;
  int64_t b_group;
  int64_t depth;  // in tiles
  float* c;
  int64_t c_row;
  bool resume;
};

template <int kRows, int kColumns>
OXPLOW_INLINE void multiply(const Product& p) {
  const int64_t c_step = p.c_row * 4, a_step = p.a_row * 2;
  float* const lower = p.c + kTile * p.c_row;
  if (p.resume) {
    _tile_loadd(0, p.c, c_step);
    if constexpr (kColumns > 1) _tile_loadd(1, p.c + kTile, c_step);
    if constexpr (kRows > 1) _tile_loadd(2, lower, c_step);
    if constexpr (kRows > 1 && kColumns > 1) _tile_loadd(3, lower + kTile, c_step);
  } else {
    _tile_zero(0);
    if constexpr (kColumns > 1) _tile_zero(1);
    if constexpr (kRows > 1) _tile_zero(2);
    if constexpr (kRows > 1 && kColumns > 1) _tile_zero(3);
  }
  for (int64_t i = 0; i < p.depth; ++i) {
    const uint16_t* a = p.a + i * kTileDepth;
    const uint16_t* b = p.b + i * kTileBytes / 2;
    _tile_loadd(4, a, a_step);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumns > 1) {
      _tile_loadd(7, b + p.b_group, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows > 1) {
      _tile_loadd(5, a + kTile * p.a_row, a_step);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kColumns > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, p.c, c_step);
  if constexpr (kColumns > 1) _tile_stored(1, p.c + kTile, c_step);
  if constexpr (kRows > 1) _tile_stored(2, lower, c_step);
  if constexpr (kRows > 1 && kColumns > 1) _tile_stored(3, lower + kTile, c_step);
}

// All `groups` of 16 columns.
template <int kRows>
OXPLOW_INLINE void multiply_groups(Product p, int64_t groups) {
  for (; groups >= 2; groups -= 2) {
    multiply<kRows, 2>(p);
    p.b += 2 * p.b_group;
    p.c += 2 * kTile;
  }
  if (groups > 0) multiply<kRows, 1>(p);
}
OXPLOW_INLINE void multiply(const Product& p, int64_t rows, int64_t groups) {
  asm volatile("" : : : "memory");  // g++ 12 does not know that loading a tile reads what was stored before
  rows > kTile ? multiply_groups<2>(p, groups) : multiply_groups<1>(p, groups);
}

OXPLOW_INLINE __mmask32 lanes32(int64_t n) { return _bzhi_u32(~0u, static_cast<uint32_t>(larger(0, smaller(n, 32)))); }

// rows x dims elements, zero past `rows` and `columns`.
OXPLOW_INLINE void copy_rows(const uint16_t* from, int64_t step, int64_t rows, int64_t columns, uint16_t* to, int64_t dims) {
  for (int64_t i = 0; i < round_up(rows, kTile); ++i) {
    for (int64_t d = 0; d < dims; d += 32) {
      const __mmask32 lanes = i < rows ? lanes32(columns - d) : 0;
      _mm512_storeu_si512(to + i * dims + d, _mm512_maskz_loadu_epi16(lanes, from + i * step + d));
    }
  }
}

// K as [16 keys a group][dims / 2][16 keys][2].
OXPLOW_INLINE void pack_keys(const uint16_t* from, int64_t step, int64_t keys, int64_t columns, int64_t dims, uint16_t* to) {
  for (int64_t key = 0; key < keys; key += kTile) {
    for (int64_t d = 0; d < dims; d += kTileDepth) {
      F32 pairs[16];
      OXPLOW_UNROLL for (int i = 0; i < 16; ++i) {
        const __mmask32 lanes = key + i < keys ? lanes32(columns - d) : 0;
        pairs[i].v = _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(lanes, from + (key + i) * step + d));
      }
      transpose(pairs);
      OXPLOW_UNROLL for (int i = 0; i < 16; ++i) pairs[i].store(reinterpret_cast<float*>(to + key * dims + d * kTile) + i * 16);
    }
  }
}

// V as [16 columns a group][keys / 2][16 columns][2], keys in whole tiles.
OXPLOW_INLINE void pack_values(const uint16_t* from, int64_t step, int64_t keys, int64_t columns, uint16_t* to) {
  const int64_t depth = round_up(keys, kTileDepth);
  for (int64_t d = 0; d < columns; d += kTile) {
    const __mmask16 lanes = first_lanes(smaller(columns - d, kTile));
    const auto row = [&](int64_t key) {
      return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(key < keys ? lanes : 0, from + key * step + d));
    };
    for (int64_t key = 0; key < depth; key += 2) {
      const __m512i pair = _mm512_or_si512(row(key), _mm512_slli_epi32(row(key + 1), 16));
      _mm512_storeu_si512(to + d * depth + key * kTile, pair);
    }
  }
}

// One panel of queries of one head.
struct Panel {
  const AttentionArgs& args;
  const Scratch& s;
  int64_t query, count;  // queries [query, query + count)
  const uint16_t *q, *k, *v;
  uint16_t* y;
  const float* mask;  // of the first query, or null

  // Keys of [begin, begin + n) that query `i` of the panel sees.
  OXPLOW_INLINE int64_t seen(int64_t i, int64_t begin, int64_t n) const {
    return args.causal ? larger(0, smaller(n, query + i + args.causal_offset + 1 - begin)) : n;
  }

  // The mask of 16 keys from `key` on, those past `lanes` left out.
  OXPLOW_INLINE F32 mask_of(int64_t i, int64_t key, int64_t lanes) const {
    const float* from = mask + smaller(i, count - 1) * args.mask_query + key * args.mask_key;
    return args.mask_key == 1 ? F32::load(from, lanes) : F32::broadcast(*from);
  }

  // The greatest score of query `i`, in units of the exponent of two. Masks and hides scores of `n` keys from `begin` on where that
  // is to be done; `scale` is what the scores in memory are still to be multiplied by.
  OXPLOW_INLINE F32 finish_scores(int64_t i, int64_t begin, int64_t n, float* scores, F32 scale) const {
    const int64_t sees = seen(i, begin, n);
    F32 greatest = F32::broadcast(-__builtin_inff());
    int64_t j = 0;
    if (in_place()) {
      for (; j + 16 <= sees; j += 16) greatest = max(F32::load(scores + j), greatest);
    } else {
      for (; j + 16 <= sees; j += 16) {
        const F32 x = finished(i, begin + j, 16, F32::load(scores + j));
        greatest = max(x, greatest);
        x.store(scores + j);
      }
    }
    for (; j < n; j += 16) {
      const int64_t lanes = larger(0, smaller(sees - j, 16));
      F32 x = F32::load(scores + j);
      if (!in_place()) x = finished(i, begin + j, lanes, x);
      x = select({first_lanes(lanes)}, x, F32::broadcast(-__builtin_inff()));
      greatest = max(x, greatest);
      x.store(scores + j);
    }
    return greatest * scale;
  }
  OXPLOW_INLINE F32 finished(int64_t i, int64_t key, int64_t lanes, F32 score) const {
    const F32 x = score * F32::broadcast(args.scale * kLog2E);
    return mask == nullptr ? x : fma(mask_of(i, key, lanes), F32::broadcast(kLog2E), x);
  }
  // Whether scores are scaled on their way to weights, which keeps their order, and nothing is added to them.
  OXPLOW_INLINE bool in_place() const { return mask == nullptr && args.scale > 0; }

  // Scores of queries [i, i + kRows) become weights relative to the greatest score so far; what is in `out` already is taken there
  // too.
  template <int kRows>
  OXPLOW_INLINE void weigh(int64_t i, int64_t begin, int64_t n, float* scores, uint16_t* weights) const {
    const F32 scale = F32::broadcast(in_place() ? args.scale * kLog2E : 1);
    F32 shift[kRows], total[kRows];
    float now[kRows];
    OXPLOW_UNROLL for (int r = 0; r < kRows; ++r) {
      now[r] = max_of(max(finish_scores(i + r, begin, n, scores + r * kScoreRow, scale), F32::broadcast(s.greatest[i + r])));
      // Nothing seen yet: any finite number keeps the weights of hidden keys at zero.
      shift[r] = F32::broadcast(now[r] == -__builtin_inff() ? 0 : -now[r]);
      total[r] = F32::zero();
    }
    int64_t j = 0;
    for (; j < n; j += 16) {
      OXPLOW_UNROLL for (int r = 0; r < kRows; ++r) {
        const F32 weight = exp2_of_negative<3>(fma(F32::load(scores + r * kScoreRow + j), scale, shift[r]));
        store_bf16(weight, weights + r * kWeightRow + j);
        total[r] = total[r] + weight;
      }
    }
    if (j % kTileDepth != 0) {
      OXPLOW_UNROLL for (int r = 0; r < kRows; ++r) store_bf16(F32::zero(), weights + r * kWeightRow + j);
    }
    OXPLOW_UNROLL for (int r = 0; r < kRows; ++r) {
      if (begin > 0) rescale(i + r, exp2_of_negative<5>(F32::broadcast(s.greatest[i + r]) + shift[r]));
      s.total[i + r] = s.total[i + r] + sum(total[r]);
      s.greatest[i + r] = now[r];
    }
  }
  OXPLOW_INLINE void rescale(int64_t i, F32 factor) const {
    float* out = s.out + i * s.columns;
    for (int64_t d = 0; d < s.columns; d += 16) (F32::load(out + d) * factor).store(out + d);
    alignas(64) float lanes[16];
    factor.store(lanes);
    s.total[i] *= lanes[0];
  }

  // Adds `n` keys from `begin` on to queries [first, first + rows).
  OXPLOW_INLINE void add(int64_t first, int64_t rows, int64_t begin, int64_t n) const {
    const int64_t depth = round_up(n, kTileDepth);
    copy_rows(q + first * args.q_row, args.q_row, rows, args.head_dim, s.queries, s.dims);
    multiply({.a = s.queries,
              .a_row = s.dims,
              .b = s.keys,
              .b_group = kTile * s.dims,
              .depth = s.dims / kTileDepth,
              .c = s.scores,
              .c_row = kScoreRow,
              .resume = false},
             rows, round_up(n, kTile) / kTile);
    for (int64_t i = 0; i < rows; i += kRowsAtOnce) {
      weigh<kRowsAtOnce>(first + i, begin, n, s.scores + i * kScoreRow, s.weights + i * kWeightRow);
    }
    multiply({.a = s.weights,
              .a_row = kWeightRow,
              .b = s.values,
              .b_group = kTile * packed_keys(begin),
              .depth = depth / kTileDepth,
              .c = s.out + first * s.columns,
              .c_row = s.columns,
              .resume = begin > 0},
             rows, s.columns / kTile);
  }

  // Keys that the last query sees; and of those, the ones packed from `begin` on, in whole tiles.
  OXPLOW_INLINE int64_t keys() const { return seen(count - 1, 0, args.keys); }
  OXPLOW_INLINE int64_t packed_keys(int64_t begin) const { return round_up(smaller(keys() - begin, kBlockKeys), kTileDepth); }

  __attribute__((noinline)) void run() const {
    for (int64_t i = 0; i < round_up(count, kRowsAtOnce); ++i) s.greatest[i] = -__builtin_inff(), s.total[i] = 0;
    const int64_t all = keys();
    for (int64_t begin = 0; begin < all; begin += kBlockKeys) {
      const int64_t n = smaller(all - begin, kBlockKeys);
      pack_keys(k + begin * args.k_row, args.k_row, n, args.head_dim, s.dims, s.keys);
      pack_values(v + begin * args.v_row, args.v_row, n, args.value_dim, s.values);
      for (int64_t first = 0; first < count; first += kGroup) {
        const int64_t rows = smaller(count - first, kGroup);
        const int64_t of_group = seen(first + rows - 1, begin, n);
        if (of_group > 0) add(first, rows, begin, of_group);
      }
    }
    store();
  }

  OXPLOW_INLINE void store() const {
    for (int64_t i = 0; i < count; ++i) {
      // A query that sees nothing has a total of zero, and nothing in `out`.
      const bool nothing = s.total[i] == 0;
      const F32 factor = F32::broadcast(nothing ? 0 : 1 / s.total[i]);
      for (int64_t d = 0; d < args.value_dim; d += 16) {
        const F32 x = nothing ? F32::zero() : F32::load(s.out + i * s.columns + d) * factor;
        store_bf16(x, y + i * args.y_row + d, smaller(args.value_dim - d, 16));
      }
    }
  }
};

int64_t panels_of(const AttentionArgs& args) { return round_up(args.queries, kPanelQueries) / kPanelQueries; }

}  // namespace

size_t amx_attention_scratch_bytes(const AttentionArgs& args) { return static_cast<size_t>(scratch_of(args, nullptr).bytes); }

int64_t amx_attention_tasks(const AttentionArgs& args) { return args.batch * args.heads * panels_of(args); }

void amx_attention_run(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* scratch) {
  if (task_begin >= task_end) return;
  const Scratch s = scratch_of(args, static_cast<char*>(scratch));
  AmxProduct whole_tiles;
  whole_tiles.run_bytes = kAmxKBytes;
  whole_tiles.rows = kAmxRows;
  const AmxTiles tiles(whole_tiles);
  const int64_t panels = panels_of(args), groups = round_up(args.queries, kGroup) / kGroup;
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t panel = task % panels, head = task / panels % args.heads, batch = task / panels / args.heads;
    const int64_t kv_head = head / (args.heads / args.kv_heads);
    const int64_t query = groups * panel / panels * kGroup;
    const int64_t end = smaller(groups * (panel + 1) / panels * kGroup, args.queries);
    Panel{.args = args,
          .s = s,
          .query = query,
          .count = end - query,
          .q = static_cast<const uint16_t*>(args.q) + batch * args.q_batch + head * args.q_head + query * args.q_row,
          .k = static_cast<const uint16_t*>(args.k) + batch * args.k_batch + kv_head * args.k_head,
          .v = static_cast<const uint16_t*>(args.v) + batch * args.v_batch + kv_head * args.v_head,
          .y = static_cast<uint16_t*>(args.y) + batch * args.y_batch + head * args.y_head + query * args.y_row,
          .mask = args.mask == nullptr ? nullptr
                                       : args.mask + batch * args.mask_batch + head * args.mask_head + query * args.mask_query}
        .run();
  }
}

}  // namespace oxplow::OXPLOW_ISA

#endif
