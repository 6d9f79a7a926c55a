#pragma once
// The two products of attention on a panel of queries. Lanes of the scores are queries: nothing but the queries is ever transposed,
// and the softmax runs down the keys, with no sums across lanes. Lanes of the outputs are columns of V.
//
//   scores   S[key][query] = sum over d of K[key][d] * Q[d][query]
//   values   O[query][d]   = sum over keys of P[key][query] * V[key][d]
//
// A panel is kVectors vectors wide; rows of S, Q and P are kVectors * F32::kWidth floats. Rows of V and O are whole vectors.

#include <cstdint>

#include "oxplow/kernels/gemm/product.h"

namespace oxplow::OXPLOW_ISA {

#define OXPLOW_UNROLL _Pragma("GCC unroll 32")

// Rows of f32 in memory, `step` bytes apart.
struct Rows {
  const char* first = nullptr;
  int64_t step = 0;
  OXPLOW_INLINE const char* at(int64_t i) const { return first + i * step; }
};

enum class MaskKind : uint8_t {
  none,
  keys,   // one value a key
  lanes,  // a row of the panel's width a key
};

struct ScoreArgs {
  Rows keys;
  int64_t head_dim = 0;
  const float* queries = nullptr;  // [head_dim][lanes], scaled by scale * log2(e)
  float* scores = nullptr;         // [count][lanes], times log2(e)
  float* greatest = nullptr;       // [lanes], of the scores; NaN is passed over
  MaskKind mask_kind = MaskKind::none;
  Rows mask;
  // Lane l sees key j only if j <= l + last_seen.
  bool causal = false;
  int64_t last_seen = 0;
};

// Element kIndex of the row at p in all lanes.
template <int kIndex>
OXPLOW_INLINE F32 spread(const char* p) {
#if defined(__ARM_NEON)
  return F32::broadcast(reinterpret_cast<const float*>(p)[kIndex]);
#else
  return F32Product::pick<kIndex>({p, 0});
#endif
}

OXPLOW_INLINE F32 lane_numbers(int64_t first) {
  alignas(64) static constexpr float kLane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return F32::load(kLane) + F32::broadcast(static_cast<float>(first));
}

template <int kRows, int kVectors>
OXPLOW_INLINE void finish_scores(const ScoreArgs& a, int64_t key, F32 (&sum)[kRows][kVectors]) {
  constexpr int64_t kLanes = kVectors * F32::kWidth;
  const F32 log2_e = F32::broadcast(1.44269504f);
  if (a.mask_kind == MaskKind::keys) {
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      const F32 m = F32::broadcast(*reinterpret_cast<const float*>(a.mask.at(key + i))) * log2_e;
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = sum[i][v] + m;
    }
  } else if (a.mask_kind == MaskKind::lanes) {
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      const float* m = reinterpret_cast<const float*>(a.mask.at(key + i));
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = fma(F32::load(m + v * F32::kWidth), log2_e, sum[i][v]);
    }
  }
  if (a.causal && key + kRows - 1 > a.last_seen) {
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      int64_t hidden = key + i - a.last_seen;  // lanes before this one
      hidden = hidden < 0 ? 0 : hidden > kLanes ? kLanes : hidden;
      const F32 first = F32::broadcast(static_cast<float>(hidden));
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
        sum[i][v] = select(lane_numbers(v * F32::kWidth) < first, F32::broadcast(-__builtin_inff()), sum[i][v]);
      }
    }
  }
  OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
    F32 greatest = F32::load(a.greatest + v * F32::kWidth);
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      greatest = max(sum[i][v], greatest);
      sum[i][v].store(a.scores + (key + i) * kLanes + v * F32::kWidth);
    }
    greatest.store(a.greatest + v * F32::kWidth);
  }
}

// The vectors at p + kByte.
template <int kByte, int kVectors, int kVector = 0>
OXPLOW_INLINE void load_vectors(F32 (&to)[kVectors], const char* p) {
  to[kVector] = F32Product::load<kByte + kVector * F32::kWidth * 4>(p);
  if constexpr (kVector + 1 < kVectors) load_vectors<kByte, kVectors, kVector + 1>(to, p);
}

// Adds dimension kIndex of the four in `k`.
template <int kIndex, int kRows, int kVectors>
OXPLOW_INLINE void add_dimension(F32 (&sum)[kRows][kVectors], const typename F32Product::Four (&k)[kRows], const char* q) {
  F32 column[kVectors];
  load_vectors<kIndex * kVectors * F32::kWidth * 4>(column, q);
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    const auto spread_k = F32Product::pick<kIndex>(k[i]);
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = F32Product::add(sum[i][v], spread_k, column[v]);
  }
}

// Scores of keys [key, key + kRows).
template <int kRows, int kVectors>
__attribute__((noinline)) void score_tile(const ScoreArgs& a, int64_t key) {
  constexpr int64_t kStep = kVectors * F32::kWidth * 4;
  F32 sum[kRows][kVectors];
  const char* rows[kRows];
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    rows[i] = a.keys.at(key + i);
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = F32::zero();
  }
  // The next tile's keys: rows far apart, which the processor does not foresee.
  for (int64_t line = 0; line < a.head_dim * 4; line += 64) {
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) __builtin_prefetch(rows[i] + kRows * a.keys.step + line, 0, 3);
  }
  const char* q = reinterpret_cast<const char*>(a.queries);
  int64_t d = 0;
  for (; d + 4 <= a.head_dim; d += 4) {
    typename F32Product::Four k[kRows];
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) k[i] = F32Product::four(rows[i], d * 4);
    add_dimension<0>(sum, k, q);
    add_dimension<1>(sum, k, q);
    add_dimension<2>(sum, k, q);
    add_dimension<3>(sum, k, q);
    q += 4 * kStep;
  }
  for (; d < a.head_dim; ++d) {
    F32 column[kVectors];
    load_vectors<0>(column, q);
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      const F32 k = F32Product::one(rows[i], d * 4);
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = F32Product::add(sum[i][v], k, column[v]);
    }
    q += kStep;
  }
  finish_scores<kRows, kVectors>(a, key, sum);
}

struct ValueArgs {
  Rows values;                     // whole vectors; from the tile's first column
  int64_t count = 0;               // of keys
  const float* weights = nullptr;  // [count][lanes]
  int64_t lanes = 0;
  float* out = nullptr;  // from the tile's first column
  int64_t out_row = 0;
  const float* factor = nullptr;  // [lanes], by which `out` is multiplied before
  bool first = false;             // nothing is in `out` yet
  bool causal = false;            // as in ScoreArgs
  int64_t last_seen = 0;
};

template <int kRows, int kVectors, int kRow = 0>
OXPLOW_INLINE void add_values(F32 (&sum)[kRows][kVectors], const char* weights, const F32 (&value)[kVectors]) {
  const F32 weight = spread<kRow>(weights);
  OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[kRow][v] = F32Product::add(sum[kRow][v], weight, value[v]);
  if constexpr (kRow + 1 < kRows) add_values<kRows, kVectors, kRow + 1>(sum, weights, value);
}

// Outputs of queries [query, query + kRows).
template <int kRows, int kVectors>
__attribute__((noinline)) void value_tile(const ValueArgs& a, int64_t query) {
  F32 sum[kRows][kVectors];
  float* out = a.out + query * a.out_row;
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    const F32 factor = a.first ? F32::zero() : F32::broadcast(a.factor[query + i]);
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
      sum[i][v] = a.first ? F32::zero() : F32::load(out + i * a.out_row + v * F32::kWidth) * factor;
    }
  }
  int64_t count = a.count;
  if (a.causal && query + kRows + a.last_seen < count) count = query + kRows + a.last_seen;
  const char* weights = reinterpret_cast<const char*>(a.weights + query);
  const char* row = a.values.first;
#pragma GCC unroll 4
  for (int64_t key = 0; key < count; ++key) {
    F32 value[kVectors];
    load_vectors<0>(value, row);
    add_values<kRows, kVectors>(sum, weights, value);
    weights += a.lanes * 4;
    row += a.values.step;
  }
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v].store(out + i * a.out_row + v * F32::kWidth);
  }
}

// Rows of the largest tile of kVectors vectors, which fills the registers.
template <int kVectors>
constexpr int tile_rows() {
#if defined(__AVX512F__)
  return kVectors == 4 ? 6 : kVectors == 3 ? 8 : 12;
#elif defined(__AVX2__)
  return kVectors == 2 ? 6 : 10;
#elif defined(__SSE2__)
  return kVectors == 2 ? 4 : 8;
#else
  return kVectors == 2 ? 8 : 12;
#endif
}

// The tiles of one width.
template <int kVectors>
struct PanelTiles {
  static constexpr int kRows = tile_rows<kVectors>();
  void (*score[kRows])(const ScoreArgs&, int64_t key);
  void (*value[kRows])(const ValueArgs&, int64_t query);

  constexpr PanelTiles() : score{}, value{} { fill<kRows>(); }

 private:
  template <int kR>
  constexpr void fill() {
    score[kR - 1] = score_tile<kR, kVectors>;
    value[kR - 1] = value_tile<kR, kVectors>;
    if constexpr (kR > 1) fill<kR - 1>();
  }
};

// Calls tiles[rows - 1](args, row) over `count` rows, in tiles whose sizes differ by one at most.
template <int kRows, typename Args>
OXPLOW_INLINE void over_rows(void (*const (&tiles)[kRows])(const Args&, int64_t), const Args& args, int64_t count) {
  const int64_t parts = (count + kRows - 1) / kRows;
  int64_t row = 0;
  for (int64_t part = 1; part <= parts; ++part) {
    const int64_t end = count * part / parts;
    tiles[end - row - 1](args, row);
    row = end;
  }
}

}  // namespace oxplow::OXPLOW_ISA
