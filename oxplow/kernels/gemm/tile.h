#pragma once
// The register tile that matrix products and convolutions share: kRows rows of A by kVectors vectors of columns of packed B, summed
// over k in registers, then bias, residual, activation and store.
//
// A row of A is a pointer; k walks over runs_h x runs_w runs of run_units contiguous units (product.h) at fixed byte distances, the
// same for every row. A plain matrix product has one run; a convolution has one for each tap.

#include <cstddef>
#include <cstdint>

#include "oxplow/kernels/gemm/product.h"
#include "oxplow/kernels/simd/activation.h"

namespace oxplow::OXPLOW_ISA {

// Work of one or more register tiles over the same k and columns.
struct Tile {
  const char* const* rows = nullptr;  // of A, at k = 0
  char* const* out = nullptr;         // rows of C at column 0
  int64_t residual_delta = 0;         // bytes from &out[i] to the like pointer of the residual; 0: no residual
  int64_t first_byte = 0;             // from rows[i] to the first unit
  int64_t runs_h = 1, runs_w = 1, run_h_bytes = 0, run_w_bytes = 0, run_units = 0;
  const char* panel = nullptr;     // of packed B
  const char* prefetch = nullptr;  // brought to L2 while the tile is computed, prefetch_step bytes every four units
  int64_t prefetch_step = 0;
  int64_t column = 0;   // first column of the panel
  int64_t columns = 0;  // that exist in the panel
  const Epilogue* epilogue = nullptr;
  float low = 0, high = 0;  // clip, when `plain`
  bool plain = false;       // finished in registers: the activation is none, clip or hard swish, the columns can be stored
  bool hard_swish = false;
  bool resume = false;      // C holds the sums over an earlier part of k (f32 alone)
  bool unfinished = false;  // C is left holding sums
};

// Element types of C.
struct F32Out {
  static constexpr int kBytes = 4;
  static OXPLOW_INLINE F32 load(const char* p) { return F32::load(reinterpret_cast<const float*>(p)); }
  static OXPLOW_INLINE F32 load(const char* p, int64_t n) { return F32::load(reinterpret_cast<const float*>(p), n); }
  static OXPLOW_INLINE void store(F32 v, char* p) { v.store(reinterpret_cast<float*>(p)); }
  static OXPLOW_INLINE void store(F32 v, char* p, int64_t n) { v.store(reinterpret_cast<float*>(p), n); }
};
struct Bf16Out {
  static constexpr int kBytes = 2;
  static OXPLOW_INLINE F32 load(const char* p) { return load_bf16(reinterpret_cast<const uint16_t*>(p)); }
  static OXPLOW_INLINE F32 load(const char* p, int64_t n) { return load_bf16(reinterpret_cast<const uint16_t*>(p), n); }
  static OXPLOW_INLINE void store(F32 v, char* p) { store_bf16(v, reinterpret_cast<uint16_t*>(p)); }
  static OXPLOW_INLINE void store(F32 v, char* p, int64_t n) { store_bf16(v, reinterpret_cast<uint16_t*>(p), n); }
};

template <typename T>
OXPLOW_INLINE T like_pointer(const T* pointer, int64_t delta) {
  return *reinterpret_cast<const T*>(reinterpret_cast<const char*>(pointer) + delta);
}

// The sums of `rows` x `t.columns` lie in memory, `stride` floats a row; finishes them into C.
template <typename Out, Activation kActivation>
__attribute__((noinline)) void finish(const Tile& t, const float* sums, int rows, int stride) {
  const F32 alpha = F32::broadcast(t.epilogue->alpha);
  const F32 beta = F32::broadcast(t.epilogue->beta);
  const float* bias = t.epilogue->bias;
  for (int i = 0; i < rows; ++i) {
    char* out = t.out[i] + t.column * Out::kBytes;
    const char* residual = t.residual_delta != 0 ? like_pointer(t.out + i, t.residual_delta) + t.column * Out::kBytes : nullptr;
    for (int64_t n = 0; n < t.columns; n += F32::kWidth) {
      const int64_t count = t.columns - n < F32::kWidth ? t.columns - n : F32::kWidth;
      F32 v = F32::load(sums + i * stride + n);
      if (bias != nullptr) v = v + F32::load(bias + t.column + n, count);
      if (residual != nullptr) v = v + Out::load(residual + n * Out::kBytes, count);
      Out::store(activate<kActivation>(v, alpha, beta), out + n * Out::kBytes, count);
    }
  }
}

template <typename Out>
__attribute__((noinline)) void finish(const Tile& t, const float* sums, int rows, int stride) {
  switch (t.epilogue->activation) {
    case Activation::none: return finish<Out, Activation::none>(t, sums, rows, stride);
    case Activation::clip: return finish<Out, Activation::clip>(t, sums, rows, stride);
    case Activation::sigmoid: return finish<Out, Activation::sigmoid>(t, sums, rows, stride);
    case Activation::silu: return finish<Out, Activation::silu>(t, sums, rows, stride);
    case Activation::hard_sigmoid: return finish<Out, Activation::hard_sigmoid>(t, sums, rows, stride);
    case Activation::hard_swish: return finish<Out, Activation::hard_swish>(t, sums, rows, stride);
    case Activation::gelu: return finish<Out, Activation::gelu>(t, sums, rows, stride);
    case Activation::gelu_tanh: return finish<Out, Activation::gelu_tanh>(t, sums, rows, stride);
    case Activation::tanh: return finish<Out, Activation::tanh>(t, sums, rows, stride);
    case Activation::leaky_relu: return finish<Out, Activation::leaky_relu>(t, sums, rows, stride);
  }
}

// Asks for a line that will be written.
OXPLOW_INLINE void prefetch_to_write(const char* p) {
#if defined(__AVX2__)
  asm volatile("prefetchw (%0)" : : "r"(p));
#else
  __builtin_prefetch(p, 1, 3);
#endif
}

#define OXPLOW_UNROLL _Pragma("GCC unroll 32")

// The vectors of B at b + kByte, one unit of k.
template <typename Product, int kByte, int kVectors, int kVector = 0>
OXPLOW_INLINE void load_columns(typename Product::Vector (&column)[kVectors], const char* b) {
  column[kVector] = Product::template load<kByte + kVector * F32::kWidth * 4>(b);
  if constexpr (kVector + 1 < kVectors) load_columns<Product, kByte, kVectors, kVector + 1>(column, b);
}

// Adds unit kIndex of the four in `a`.
template <typename Product, int kIndex, int kUnitBytes, int kRows, int kVectors>
OXPLOW_INLINE void add_unit(F32 (&sum)[kRows][kVectors], const typename Product::Four (&a)[kRows], const char* b) {
  typename Product::Vector column[kVectors];
  load_columns<Product, kIndex * kUnitBytes>(column, b);
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    const auto spread = Product::template pick<kIndex>(a[i]);
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = Product::add(sum[i][v], spread, column[v]);
  }
}

// Asks for memory that is needed soon, a little every four units of k: first the lines of C (and of the residual) that the tile
// will write, a row at a time, and all along the next panel of B.
struct Ahead {
  char* const* row;
  char* const* row_end;
  const char* panel;
};

// Four units of k, `n` times, at `offset` of the rows and at `b`, which move along. kOut: with a row of C each.
template <typename Product, typename Out, bool kOut, int kRows, int kVectors, int kPanelVectors>
OXPLOW_INLINE void add_fours(const Tile& t, int64_t n, const char* (&rows)[kRows], int64_t& offset, const char*& b, Ahead& ahead,
                             F32 (&sum)[kRows][kVectors]) {
  constexpr int kStep = kPanelVectors * F32::kWidth * 4;  // bytes of B a unit
  for (; n > 0; --n) {
    typename Product::Four a[kRows];
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) a[i] = Product::four(rows[i], offset);
    add_unit<Product, 0, kStep>(sum, a, b);
    add_unit<Product, 1, kStep>(sum, a, b);
    add_unit<Product, 2, kStep>(sum, a, b);
    add_unit<Product, 3, kStep>(sum, a, b);
    // Kept in memory where the registers are the rows'.
    if constexpr (kRows > 8) asm volatile("" : "+m"(ahead));
    if constexpr (kOut) {
      constexpr int kBytes = kVectors * F32::kWidth * Out::kBytes;
      const char* out = *ahead.row + t.column * Out::kBytes;
      const char* residual = like_pointer(ahead.row, t.residual_delta) + t.column * Out::kBytes;
      OXPLOW_UNROLL for (int i = 0; i < kBytes; i += 64) prefetch_to_write(out + i);
      OXPLOW_UNROLL for (int i = 0; i < kBytes; i += 64) __builtin_prefetch(residual + i, 0, 3);
      ++ahead.row;
    }
    __builtin_prefetch(ahead.panel, 0, 2);
    __builtin_prefetch(ahead.panel + t.prefetch_step / 2, 0, 2);
    ahead.panel += t.prefetch_step;
    if constexpr (kRows > 8) asm volatile("" : "+m"(ahead));
    b += 4 * kStep;
    offset += 16;
  }
}

// Adds all of k into sum.
template <typename Product, typename Out, int kRows, int kVectors, int kPanelVectors>
OXPLOW_INLINE void accumulate(const Tile& t, F32 (&sum)[kRows][kVectors]) {
  constexpr int kStep = kPanelVectors * F32::kWidth * 4;
  const char* rows[kRows];
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) rows[i] = t.rows[i];
  const char* b = t.panel;
  Ahead ahead{t.out, t.out + kRows, t.prefetch};
  for (int64_t h = 0; h < t.runs_h; ++h) {
    for (int64_t w = 0; w < t.runs_w; ++w) {
      int64_t offset = t.first_byte + h * t.run_h_bytes + w * t.run_w_bytes;
      const int64_t fours = t.run_units / 4;
      const int64_t to_ask = ahead.row_end - ahead.row;
      const int64_t first = fours < to_ask ? fours : to_ask;
      add_fours<Product, Out, true, kRows, kVectors, kPanelVectors>(t, first, rows, offset, b, ahead, sum);
      add_fours<Product, Out, false, kRows, kVectors, kPanelVectors>(t, fours - first, rows, offset, b, ahead, sum);
      for (int64_t n = t.run_units % 4; n > 0; --n) {
        typename Product::Vector column[kVectors];
        load_columns<Product, 0>(column, b);
        OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
          const auto spread = Product::one(rows[i], offset);
          OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = Product::add(sum[i][v], spread, column[v]);
        }
        b += kStep;
        offset += 4;
      }
    }
  }
}

// Sums from and to C, between parts of k. Only the last vector may have columns that do not exist.
template <int kRows, int kVectors>
OXPLOW_INLINE void load_sums(const Tile& t, F32 (&sum)[kRows][kVectors]) {
  const int64_t last = t.columns - (kVectors - 1) * F32::kWidth;
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    const float* c = reinterpret_cast<const float*>(t.out[i]) + t.column;
    OXPLOW_UNROLL for (int v = 0; v < kVectors - 1; ++v) sum[i][v] = F32::load(c + v * F32::kWidth);
    sum[i][kVectors - 1] = F32::load(c + (kVectors - 1) * F32::kWidth, last);
  }
}
template <int kRows, int kVectors>
OXPLOW_INLINE void store_sums(const Tile& t, const F32 (&sum)[kRows][kVectors]) {
  const int64_t last = t.columns - (kVectors - 1) * F32::kWidth;
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    float* c = reinterpret_cast<float*>(t.out[i]) + t.column;
    OXPLOW_UNROLL for (int v = 0; v < kVectors - 1; ++v) sum[i][v].store(c + v * F32::kWidth);
    sum[i][kVectors - 1].store(c + (kVectors - 1) * F32::kWidth, last);
  }
}

// Whether the last vector of a row can be stored in part at no cost.
constexpr bool kMaskedTail = F32::kWidth == 16;

// Bias, residual, activation and store of sums in registers; with kMaskedTail the last vector may have columns that do not exist.
template <typename Out, int kRows, int kVectors>
OXPLOW_INLINE void finish_in_registers(const Tile& t, F32 (&sum)[kRows][kVectors]) {
  constexpr int kLast = kVectors - 1, kVectorBytes = F32::kWidth * Out::kBytes;
  const int64_t last = t.columns - kLast * F32::kWidth;
  const auto partial = [](int v) { return kMaskedTail && v == kLast; };
  if (t.epilogue->bias != nullptr) {
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
      const float* p = t.epilogue->bias + t.column + v * F32::kWidth;
      const F32 bias = partial(v) ? F32::load(p, last) : F32::load(p);
      OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) sum[i][v] = sum[i][v] + bias;
    }
  }
  if (t.residual_delta != 0) {
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      const char* residual = like_pointer(t.out + i, t.residual_delta) + t.column * Out::kBytes;
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
        const char* p = residual + v * kVectorBytes;
        sum[i][v] = sum[i][v] + (partial(v) ? Out::load(p, last) : Out::load(p));
      }
    }
  }
  if (t.hard_swish) {
    const F32 none = F32::zero();
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = activate<Activation::hard_swish>(sum[i][v], none, none);
    }
  } else {
    const F32 low = F32::broadcast(t.low);
    const F32 high = F32::broadcast(t.high);
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = min(high, max(low, sum[i][v]));
    }
  }
  OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
    char* out = t.out[i] + t.column * Out::kBytes;
    OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) {
      if (partial(v)) {
        Out::store(sum[i][v], out + v * kVectorBytes, last);
      } else {
        Out::store(sum[i][v], out + v * kVectorBytes);
      }
    }
  }
}

template <typename Product, typename Out, int kRows, int kVectors, int kPanelVectors>
__attribute__((noinline)) void run_tile(const Tile& t) {
  F32 sum[kRows][kVectors];
  if (t.resume) {
    load_sums(t, sum);
  } else {
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) { OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v] = F32::zero(); }
  }
  accumulate<Product, Out, kRows, kVectors, kPanelVectors>(t, sum);
  if (t.unfinished) return store_sums(t, sum);
  if (!t.plain) {
    alignas(64) float sums[kRows * kVectors * F32::kWidth];
    OXPLOW_UNROLL for (int i = 0; i < kRows; ++i) {
      OXPLOW_UNROLL for (int v = 0; v < kVectors; ++v) sum[i][v].store(sums + (i * kVectors + v) * F32::kWidth);
    }
    finish<Out>(t, sums, kRows, kVectors * F32::kWidth);
    return;
  }
  finish_in_registers<Out>(t, sum);
}

// run_tile of every size up to kRows x kVectors: tiles[rows - 1][vectors - 1].
template <typename Product, typename Out, int kRows, int kVectors>
struct TileTable {
  using Function = void (*)(const Tile&);
  Function tiles[kRows][kVectors];

  constexpr TileTable() : tiles{} { fill<kRows, kVectors>(); }

 private:
  template <int kR, int kV>
  constexpr void fill() {
    tiles[kR - 1][kV - 1] = run_tile<Product, Out, kR, kV, kVectors>;
    if constexpr (kV > 1) {
      fill<kR, kV - 1>();
    } else if constexpr (kR > 1) {
      fill<kR - 1, kVectors>();
    }
  }
};

// Pointers to rows of A, of C and of the residual, for a block of rows whose part of A stays in L2 while all panels pass over it.
template <int kCapacity>
struct Rows {
  const char* a[kCapacity];
  char* c[kCapacity];
  const char* residual[kCapacity];

  static constexpr int64_t kResidualDelta = sizeof(Rows::a);
};

// Panels [begin, end) of n columns, stride bytes apart.
struct Panels {
  const char* packed;
  int64_t stride;
  int64_t n;
  int64_t begin, end;
};

// The k of a panel in parts of kPartUnits at most (or whole runs), so that a part stays in L2 beside the rows of A while all tiles
// pass over it, and little of a layer's first panel is read before any prefetch. Between parts the sums wait in C.
constexpr int64_t kPartUnits = 1024;
struct Parts {
  Tile whole;
  int64_t units, row_units;
  int64_t chunks = 1, chunk_units;  // of a run
  int64_t count = 1;

  OXPLOW_INLINE Parts(const Tile& t, int64_t most_units)
      : whole(t), units(t.runs_h * t.runs_w * t.run_units), row_units(t.runs_w * t.run_units), chunk_units(t.run_units) {
    if (units <= most_units) return;
    count = t.runs_h;
    if (row_units <= most_units) return;
    chunks = (t.run_units + most_units - 1) / most_units;
    chunk_units = t.run_units / chunks / 4 * 4;  // the last has the rest
    count *= t.runs_w * chunks;
  }
  // Units of k before part `i`.
  OXPLOW_INLINE int64_t before(int64_t i) const {
    if (i >= count) return units;
    return is_rows() ? i * row_units : i / chunks * whole.run_units + i % chunks * chunk_units;
  }
  // Whether a part is a row of runs: else it is a chunk of a run.
  OXPLOW_INLINE bool is_rows() const { return count == whole.runs_h; }
  OXPLOW_INLINE void set(int64_t i, Tile* t) const {
    t->resume = whole.resume || i > 0;
    t->unfinished = whole.unfinished || i + 1 < count;
    t->residual_delta = t->unfinished ? 0 : whole.residual_delta;
    if (count == 1) return;
    t->runs_h = 1;
    if (is_rows()) {
      t->first_byte = i * whole.run_h_bytes;
      return;
    }
    const int64_t run = i / chunks;
    t->runs_w = 1;
    t->first_byte =
        run / whole.runs_w * whole.run_h_bytes + run % whole.runs_w * whole.run_w_bytes + i % chunks * chunk_units * 4;
    t->run_units = before(i + 1) - before(i);
  }
};

// Computes the first `count` rows of `rows` x panels. `t` holds what all tiles have alike.
template <typename Product, typename Out, int kRows, int kVectors, int kCapacity>
OXPLOW_INLINE void run_block(Tile t, const Rows<kCapacity>& rows, int64_t count, const Panels& panels) {
  static constexpr TileTable<Product, Out, kRows, kVectors> kTable;
  constexpr int64_t kColumns = kVectors * F32::kWidth;
  const int64_t tiles = (count + kRows - 1) / kRows;
  const Epilogue& epilogue = *t.epilogue;
  const bool clip = epilogue.activation == Activation::clip;
  t.hard_swish = epilogue.activation == Activation::hard_swish;
  const bool simple = epilogue.activation == Activation::none || clip || t.hard_swish;
  t.low = clip ? epilogue.alpha : -__builtin_inff();
  t.high = clip ? epilogue.beta : __builtin_inff();
  t.residual_delta = epilogue.residual != nullptr ? Rows<kCapacity>::kResidualDelta : 0;
  const bool can_wait = Out::kBytes == 4 && (epilogue.residual == nullptr || rows.residual[0] != rows.c[0]);
  const Parts parts(t, can_wait ? kPartUnits : INT64_MAX);
  const int64_t all_panels = (panels.n + kColumns - 1) / kColumns;
  for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const char* packed = panels.packed + panel * panels.stride;
    t.column = panel * kColumns;
    t.columns = panels.n - t.column < kColumns ? panels.n - t.column : kColumns;
    const int64_t vectors = (t.columns + F32::kWidth - 1) / F32::kWidth;
    t.plain = simple && (kMaskedTail || t.columns == vectors * F32::kWidth);
    for (int64_t part = 0; part < parts.count; ++part) {
      parts.set(part, &t);
      t.panel = packed + parts.before(part) * kColumns * 4;
      // Each tile brings its share of the next part, or of the next panel's first, evenly: lines on their way from memory take up
      // the buffers that the tile's own loads from L2 need. More than two every four units would only keep the tile waiting.
      const bool last = part + 1 == parts.count;
      const char* next = !last ? packed + parts.before(part + 1) * kColumns * 4
                               : panels.packed + (panel + 1 < all_panels ? panel + 1 : panels.begin) * panels.stride;
      const int64_t next_units = last ? parts.before(1) : parts.before(part + 2) - parts.before(part + 1);
      const int64_t share = (next_units * kColumns * 4 / tiles + 63) / 64 * 64;
      t.prefetch_step = next_units < 4 ? 0 : share / (next_units / 4) + 1;
      if (t.prefetch_step > 128) t.prefetch_step = 128;
      int64_t row = 0;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t row_end = count * (tile + 1) / tiles;  // sizes that differ by one at most
        t.rows = rows.a + row;
        t.out = rows.c + row;
        t.prefetch = next + tile * share;
        kTable.tiles[row_end - row - 1][vectors - 1](t);
        row = row_end;
      }
    }
  }
}

}  // namespace oxplow::OXPLOW_ISA
