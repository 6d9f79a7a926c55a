#pragma once
// What follows the sums of an AMX product (amx_tile.h): bias, residual, activation and store into C.

#include "oxplow/kernels/gemm/tile.h"

#if defined(__AMX_BF16__)

namespace oxplow::OXPLOW_ISA {

inline constexpr int kAmxColumns = 32;  // of a panel: two tiles

// Sums that wait to be finished into C: two tiles of rows, kAmxColumns floats each. They are finished a few rows at a time between the
// products of the next tiles, which leave the vector units idle.
struct AmxPending {
  Tile t;
  char* const* out = nullptr;
  const float* sums = nullptr;
  int row = 0, rows = 0;
};

// Stores two vectors next to each other.
template <typename Out>
OXPLOW_INLINE void amx_store(F32 v0, F32 v1, char* out) {
  if constexpr (Out::kBytes == 2) {
    _mm512_storeu_si512(out, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(v1.v, v0.v)));
  } else {
    Out::store(v0, out);
    Out::store(v1, out + 16 * Out::kBytes);
  }
}

// Bias, residual, clip and store of rows [begin, end) that have a place, all columns. Its arithmetic is what layers of small k wait
// for.
template <typename Out, bool kResidual, bool kHigh>
OXPLOW_INLINE void amx_finish_rows(const Tile& t, char* const* rows, const float* sums, int begin, int end) {
  const bool has_bias = t.epilogue->bias != nullptr;
  const F32 bias0 = has_bias ? F32::load(t.epilogue->bias + t.column) : F32::zero();
  const F32 bias1 = has_bias ? F32::load(t.epilogue->bias + t.column + 16) : F32::zero();
  const F32 low = F32::broadcast(t.low);
  const F32 high = F32::broadcast(t.high);
  for (int i = begin; i < end; ++i) {
    if (rows[i] == nullptr) continue;
    F32 v0 = F32::load(sums + i * kAmxColumns) + bias0;
    F32 v1 = F32::load(sums + i * kAmxColumns + 16) + bias1;
    if constexpr (kResidual) {
      const char* residual = like_pointer(rows + i, t.residual_delta) + t.column * Out::kBytes;
      v0 = v0 + Out::load(residual);
      v1 = v1 + Out::load(residual + 16 * Out::kBytes);
    }
    v0 = max(low, v0);
    v1 = max(low, v1);
    if constexpr (kHigh) {
      v0 = min(high, v0);
      v1 = min(high, v1);
    }
    amx_store<Out>(v0, v1, rows[i] + t.column * Out::kBytes);
  }
}

template <typename Out, bool kResidual>
OXPLOW_INLINE void amx_finish_rows(const Tile& t, char* const* rows, const float* sums, int begin, int end) {
  if (t.high < __builtin_inff()) {
    amx_finish_rows<Out, kResidual, true>(t, rows, sums, begin, end);
  } else {
    amx_finish_rows<Out, kResidual, false>(t, rows, sums, begin, end);
  }
}

// Finishes `count` rows more.
template <typename Out>
__attribute__((noinline)) void amx_finish(AmxPending& p, int count) {
  const int last = p.row + count < p.rows ? p.row + count : p.rows;
  if (p.t.plain) {
    if (p.t.residual_delta != 0) {
      amx_finish_rows<Out, true>(p.t, p.out, p.sums, p.row, last);
    } else {
      amx_finish_rows<Out, false>(p.t, p.out, p.sums, p.row, last);
    }
    p.row = last;
    return;
  }
  while (p.row < last) {  // runs of rows that have a place
    int end = p.row;
    while (end < last && p.out[end] != nullptr) ++end;
    p.t.out = p.out + p.row;
    if (end > p.row) finish<Out>(p.t, p.sums + p.row * kAmxColumns, end - p.row, kAmxColumns);
    p.row = end < last ? end + 1 : last;
  }
}

}  // namespace oxplow::OXPLOW_ISA

#endif
