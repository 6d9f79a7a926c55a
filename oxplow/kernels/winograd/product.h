#pragma once
// M[t][k] = sum over c of V[t][c] * U[c][k] for one point of the transforms and one panel of output channels: the inner matrix
// products, c ascending in one accumulator per result. For *.isa.cc only.

#include <cstdint>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

#if defined(__AVX512F__)
inline constexpr int kMaxRows = 14, kVectors = 2;
#elif defined(__ARM_NEON)
inline constexpr int kMaxRows = 6, kVectors = 4;
#else
inline constexpr int kMaxRows = 6, kVectors = 2;
#endif
inline constexpr int kPanel = kVectors * F32::kWidth;

// Rows of V, `stride` floats apart, and the broadcast of V[kRow][kStep] from where the pointers stand.
#if defined(__AVX512F__)
// In asm for two reasons: the compiler would fold the broadcast into each of the row's FMAs and run out of load ports, and it
// would keep 14 row pointers and spill them. Two pointers and three strides reach all rows.
struct Rows {
  const float *p, *q;
  int64_t stride, stride3, stride5;  // bytes

  OXPLOW_INLINE Rows(const float* v, int64_t floats)
      : p(v), q(v + 7 * floats), stride(4 * floats), stride3(12 * floats), stride5(20 * floats) {}
  OXPLOW_INLINE void advance(int64_t n) { p += n, q += n; }

#define OXPLOW_BROADCAST(address, index)    \
  asm("vbroadcastss %c[o]" address ", %[x]" \
      : [x] "=v"(x.v)                       \
      : [b] "r"(base), [s] "r"(index), [o] "i"(4 * kStep), "m"(*reinterpret_cast<const float (*)[1 << 20]>(base)))
  template <int kRow, int kStep>
  OXPLOW_INLINE F32 broadcast() const {
    const float* base = kRow < 7 ? p : q;
    constexpr int kWithin = kRow % 7;
    F32 x;
    if constexpr (kWithin == 0) {
      OXPLOW_BROADCAST("(%[b])", stride);
    } else if constexpr (kWithin == 1) {
      OXPLOW_BROADCAST("(%[b],%[s])", stride);
    } else if constexpr (kWithin == 2) {
      OXPLOW_BROADCAST("(%[b],%[s],2)", stride);
    } else if constexpr (kWithin == 3) {
      OXPLOW_BROADCAST("(%[b],%[s])", stride3);
    } else if constexpr (kWithin == 4) {
      OXPLOW_BROADCAST("(%[b],%[s],4)", stride);
    } else if constexpr (kWithin == 5) {
      OXPLOW_BROADCAST("(%[b],%[s])", stride5);
    } else {
      OXPLOW_BROADCAST("(%[b],%[s],2)", stride3);
    }
    return x;
  }
#undef OXPLOW_BROADCAST
};
#else
struct Rows {
  const float* p;
  int64_t stride;

  OXPLOW_INLINE Rows(const float* v, int64_t floats) : p(v), stride(floats) {}
  OXPLOW_INLINE void advance(int64_t n) { p += n; }
  template <int kRow, int kStep>
  OXPLOW_INLINE F32 broadcast() const {
    return F32::broadcast(p[kRow * stride + kStep]);
  }
};
#endif

template <int kRows, int kStep, int kRow = 0>
OXPLOW_INLINE void accumulate(F32 (&sums)[kRows][kVectors], const F32 (&u)[kVectors], const Rows& rows) {
  if constexpr (kRow < kRows) {
    const F32 v = rows.template broadcast<kRow, kStep>();
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sums[kRow][j] = fma(v, u[j], sums[kRow][j]);
    accumulate<kRows, kStep, kRow + 1>(sums, u, rows);
  }
}

template <int kRows, int kStep>
OXPLOW_INLINE void step(F32 (&sums)[kRows][kVectors], const Rows& rows, const float* u) {
  F32 b[kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) b[j] = F32::load(u + kStep * kPanel + j * F32::kWidth);
  accumulate<kRows, kStep>(sums, b, rows);
}

// Fetches a cache line for writing.
OXPLOW_INLINE void fetch_to_write(const float* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*p));  // the compiler's builtin makes it a fetch to read where the tier's flags lack it
#else
  __builtin_prefetch(p, 1, 3);
#endif
}

// A stretch of memory to be fetched on the side, `floats` of it every 4 channels.
struct Fetch {
  const float* from;
  int64_t floats;

  OXPLOW_INLINE void go() {
    constexpr int kLines = (4 * kPanel + 15) / 16;
#pragma GCC unroll 16
    for (int i = 0; i < kLines / 2; ++i) __builtin_prefetch(from + 16 * i, 0, 2);
    if (floats > 16 * (kLines / 2)) {
#pragma GCC unroll 16
      for (int i = kLines / 2; i < kLines; ++i) __builtin_prefetch(from + 16 * i, 0, 2);
    }
    from += floats;
  }
};

template <int kRows>
void product_rows(const float* v, int64_t v_stride, const float* u, int64_t channels, float* m, int64_t m_stride, Fetch fetch) {
  Rows rows(v, v_stride);
  F32 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sums[r][j] = F32::zero();
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kVectors; ++j) fetch_to_write(m + r * m_stride + 16 * j);
  int64_t c = channels;
  for (; c >= 4; c -= 4) {
    fetch.go();
    step<kRows, 0>(sums, rows, u);
    step<kRows, 1>(sums, rows, u);
    step<kRows, 2>(sums, rows, u);
    step<kRows, 3>(sums, rows, u);
    rows.advance(4);
    u += 4 * kPanel;
  }
  for (; c > 0; --c) {
    step<kRows, 0>(sums, rows, u);
    rows.advance(1);
    u += kPanel;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sums[r][j].store(m + r * m_stride + j * F32::kWidth);
  }
}

using ProductRows = void (*)(const float*, int64_t, const float*, int64_t, float*, int64_t, Fetch);

template <int... kRows>
struct ProductTable {
  static constexpr ProductRows kEntries[] = {product_rows<kRows>...};
};
#if defined(__AVX512F__)
using Products = ProductTable<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
#else
using Products = ProductTable<1, 2, 3, 4, 5, 6>;
#endif

// Any number of rows, in blocks as equal as can be. `next` is where the weights of the product after this one start: they are
// fetched meanwhile, each block of rows its share.
OXPLOW_INLINE void product(const float* v, int64_t v_stride, int64_t rows, const float* u, int64_t channels, float* m,
                           int64_t m_stride, const float* next) {
  int64_t blocks = (rows + kMaxRows - 1) / kMaxRows;
  Fetch fetch{next, (4 * kPanel + blocks - 1) / blocks};
  while (rows > 0) {
    const int64_t n = (rows + blocks - 1) / blocks;
    Products::kEntries[n - 1](v, v_stride, u, channels, m, m_stride, fetch);
    fetch.from += channels / 4 * fetch.floats;
    v += n * v_stride;
    m += n * m_stride;
    rows -= n;
    --blocks;
  }
}

}  // namespace oxplow::OXPLOW_ISA
