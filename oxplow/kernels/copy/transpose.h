#pragma once
// Transposition in registers, for the bodies of kernels (*.isa.cc).

#include <cstdint>
#include <utility>

#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

// A register of kParts 16-byte parts, each of kSide = 16 / sizeof(T) elements; a kSide x kSide transposition takes place within
// each part.
#if defined(__AVX512BW__)
inline constexpr int kMostParts = 4;
#elif defined(__AVX2__)
inline constexpr int kMostParts = 2;
#else
inline constexpr int kMostParts = 1;
#endif

template <typename T, int kParts>
struct Wide;
#define OXPLOW_WIDE(type, parts)                                                            \
  template <>                                                                               \
  struct Wide<type, parts> {                                                                \
    typedef type Vector __attribute__((vector_size(16 * parts)));                           \
    typedef type Unaligned __attribute__((vector_size(16 * parts), aligned(1), may_alias)); \
  };
#define OXPLOW_WIDE_ALL(type) OXPLOW_WIDE(type, 1) OXPLOW_WIDE(type, 2) OXPLOW_WIDE(type, 4)
OXPLOW_WIDE_ALL(uint8_t)
OXPLOW_WIDE_ALL(uint16_t)
OXPLOW_WIDE_ALL(uint32_t)
OXPLOW_WIDE_ALL(uint64_t)
#undef OXPLOW_WIDE_ALL
#undef OXPLOW_WIDE

template <typename T>
inline constexpr int kSide = static_cast<int>(16 / sizeof(T));

template <typename T, typename V, int... kIndex>
OXPLOW_INLINE V interleave_low(V a, V b, std::integer_sequence<int, kIndex...>) {
  constexpr int n = sizeof...(kIndex), s = kSide<T>;
  return __builtin_shufflevector(a, b, ((kIndex % 2 ? n : 0) + kIndex / s * s + kIndex % s / 2)...);
}
template <typename T, typename V, int... kIndex>
OXPLOW_INLINE V interleave_high(V a, V b, std::integer_sequence<int, kIndex...>) {
  constexpr int n = sizeof...(kIndex), s = kSide<T>;
  return __builtin_shufflevector(a, b, ((kIndex % 2 ? n : 0) + kIndex / s * s + kIndex % s / 2 + s / 2)...);
}

// Transposes within each part of v[0..kSide): kSide is 2^k, and k rounds of interleaving halves do it.
template <typename T, int kParts>
OXPLOW_INLINE void transpose_parts(typename Wide<T, kParts>::Vector (&v)[kSide<T>]) {
  constexpr int n = kSide<T>;
  constexpr auto indices = std::make_integer_sequence<int, n * kParts>{};
#pragma GCC unroll 4
  for (int width = 1; width < n; width *= 2) {
    typename Wide<T, kParts>::Vector w[n];
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; ++i) {
      w[2 * i] = interleave_low<T>(v[i], v[i + n / 2], indices);
      w[2 * i + 1] = interleave_high<T>(v[i], v[i + n / 2], indices);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) v[i] = w[i];
  }
}

template <typename T>
OXPLOW_INLINE typename Wide<T, 1>::Vector load_part(const T* p) {
  return *reinterpret_cast<const typename Wide<T, 1>::Unaligned*>(p);
}

template <typename V, int... kIndex>
OXPLOW_INLINE auto concatenate(V a, V b, std::integer_sequence<int, kIndex...>) {
  return __builtin_shufflevector(a, b, kIndex...);
}

// kParts parts, kSide * stride elements apart.
template <typename T, int kParts>
OXPLOW_INLINE typename Wide<T, kParts>::Vector load_parts(const T* p, int64_t stride) {
  if constexpr (kParts == 1) {
    return load_part(p);
  } else {
    const auto low = load_parts<T, kParts / 2>(p, stride);
    const auto high = load_parts<T, kParts / 2>(p + kParts / 2 * kSide<T> * stride, stride);
    return concatenate(low, high, std::make_integer_sequence<int, kParts * kSide<T>>{});
  }
}

// dst[r * dst_row + c] = src[c * src_column + r], r < kSide<T>, c < kParts * kSide<T>.
template <typename T, int kParts>
OXPLOW_INLINE void transpose_block(const T* src, int64_t src_column, T* dst, int64_t dst_row) {
  typename Wide<T, kParts>::Vector v[kSide<T>];
#pragma GCC unroll 16
  for (int c = 0; c < kSide<T>; ++c) v[c] = load_parts<T, kParts>(src + c * src_column, src_column);
  transpose_parts<T, kParts>(v);
#pragma GCC unroll 16
  for (int r = 0; r < kSide<T>; ++r) {
    *reinterpret_cast<typename Wide<T, kParts>::Unaligned*>(dst + r * dst_row) = v[r];
  }
}

// All rows of kParts * kSide<T> columns.
template <typename T, int kParts>
OXPLOW_INLINE void transpose_columns(const T* src, int64_t src_column, T* dst, int64_t dst_row, int64_t rows) {
  int64_t r = 0;
  for (; r + kSide<T> <= rows; r += kSide<T>) transpose_block<T, kParts>(src + r, src_column, dst + r * dst_row, dst_row);
  for (; r < rows; ++r) {
    for (int c = 0; c < kParts * kSide<T>; ++c) dst[r * dst_row + c] = src[c * src_column + r];
  }
}

template <typename T, int kColumns>
OXPLOW_INLINE void transpose_few_columns(const T* src, int64_t src_column, T* dst, int64_t dst_row, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) dst[r * dst_row + c] = src[c * src_column + r];
  }
}

// dst[r * dst_row + c] = src[c * src_column + r], r < rows, c < columns.
template <typename T>
OXPLOW_INLINE void transpose(const T* src, int64_t src_column, T* dst, int64_t dst_row, int64_t rows, int64_t columns) {
  int64_t c = 0;
  if constexpr (kMostParts >= 4) {
    for (; c + 4 * kSide<T> <= columns; c += 4 * kSide<T>) {
      transpose_columns<T, 4>(src + c * src_column, src_column, dst + c, dst_row, rows);
    }
  }
  if constexpr (kMostParts >= 2) {
    for (; c + 2 * kSide<T> <= columns; c += 2 * kSide<T>) {
      transpose_columns<T, 2>(src + c * src_column, src_column, dst + c, dst_row, rows);
    }
  }
  for (; c + kSide<T> <= columns; c += kSide<T>) {
    transpose_columns<T, 1>(src + c * src_column, src_column, dst + c, dst_row, rows);
  }
  for (; c + 3 <= columns; c += 3) transpose_few_columns<T, 3>(src + c * src_column, src_column, dst + c, dst_row, rows);
  for (; c < columns; ++c) transpose_few_columns<T, 1>(src + c * src_column, src_column, dst + c, dst_row, rows);
}

}  // namespace oxplow::OXPLOW_ISA
