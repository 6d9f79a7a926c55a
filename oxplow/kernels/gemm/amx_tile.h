#pragma once
// Products of bf16 by AMX: what tile.h is to vectors. A tile of A is up to 16 rows of 32 k, loaded from where they lie, so its rows
// are equally far apart; a tile of B is 32 k of 16 columns, one run of memory: the halves of a panel are packed each on its own
// (pack.h, pairs). Two by two of each are summed in four tiles of f32. The processor keeps the sums of each result in ascending order
// of pairs of k.

#include "oxplow/kernels/gemm/amx_finish.h"
#include "oxplow/kernels/gemm/tile.h"
#include "oxplow/kernels/simd/amx.h"

#if defined(__AMX_BF16__)

namespace oxplow::OXPLOW_ISA {

inline constexpr int kAmxRows = 16;                        // of a tile, at most
inline constexpr int64_t kAmxKBytes = 64;                  // of a row of A in a tile, at most
inline constexpr int64_t kAmxUnitBytes = kAmxColumns * 2;  // of a pair of k in half a panel, the columns of a tile
inline constexpr int kAmxBlockTiles = 32;  // tiles of A that stay in L2 while the panels of B pass over them, at most

// What all tiles of a product have alike. k walks over runs_h x runs_w runs of `run_bytes` contiguous bytes (tile.h).
struct AmxProduct {
  int64_t runs_h = 1, runs_w = 1, run_h_bytes = 0, run_w_bytes = 0, run_bytes = 0;
  int64_t step_bytes = kAmxKBytes;  // of a run in a tile of A
  int64_t row_bytes = 0;            // from a row of A to the next of its tile
  int rows = 0;                     // of a tile of A
  const Epilogue* epilogue = nullptr;
};

// Tiles of A, and where the results of their rows go, tile after tile: a null row of C has none (a pixel of the border, a row of the next
// tile).
struct AmxBlock {
  int tiles = 0;
  const char* a[kAmxBlockTiles];
  char* c[kAmxBlockTiles * kAmxRows];
  const char* residual[kAmxBlockTiles * kAmxRows];

  static constexpr int64_t kResidualDelta = sizeof(c);
};

// Holds the processor's tile registers, shaped for a product: 0 to 3 sums; 4 and 5 of A, 6 and 7 of B where runs are whole tiles of k;
// else 4 of A and 5 of B for the whole ones, 6 and 7 for the last part of a run.
class AmxTiles {
 public:
  explicit AmxTiles(const AmxProduct& p) {
    const auto rows = static_cast<uint8_t>(p.rows);
    const auto step = static_cast<uint16_t>(p.step_bytes);
    const auto tail = static_cast<uint16_t>(p.run_bytes % p.step_bytes);
    const auto pairs = static_cast<uint8_t>(step / 4);
    for (int i = 0; i < 8; ++i) config_.bytes[i] = kAmxKBytes;
    for (int i = 0; i < 5; ++i) config_.rows[i] = rows;
    config_.bytes[4] = step;
    if (tail == 0) config_.bytes[5] = step;
    config_.rows[5] = tail == 0 ? rows : pairs;
    config_.rows[6] = tail == 0 ? pairs : rows;
    config_.rows[7] = tail == 0 ? pairs : static_cast<uint8_t>(tail / 4);
    if (tail != 0) config_.bytes[6] = tail;
    // In assembly with its operand in memory: g++ 12 may drop the stores to an operand of _tile_loadconfig.
    asm volatile("ldtilecfg %0" : : "m"(config_) : "memory");
  }
  ~AmxTiles() { asm volatile("tilerelease" : : : "memory"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

 private:
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  } config_;
};

// What a tile of A of so many rows takes, in half cycles a product: as many cycles as rows, unless loading B takes longer.
OXPLOW_INLINE int64_t amx_tile_cost(int64_t rows) { return rows < 12 ? 24 : 2 * rows; }
OXPLOW_INLINE int64_t amx_cost(int64_t positions, int64_t rows) { return (positions + rows - 1) / rows * amx_tile_cost(rows); }

// The rows a tile of A should have where `positions` of them lie equally far apart: 16, or fewer that divide them better.
OXPLOW_INLINE int amx_tile_rows(int64_t positions) {
  int best = positions < kAmxRows ? static_cast<int>(positions) : kAmxRows;
  for (int rows = best - 1; rows >= 12; --rows) {
    if (amx_cost(positions, rows) < amx_cost(positions, best)) best = rows;
  }
  return best;
}

// Brings the next panel to L2, `step` bytes every 32 k.
struct AmxAhead {
  const char* panel;
  int64_t step;
  OXPLOW_INLINE void next() {
    for (int64_t i = 0; i < step; i += 64) __builtin_prefetch(panel + i, 0, 2);
    panel += step;
  }
};

// One step of k, by all four registers 4 to 7: kTiles tiles of A x kVectors of B.
template <int kTiles, int kVectors>
OXPLOW_INLINE void amx_step(const char* a0, const char* a1, int64_t row_bytes, const char* b0, const char* b1) {
  tile_load<6>(b0, kAmxUnitBytes);
  tile_load<4>(a0, row_bytes);
  tile_multiply<0, 4, 6>();
  if constexpr (kVectors > 1) {
    tile_load<7>(b1, kAmxUnitBytes);
    tile_multiply<1, 4, 7>();
  }
  if constexpr (kTiles > 1) {
    tile_load<5>(a1, row_bytes);
    tile_multiply<2, 5, 6>();
    if constexpr (kVectors > 1) tile_multiply<3, 5, 7>();
  }
}

// The same by two registers alone.
template <int kA, int kB, int kTiles, int kVectors>
OXPLOW_INLINE void amx_narrow_step(const char* a0, const char* a1, int64_t row_bytes, const char* b0, const char* b1) {
  tile_load<kA>(a0, row_bytes);
  tile_load<kB>(b0, kAmxUnitBytes);
  tile_multiply<0, kA, kB>();
  if constexpr (kTiles > 1) {
    tile_load<kA>(a1, row_bytes);
    tile_multiply<2, kA, kB>();
  }
  if constexpr (kVectors > 1) {
    tile_load<kB>(b1, kAmxUnitBytes);
    if constexpr (kTiles > 1) {
      tile_multiply<3, kA, kB>();
      tile_load<kA>(a0, row_bytes);
    }
    tile_multiply<1, kA, kB>();
  }
}

// sums[tile][row][32] of kTiles tiles of A x kVectors of B, over all k; meanwhile finishes what is pending.
template <typename Out, bool kTail, int kTiles, int kVectors>
OXPLOW_INLINE void amx_multiply(const AmxProduct& p, const char* a0, const char* a1, const char* b0, const char* b1,
                                AmxAhead ahead, AmxPending& pending, int rows_a_step, float* sums) {
  tile_zero<0>();
  if constexpr (kVectors > 1) tile_zero<1>();
  if constexpr (kTiles > 1) tile_zero<2>();
  if constexpr (kTiles > 1 && kVectors > 1) tile_zero<3>();
  const int64_t tail = p.run_bytes % p.step_bytes;
  const auto next = [&](int64_t bytes) {
    ahead.next();
    if (pending.row < pending.rows) amx_finish<Out>(pending, rows_a_step);
    b0 += bytes / 4 * kAmxUnitBytes;
    b1 += bytes / 4 * kAmxUnitBytes;
  };
  for (int64_t h = 0; h < p.runs_h; ++h) {
    for (int64_t w = 0; w < p.runs_w; ++w) {
      int64_t k = h * p.run_h_bytes + w * p.run_w_bytes;
      for (int64_t n = p.run_bytes / p.step_bytes; n > 0; --n) {
        if constexpr (kTail) {
          amx_narrow_step<4, 5, kTiles, kVectors>(a0 + k, a1 + k, p.row_bytes, b0, b1);
        } else {
          amx_step<kTiles, kVectors>(a0 + k, a1 + k, p.row_bytes, b0, b1);
        }
        next(p.step_bytes);
        k += p.step_bytes;
      }
      if constexpr (kTail) {
        amx_narrow_step<6, 7, kTiles, kVectors>(a0 + k, a1 + k, p.row_bytes, b0, b1);
        next(tail);
      }
    }
  }
  if (pending.row < pending.rows) amx_finish<Out>(pending, pending.rows);
  float* second = sums + p.rows * kAmxColumns;
  tile_store<0>(sums, kAmxColumns * sizeof(float));
  if constexpr (kVectors > 1) tile_store<1>(sums + 16, kAmxColumns * sizeof(float));
  if constexpr (kTiles > 1) tile_store<2>(second, kAmxColumns * sizeof(float));
  if constexpr (kTiles > 1 && kVectors > 1) tile_store<3>(second + 16, kAmxColumns * sizeof(float));
}

template <typename Out, bool kTail, int kTiles>
OXPLOW_INLINE void amx_multiply(int64_t vectors, const AmxProduct& p, const char* a0, const char* a1, const char* b0,
                                const char* b1, AmxAhead ahead, AmxPending& pending, int rows_a_step, float* sums) {
  if (vectors > 1) {
    amx_multiply<Out, kTail, kTiles, 2>(p, a0, a1, b0, b1, ahead, pending, rows_a_step, sums);
  } else {
    amx_multiply<Out, kTail, kTiles, 1>(p, a0, a1, b0, b1, ahead, pending, rows_a_step, sums);
  }
}

// Whether C is so wide that writing it is most of the work, and the panels stay in L2: then a pair of tiles of A stays in L1 while all
// panels pass over it, so that rows of C are written whole before they leave the caches, and no panel needs to be fetched ahead.
OXPLOW_INLINE bool amx_is_wide(const Panels& panels) {
  const int64_t bytes = (panels.end - panels.begin) * panels.stride;
  const int64_t k = panels.stride / (kAmxColumns * 2);
  return (panels.end - panels.begin) * kAmxColumns >= 4 * k && bytes <= 512 << 10;
}

// Tiles of A in a block so that they stay in L2: an even number.
OXPLOW_INLINE int amx_block_tiles(int64_t tile_bytes, const Panels& panels) {
  if (amx_is_wide(panels)) return 2;
  const int64_t fit = (int64_t{1024} << 10) / (tile_bytes + 1) / 2 * 2;
  return fit < 4 ? 4 : fit > kAmxBlockTiles ? kAmxBlockTiles : static_cast<int>(fit);
}

// Computes a block x panels, inside an AmxTiles.
template <typename Out, bool kTail>
__attribute__((noinline)) void amx_run_block(const AmxProduct& p, const AmxBlock& block, const Panels& panels) {
  alignas(64) float sums[2 * kAmxRows * kAmxColumns];  // what is pending is finished before they are written again
  AmxPending pending;
  Tile& t = pending.t;
  t.epilogue = p.epilogue;
  const bool clip = p.epilogue->activation == Activation::clip;
  const bool simple = p.epilogue->activation == Activation::none || clip;
  t.low = clip ? p.epilogue->alpha : -__builtin_inff();
  t.high = clip ? p.epilogue->beta : __builtin_inff();
  t.residual_delta = p.epilogue->residual != nullptr ? AmxBlock::kResidualDelta : 0;
  const int64_t steps = p.runs_h * p.runs_w * ((p.run_bytes + p.step_bytes - 1) / p.step_bytes);
  const int rows_a_step = steps == 0 ? 0 : static_cast<int>((2 * p.rows + steps - 1) / steps);
  const int64_t half = panels.stride / 2;
  const int64_t pairs = (block.tiles + 1) / 2;
  const int64_t share = (panels.stride / pairs + 63) / 64 * 64;
  int64_t prefetch_step = steps == 0 || amx_is_wide(panels) ? 0 : (share / steps + 63) / 64 * 64;
  if (prefetch_step > 1024) prefetch_step = 1024;
  for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const char* b = panels.packed + panel * panels.stride;
    const char* next = panels.packed + (panel + 1 < panels.end ? panel + 1 : panels.begin) * panels.stride;
    const int64_t column = panel * kAmxColumns;
    const int64_t columns = panels.n - column < kAmxColumns ? panels.n - column : kAmxColumns;
    const int64_t vectors = columns > 16 ? 2 : 1;
    for (int i = 0; i < block.tiles; i += 2) {
      const bool pair = i + 1 < block.tiles;
      const AmxAhead ahead{next + i / 2 * share, prefetch_step};
      if (pair) {
        amx_multiply<Out, kTail, 2>(vectors, p, block.a[i], block.a[i + 1], b, b + half, ahead, pending, rows_a_step, sums);
      } else {
        amx_multiply<Out, kTail, 1>(vectors, p, block.a[i], block.a[i], b, b + half, ahead, pending, rows_a_step, sums);
      }
      t.column = column;
      t.columns = columns;
      t.plain = simple && columns == kAmxColumns;
      pending.out = block.c + i * p.rows;
      pending.sums = sums;
      pending.row = 0;
      pending.rows = pair ? 2 * p.rows : p.rows;
    }
  }
  amx_finish<Out>(pending, pending.rows);
}

template <typename Out>
OXPLOW_INLINE void amx_run_block(const AmxProduct& p, const AmxBlock& block, const Panels& panels) {
  if (p.run_bytes % p.step_bytes == 0) {
    amx_run_block<Out, false>(p, block, panels);
  } else {
    amx_run_block<Out, true>(p, block, panels);
  }
}

// How much of a run a tile of A takes: as few steps as can be, and of equal length where that goes without a last part (56 bytes of
// a stem's row of taps are one step).
OXPLOW_INLINE int64_t amx_step_bytes(int64_t run_bytes) {
  const int64_t steps = (run_bytes + kAmxKBytes - 1) / kAmxKBytes;
  return steps > 0 && run_bytes % (4 * steps) == 0 ? run_bytes / steps : kAmxKBytes;
}

}  // namespace oxplow::OXPLOW_ISA

#endif
