#include "oxplow/kernels/copy/copy.h"

#include "oxplow/kernels/copy/transpose.h"
#include "oxplow/kernels/simd/storage.h"

#define OXPLOW_STRING(x) OXPLOW_STRING_OF(x)
#define OXPLOW_STRING_OF(x) #x

namespace oxplow::OXPLOW_ISA {
extern const CopyKernels copy_kernels;

namespace {

// Conversions take tiles of this many elements a side through memory of their own.
constexpr int64_t kTile = 64;

template <typename A, typename B>
inline constexpr bool kSame = false;
template <typename A>
inline constexpr bool kSame<A, A> = true;

template <size_t kBytes>
struct BitsOf;
template <>
struct BitsOf<2> {
  using Type = uint16_t;
};
template <>
struct BitsOf<4> {
  using Type = uint32_t;
};

template <typename V>
OXPLOW_INLINE void move(const char* src, char* dst) {
  V v;
  __builtin_memcpy(&v, src, sizeof(V));
  __builtin_memcpy(dst, &v, sizeof(V));
}

// n bytes; sizeof(V) <= n <= 2 * sizeof(V): the two moves may overlap.
template <typename V>
OXPLOW_INLINE void move_ends(const char* src, char* dst, int64_t n) {
  V first, last;
  __builtin_memcpy(&first, src, sizeof(V));
  __builtin_memcpy(&last, src + n - sizeof(V), sizeof(V));
  __builtin_memcpy(dst, &first, sizeof(V));
  __builtin_memcpy(dst + n - sizeof(V), &last, sizeof(V));
}

OXPLOW_INLINE void copy_bytes(const char* src, char* dst, int64_t n) {
  using Part = Wide<uint8_t, 1>::Vector;
  using Whole = Wide<uint8_t, kMostParts>::Vector;
  constexpr int64_t kStep = sizeof(Whole);
  constexpr int64_t kLong = 2048;  // from here on the C library's choice of instructions pays for the call
  if (n >= kLong) {
    __builtin_memcpy(dst, src, static_cast<size_t>(n));
  } else if (n > 16) {
    for (; n > 2 * kStep; n -= kStep, src += kStep, dst += kStep) move<Whole>(src, dst);
    if (n >= kStep) return move_ends<Whole>(src, dst, n);
    for (; n > 32; n -= 16, src += 16, dst += 16) move<Part>(src, dst);
    move_ends<Part>(src, dst, n);
  } else if (n >= 8) {
    move_ends<uint64_t>(src, dst, n);
  } else if (n >= 4) {
    move_ends<uint32_t>(src, dst, n);
  } else if (n >= 2) {
    move_ends<uint16_t>(src, dst, n);
  } else if (n == 1) {
    *dst = *src;
  }
}

// n elements, one after the other on both sides.
template <typename S, typename D>
OXPLOW_INLINE void copy_run(const S* src, D* dst, int64_t n) {
  if constexpr (kSame<S, D>) {
    copy_bytes(reinterpret_cast<const char*>(src), reinterpret_cast<char*>(dst), n * static_cast<int64_t>(sizeof(S)));
  } else {
    constexpr int64_t kWidth = F32::kWidth;
    for (; n >= kWidth; n -= kWidth, src += kWidth, dst += kWidth) store_f32(load_f32(src), dst);
    if (n > 0) store_f32(load_f32(src, n), dst, n);
  }
}

template <typename D>
OXPLOW_INLINE void fill_run(D value, D* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = value;
}

// A unit of work: src and dst at its first element.
template <typename S, typename D>
struct Unit {
  const S* src;
  D* dst;
  int64_t rows, columns;
};

template <typename S, typename D>
void copy_rows(const CopyPlan& plan, const Unit<S, D>& unit) {
  for (int64_t r = 0; r < unit.rows; ++r) copy_run(unit.src + r * plan.row_src, unit.dst + r * plan.row_dst, unit.columns);
}

template <typename S, typename D>
void copy_spread(const CopyPlan& plan, const Unit<S, D>& unit) {
  for (int64_t r = 0; r < unit.rows; ++r) {
    D value;
    copy_run(unit.src + r * plan.row_src, &value, 1);
    fill_run(value, unit.dst + r * plan.row_dst, unit.columns);
  }
}

template <typename S, typename D>
void copy_transpose(const CopyPlan& plan, const Unit<S, D>& unit) {
  if constexpr (kSame<S, D>) {
    transpose(unit.src, plan.column_src, unit.dst, plan.row_dst, unit.rows, unit.columns);
  } else {
    using Bits = typename BitsOf<sizeof(D)>::Type;
    alignas(64) D tile[kTile * kTile];
    for (int64_t r = 0; r < unit.rows; r += kTile) {
      const int64_t rows = unit.rows - r < kTile ? unit.rows - r : kTile;
      for (int64_t c = 0; c < unit.columns; c += kTile) {
        const int64_t columns = unit.columns - c < kTile ? unit.columns - c : kTile;
        for (int64_t i = 0; i < columns; ++i) copy_run(unit.src + r + (c + i) * plan.column_src, tile + i * kTile, rows);
        transpose(reinterpret_cast<const Bits*>(tile), kTile, reinterpret_cast<Bits*>(unit.dst + r * plan.row_dst + c),
                  plan.row_dst, rows, columns);
      }
    }
  }
}

template <typename S, typename D>
void copy_strided(const CopyPlan& plan, const Unit<S, D>& unit) {
  const int64_t column_src = plan.column_src, column_dst = plan.column_dst;
  for (int64_t r = 0; r < unit.rows; ++r) {
    const S* src = unit.src + r * plan.row_src;
    D* dst = unit.dst + r * plan.row_dst;
    if constexpr (kSame<S, D>) {
#pragma GCC unroll 4
      for (int64_t c = 0; c < unit.columns; ++c) dst[c * column_dst] = src[c * column_src];
    } else {
      S from[kTile];
      D to[kTile];
      for (int64_t c = 0; c < unit.columns; c += kTile) {
        const int64_t n = unit.columns - c < kTile ? unit.columns - c : kTile;
        for (int64_t i = 0; i < n; ++i) from[i] = src[(c + i) * column_src];
        copy_run(from, to, n);
        for (int64_t i = 0; i < n; ++i) dst[(c + i) * column_dst] = to[i];
      }
    }
  }
}

template <typename S, typename D>
void copy_unit(const CopyPlan& plan, const Unit<S, D>& unit) {
  switch (plan.form) {
    case CopyForm::rows: return copy_rows(plan, unit);
    case CopyForm::spread: return copy_spread(plan, unit);
    case CopyForm::transpose: return copy_transpose(plan, unit);
    case CopyForm::strided: return copy_strided(plan, unit);
  }
}

template <typename S, typename D>
void copy_units(const CopyPlan& plan, const void* src, void* dst, int64_t begin, int64_t end) {
  const int64_t row_blocks = (plan.rows + plan.block_rows - 1) / plan.block_rows;
  const int64_t column_blocks = (plan.columns + plan.block_columns - 1) / plan.block_columns;
  for (int64_t i = begin; i < end; ++i) {
    int64_t rest = i;
    const int64_t column = rest % column_blocks * plan.block_columns;
    rest /= column_blocks;
    const int64_t row = rest % row_blocks * plan.block_rows;
    rest /= row_blocks;
    int64_t src_at = row * plan.row_src + column * plan.column_src;
    int64_t dst_at = row * plan.row_dst + column * plan.column_dst;
    for (int d = plan.outer_rank - 1; d >= 0; --d) {
      src_at += rest % plan.outer_extent[d] * plan.outer_src[d];
      dst_at += rest % plan.outer_extent[d] * plan.outer_dst[d];
      rest /= plan.outer_extent[d];
    }
    const int64_t rows = plan.rows - row < plan.block_rows ? plan.rows - row : plan.block_rows;
    const int64_t columns = plan.columns - column < plan.block_columns ? plan.columns - column : plan.block_columns;
    copy_unit<S, D>(plan, {static_cast<const S*>(src) + src_at, static_cast<D*>(dst) + dst_at, rows, columns});
  }
}

using CopyUnits = void (*)(const CopyPlan&, const void*, void*, int64_t, int64_t);

CopyUnits choose_copy(DType src, DType dst, int dst_bits) {
  if (src == DType::f32 && dst == DType::bf16) return copy_units<float, Bf16>;
  if (src == DType::f32 && dst == DType::f16) return copy_units<float, F16>;
  if (src == DType::bf16 && dst == DType::f32) return copy_units<Bf16, float>;
  if (src == DType::bf16 && dst == DType::f16) return copy_units<Bf16, F16>;
  if (src == DType::f16 && dst == DType::f32) return copy_units<F16, float>;
  if (src == DType::f16 && dst == DType::bf16) return copy_units<F16, Bf16>;
  switch (dst_bits) {
    case 8: return copy_units<uint8_t, uint8_t>;
    case 16: return copy_units<uint16_t, uint16_t>;
    case 32: return copy_units<uint32_t, uint32_t>;
    default: return copy_units<uint64_t, uint64_t>;
  }
}

void run(const CopyPlan& plan, const void* src, void* dst, int64_t begin, int64_t end) {
  if (begin < end) choose_copy(plan.src_type, plan.dst_type, plan.element_bits)(plan, src, dst, begin, end);
}

void clear_pixels(const BorderArgs& args, char* pixel, int64_t count) {
  const size_t bytes = static_cast<size_t>(args.channels * args.element_bytes);
  if (args.pixel == args.channels) {
    __builtin_memset(pixel, 0, bytes * static_cast<size_t>(count));
    return;
  }
  for (int64_t i = 0; i < count; ++i) __builtin_memset(pixel + i * args.pixel * args.element_bytes, 0, bytes);
}

void clear_border(const BorderArgs& args, int64_t image_begin, int64_t image_end) {
  const int64_t row = args.row * args.element_bytes;
  const int64_t left = args.left * args.pixel * args.element_bytes;
  const int64_t inside = args.inside_w * args.pixel * args.element_bytes;
  const int64_t width = args.left + args.inside_w + args.right;
  for (int64_t n = image_begin; n < image_end; ++n) {
    char* image = static_cast<char*>(args.inside) + n * args.image * args.element_bytes;
    for (int64_t i = -args.top; i < 0; ++i) clear_pixels(args, image + i * row - left, width);
    for (int64_t i = 0; i < args.inside_h; ++i) {
      clear_pixels(args, image + i * row - left, args.left);
      clear_pixels(args, image + i * row + inside, args.right);
    }
    for (int64_t i = 0; i < args.bottom; ++i) clear_pixels(args, image + (args.inside_h + i) * row - left, width);
  }
}

}  // namespace

const CopyKernels copy_kernels = {OXPLOW_STRING(OXPLOW_ISA), run, clear_border};

}  // namespace oxplow::OXPLOW_ISA
