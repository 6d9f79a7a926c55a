#include "oxplow/kernels/reduce/reduce.h"

#include "oxplow/kernels/reduce/accumulate.h"

namespace oxplow::OXPLOW_ISA {
namespace {

constexpr int kChains = 8;             // accumulators of a row: enough to hide the latency of an addition
constexpr int64_t kRowBlock = 2048;    // elements of a row summed before they join the row's total
constexpr int64_t kColumnBlock = 512;  // columns reduced together, their accumulators in L1
constexpr int64_t kRowsTogether = 8;   // rows added to each other before they join the accumulators
constexpr int64_t kRowsOfBlock = 128;  // rows that share accumulators before these join the totals

// The reduced dimensions with those of extent 1 dropped and neighbours that are one run merged: the last is extents[2].
struct Reduced {
  int64_t extents[kMaxReduceDims];
  int64_t strides[kMaxReduceDims];
  int64_t count;
};

Reduced reduced_of(const ReduceArgs& args) {
  Reduced r = {{1, 1, 1}, {0, 0, 0}, 1};
  int d = kMaxReduceDims;  // dimensions [d, 3) are set
  for (int from = kMaxReduceDims - 1; from >= 0; --from) {
    const int64_t extent = args.reduced[from], stride = args.x_reduced[from];
    r.count *= extent;
    if (extent == 1) continue;
    if (d < kMaxReduceDims && stride == r.strides[d] * r.extents[d]) {
      r.extents[d] *= extent;
    } else {
      r.extents[--d] = extent;
      r.strides[d] = stride;
    }
  }
  return r;
}

int64_t outer_offset(const ReduceArgs& args, const int64_t* strides, int64_t o) {
  return o % args.outer[2] * strides[2] + o / args.outer[2] % args.outer[1] * strides[1] +
         o / args.outer[2] / args.outer[1] * strides[0];
}

// From the reduced value to the result.
OXPLOW_INLINE F32 finish(ReduceOp op, F32 r, int64_t count, F32 shift) {
  if (op == ReduceOp::mean) return r / F32::broadcast(static_cast<float>(count));
  if (op == ReduceOp::l2) return sqrt(r);
  if (op == ReduceOp::log_sum) return log(r);
  if (op == ReduceOp::log_sum_exp) return log(r) + shift;
  return r;
}

// What log_sum_exp subtracts: the maximum, unless that is no number to subtract.
OXPLOW_INLINE F32 shift_of(F32 greatest) {
  return select(abs(greatest) < F32::broadcast(__builtin_inff()), greatest, F32::zero());
}

// The lanes' share of a contiguous run of n elements, n <= kRowBlock.
template <typename Element, typename Map, typename Combine>
OXPLOW_INLINE F32 reduce_block(const Element* x, int64_t n, F32 shift) {
  Accumulators<Combine, kChains> sums;
  int64_t i = 0;
  for (; i + kChains * kWidth <= n; i += kChains * kWidth) {
#pragma GCC unroll 8
    for (int c = 0; c < kChains; ++c) sums.add(c, Map::map(load_f32(x + i + c * kWidth), shift));
  }
  for (; i + kWidth <= n; i += kWidth) sums.add(0, Map::map(load_f32(x + i), shift));
  if (i < n) sums.add(1, select(lanes_below(n - i), Map::map(load_f32(x + i, n - i), shift), Combine::identity()));
  return sums.result();
}

template <typename Element, typename Map, typename Combine>
float reduce_row(const void* x, const Reduced& reduced, float shift) {
  F32 total = Combine::identity();
  for (int64_t i = 0; i < reduced.extents[0]; ++i) {
    for (int64_t j = 0; j < reduced.extents[1]; ++j) {
      const Element* run = static_cast<const Element*>(x) + i * reduced.strides[0] + j * reduced.strides[1];
      for (int64_t k = 0; k < reduced.extents[2]; k += kRowBlock) {
        const int64_t n = reduced.extents[2] - k < kRowBlock ? reduced.extents[2] - k : kRowBlock;
        total = merge<Combine>(total, reduce_block<Element, Map, Combine>(run + k, n, F32::broadcast(shift)));
      }
    }
  }
  return across<Combine>(total);
}

// sums[c] = merge(sums[c], reduction of the given rows at c), c < n.
template <typename Element, typename Map, typename Combine, int kRows>
void add_rows(const Element* const* rows, const float* shift, int64_t n, float* sums) {
  const auto add = [&](int64_t c, auto... count) {
    Accumulators<Combine, kRows> group;
    const F32 s = __is_same(Map, ExpLess) ? F32::load(shift + c, count...) : F32::zero();
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) group.add(r, Map::map(load_f32(rows[r] + c, count...), s));
    merge<Combine>(F32::load(sums + c, count...), group.result()).store(sums + c, count...);
  };
  int64_t c = 0;
  for (; c + kWidth <= n; c += kWidth) add(c);
  if (c < n) add(c, n - c);
}

OXPLOW_INLINE void fill(float* y, F32 value, int64_t n) {
  for (int64_t c = 0; c < n; c += kWidth) value.store(y + c);  // the arrays are whole blocks
}

// totals[c] = reduction of x[r][c] over all r, c < n <= kColumnBlock.
template <typename Element, typename Map, typename Combine>
void reduce_columns(const void* x, const Reduced& reduced, const float* shift, int64_t n, float* totals) {
  alignas(64) float sums[kColumnBlock];
  fill(totals, Combine::identity(), n);
  fill(sums, Combine::identity(), n);
  const Element* rows[kRowsTogether];
  int64_t in_block = 0;
  for (int64_t r = 0; r < reduced.count;) {
    const int64_t group = reduced.count - r < kRowsTogether ? 1 : kRowsTogether;
    for (int64_t g = 0; g < group; ++g, ++r) {
      const int64_t k = r % reduced.extents[2], ij = r / reduced.extents[2];
      rows[g] = static_cast<const Element*>(x) + k * reduced.strides[2] + ij % reduced.extents[1] * reduced.strides[1] +
                ij / reduced.extents[1] * reduced.strides[0];
    }
    if (group == kRowsTogether) {
      add_rows<Element, Map, Combine, kRowsTogether>(rows, shift, n, sums);
    } else {
      add_rows<Element, Map, Combine, 1>(rows, shift, n, sums);
    }
    in_block += group;
    if (in_block < kRowsOfBlock && r < reduced.count) continue;
    for (int64_t c = 0; c < n; c += kWidth) merge<Combine>(F32::load(totals + c), F32::load(sums + c)).store(totals + c);
    fill(sums, Combine::identity(), n);
    in_block = 0;
  }
}

// Calls f(map, combine) with what `op` is made of; log_sum_exp after its maximum.
template <typename F>
OXPLOW_INLINE void with_parts(ReduceOp op, F f) {
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::mean:
    case ReduceOp::log_sum: return f(Itself{}, Sum{});
    case ReduceOp::max: return f(Itself{}, Greatest{});
    case ReduceOp::min: return f(Itself{}, Least{});
    case ReduceOp::prod: return f(Itself{}, Product{});
    case ReduceOp::sum_square:
    case ReduceOp::l2: return f(Square{}, Sum{});
    case ReduceOp::l1: return f(Absolute{}, Sum{});
    case ReduceOp::log_sum_exp: return f(ExpLess{}, Sum{});
  }
}

void store_results(const float* results, void* y, DType type, int64_t n) {
  with_element(type, [=](auto element) {
    using Element = decltype(element);
    auto* p = static_cast<Element*>(y);
    int64_t c = 0;
    for (; c + kWidth <= n; c += kWidth) store_f32(F32::load(results + c), p + c);
    if (c < n) store_f32(F32::load(results + c, n - c), p + c, n - c);
  });
}

template <typename Element>
void reduce_rows(const ReduceArgs& args, const Reduced& reduced, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; ++o) {
    const void* x = static_cast<const Element*>(args.x) + outer_offset(args, args.x_outer, o);
    float shift = 0;
    float result[kWidth] = {};
    if (args.op == ReduceOp::log_sum_exp) {
      shift_of(F32::broadcast(reduce_row<Element, Itself, Greatest>(x, reduced, 0))).store(&shift, 1);
    }
    with_parts(args.op, [&](auto map, auto combine) {
      result[0] = reduce_row<Element, decltype(map), decltype(combine)>(x, reduced, shift);
    });
    finish(args.op, F32::broadcast(result[0]), reduced.count, F32::broadcast(shift)).store(result);
    store_results(result, advance(args.y, args.y_type, outer_offset(args, args.y_outer, o)), args.y_type, 1);
  }
}

// Columns [column, column + n) of outer index o.
template <typename Element>
void reduce_column_block(const ReduceArgs& args, const Reduced& reduced, int64_t o, int64_t column, int64_t n) {
  alignas(64) float totals[kColumnBlock];
  alignas(64) float shift[kColumnBlock];
  const void* x = static_cast<const Element*>(args.x) + outer_offset(args, args.x_outer, o) + column;
  if (args.op == ReduceOp::log_sum_exp) {
    reduce_columns<Element, Itself, Greatest>(x, reduced, nullptr, n, shift);
    for (int64_t c = 0; c < n; c += kWidth) shift_of(F32::load(shift + c)).store(shift + c);
  } else {
    fill(shift, F32::zero(), n);
  }
  with_parts(args.op, [&](auto map, auto combine) {
    reduce_columns<Element, decltype(map), decltype(combine)>(x, reduced, shift, n, totals);
  });
  for (int64_t c = 0; c < n; c += kWidth) {
    finish(args.op, F32::load(totals + c), reduced.count, F32::load(shift + c)).store(totals + c);
  }
  store_results(totals, advance(args.y, args.y_type, outer_offset(args, args.y_outer, o) + column), args.y_type, n);
}

void reduce(const ReduceArgs& args, int64_t begin, int64_t end) {
  const Reduced reduced = reduced_of(args);
  const bool rows = args.inner == 1 && (reduced.strides[2] == 1 || reduced.count == 1);
  with_element(args.x_type, [&](auto element) {
    using Element = decltype(element);
    if (rows) return reduce_rows<Element>(args, reduced, begin, end);
    for (int64_t at = begin; at < end;) {
      const int64_t column = at % args.inner;
      int64_t n = args.inner - column < end - at ? args.inner - column : end - at;
      n = n < kColumnBlock ? n : kColumnBlock;
      reduce_column_block<Element>(args, reduced, at / args.inner, column, n);
      at += n;
    }
  });
}

}  // namespace

void arg_reduce(const ArgReduceArgs& args, int64_t begin, int64_t end);

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {reduce, arg_reduce};

}  // namespace oxplow::OXPLOW_ISA
