#include "oxplow/kernels/reduce/reduce.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {

// Defined for reduce.isa.cc's table.
void arg_reduce(const ArgReduceArgs& args, int64_t begin, int64_t end);

namespace {

constexpr int64_t kWidth = F32::kWidth;

// Where x comes before the best so far, NaN being best of all. `x` and `best` are negated for arg_min.
OXPLOW_INLINE Mask is_better(F32 x, F32 best, bool last) {
  if (last) return ((!(x < best)) & (!is_nan(best))) | is_nan(x);
  return (!(x <= best)) & (!is_nan(best));
}

// Signed index arithmetic of lanes stays within int32: longer axes go through in pieces.
constexpr int64_t kPiece = 1 << 30;

// One result: lanes race over the row, then against each other.
template <typename Element>
int64_t best_of_row(const ArgReduceArgs& args, const Element* x) {
  const F32 sign = F32::broadcast(args.least ? -1.0f : 1.0f);
  float best = -__builtin_inff();
  int64_t best_at = -1;
  for (int64_t start = 0; start < args.axis; start += kPiece) {
    const int64_t n = args.axis - start < kPiece ? args.axis - start : kPiece;
    F32 lane_best = F32::broadcast(-__builtin_inff());
    I32 lane_at = I32::broadcast(-1);
    alignas(64) static constexpr int32_t kLane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    I32 at = I32::load(kLane);
    for (int64_t i = 0; i < n; i += kWidth, at = at + I32::broadcast(kWidth)) {
      const int64_t left = n - i;
      const F32 v = sign * (left < kWidth ? load_f32(x + start + i, left) : load_f32(x + start + i));
      Mask better = is_better(v, lane_best, args.last) | (lane_at < I32::broadcast(0));
      if (left < kWidth) better = better & lanes_below(left);
      lane_best = select(better, v, lane_best);
      lane_at = select(better, at, lane_at);
    }
    alignas(64) float values[kWidth];
    alignas(64) int32_t places[kWidth];
    lane_best.store(values);
    lane_at.store(places);
    for (int64_t l = 0; l < kWidth; ++l) {
      if (places[l] < 0) continue;
      const float v = values[l];
      const int64_t place = start + places[l];
      const bool both_nan = v != v && best != best;
      const bool equal = v == best || both_nan;
      const bool better = best_at < 0 || (!equal && !(best != best) && !(v <= best)) ||
                          (equal && (args.last ? place > best_at : place < best_at));
      if (better) best = v, best_at = place;
    }
  }
  return best_at;
}

// Results of n <= kWidth columns.
template <typename Element>
void best_of_columns(const ArgReduceArgs& args, const Element* x, int64_t n, int64_t* y) {
  const F32 sign = F32::broadcast(args.least ? -1.0f : 1.0f);
  const auto load = [&](int64_t r) {
    return sign * (n < kWidth ? load_f32(x + r * args.x_axis, n) : load_f32(x + r * args.x_axis));
  };
  F32 best = load(0);
  I32 at = I32::broadcast(0);
  for (int64_t r = 1; r < args.axis; ++r) {
    const F32 v = load(r);
    const Mask better = is_better(v, best, args.last);
    best = select(better, v, best);
    at = select(better, I32::broadcast(static_cast<int32_t>(r)), at);
  }
  alignas(64) int32_t places[kWidth];
  at.store(places);
  for (int64_t c = 0; c < n; ++c) y[c] = places[c];
}

template <typename Element>
void arg_reduce_elements(const ArgReduceArgs& args, int64_t begin, int64_t end) {
  const auto* x = static_cast<const Element*>(args.x);
  if (args.inner == 1 && args.x_axis == 1) {
    for (int64_t o = begin; o < end; ++o) args.y[o] = best_of_row<Element>(args, x + o * args.x_outer);
    return;
  }
  for (int64_t i = begin; i < end;) {
    const int64_t column = i % args.inner;
    int64_t n = args.inner - column < end - i ? args.inner - column : end - i;
    n = n < kWidth ? n : kWidth;
    best_of_columns<Element>(args, x + i / args.inner * args.x_outer + column, n, args.y + i);
    i += n;
  }
}

}  // namespace

void arg_reduce(const ArgReduceArgs& args, int64_t begin, int64_t end) {
  with_element(args.x_type, [&](auto element) { arg_reduce_elements<decltype(element)>(args, begin, end); });
}

}  // namespace oxplow::OXPLOW_ISA
