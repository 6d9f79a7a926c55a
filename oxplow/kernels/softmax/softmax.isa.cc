#include "oxplow/kernels/softmax/softmax.h"

#include "oxplow/kernels/simd/math.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {
namespace {

constexpr int64_t kWidth = F32::kWidth;
constexpr int64_t kRowBuffer = 4096;  // exponentials of a row kept between its passes, when y cannot hold them in f32

OXPLOW_INLINE F32 minus_infinity() { return F32::broadcast(-__builtin_inff()); }

// t = scale * x + mask of a row.
template <typename Element, bool kMasked>
struct Row {
  const Element* x;
  const float* mask;
  F32 scale;

  template <typename... Count>
  OXPLOW_INLINE F32 load(int64_t i, Count... count) const {
    const F32 v = load_f32(x + i, count...);
    if constexpr (kMasked) return fma(v, scale, F32::load(mask + i, count...));
    return v * scale;
  }
};

// max over the row of t; NaN may be lost, the exponentials bring it back.
template <typename R>
OXPLOW_INLINE float greatest_of(const R& row, int64_t n) {
  F32 best[4] = {minus_infinity(), minus_infinity(), minus_infinity(), minus_infinity()};
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) best[c] = max(row.load(i + c * kWidth), best[c]);
  }
  for (; i + kWidth <= n; i += kWidth) best[0] = max(row.load(i), best[0]);
  if (i < n) best[1] = max(select(lanes_below(n - i), row.load(i, n - i), minus_infinity()), best[1]);
  return max_of(max(max(best[0], best[1]), max(best[2], best[3])));
}

// Sum over the row of exp(t - greatest); the exponentials go to `kept` if that is not null.
template <bool kKeep, typename R>
OXPLOW_INLINE float sum_exponentials(const R& row, int64_t n, F32 greatest, float* kept) {
  F32 sums[2] = {F32::zero(), F32::zero()};
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
#pragma GCC unroll 2
    for (int c = 0; c < 2; ++c) {
      const F32 e = exp(row.load(i + c * kWidth) - greatest);
      sums[c] = sums[c] + e;
      if constexpr (kKeep) e.store(kept + i + c * kWidth);
    }
  }
  for (; i < n; i += kWidth) {
    if (n - i >= kWidth) {
      const F32 e = exp(row.load(i) - greatest);
      sums[0] = sums[0] + e;
      if constexpr (kKeep) e.store(kept + i);
    } else {
      const F32 e = select(lanes_below(n - i), exp(row.load(i, n - i) - greatest), F32::zero());
      sums[1] = sums[1] + e;
      if constexpr (kKeep) e.store(kept + i, n - i);
    }
  }
  return sum(sums[0] + sums[1]);
}

// y[i] = f(i) for i < n, where f(i) and f(i, count) give vectors.
template <typename Element, typename F>
OXPLOW_INLINE void store_row(Element* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store_f32(f(i), y + i);
  if (i < n) store_f32(f(i, n - i), y + i, n - i);
}

template <typename Out, typename R>
void softmax_row(const R& row, Out* y, int64_t n, bool log_of) {
  const F32 greatest = F32::broadcast(greatest_of(row, n));
  if (log_of) {
    const F32 less = log(F32::broadcast(sum_exponentials<false>(row, n, greatest, nullptr)));
    return store_row<Out>(y, n, [&](int64_t i, auto... count) { return row.load(i, count...) - greatest - less; });
  }
  alignas(64) float buffer[kRowBuffer];
  float* kept = buffer;
  if constexpr (__is_same(Out, float)) kept = y;
  if (kept == buffer && n > kRowBuffer) {
    const F32 factor = F32::broadcast(1 / sum_exponentials<false>(row, n, greatest, nullptr));
    return store_row<Out>(y, n, [&](int64_t i, auto... count) { return exp(row.load(i, count...) - greatest) * factor; });
  }
  const F32 factor = F32::broadcast(1 / sum_exponentials<true>(row, n, greatest, kept));
  store_row<Out>(y, n, [&](int64_t i, auto... count) { return F32::load(kept + i, count...) * factor; });
}

// A vector of columns: three walks down the axis.
template <typename In, typename Out, typename... Count>
OXPLOW_INLINE void softmax_column(const SoftmaxArgs& args, const In* x, Out* y, Count... count) {
  const F32 scale = F32::broadcast(args.scale);
  F32 greatest = minus_infinity();
  for (int64_t r = 0; r < args.length; ++r) greatest = max(load_f32(x + r * args.x_axis, count...) * scale, greatest);
  F32 total = F32::zero();
  for (int64_t r = 0; r < args.length; ++r) total = total + exp(load_f32(x + r * args.x_axis, count...) * scale - greatest);
  const F32 less = args.log ? log(total) : F32::zero();
  const F32 factor = F32::broadcast(1) / total;
  for (int64_t r = 0; r < args.length; ++r) {
    const F32 t = load_f32(x + r * args.x_axis, count...) * scale - greatest;
    store_f32(args.log ? t - less : exp(t) * factor, y + r * args.y_axis, count...);
  }
}

template <typename In, typename Out>
void softmax_columns(const SoftmaxArgs& args, const In* x, Out* y) {
  int64_t c = 0;
  for (; c + kWidth <= args.inner; c += kWidth) softmax_column<In, Out>(args, x + c, y + c);
  if (c < args.inner) softmax_column<In, Out>(args, x + c, y + c, args.inner - c);
}

int64_t outer_offset(const SoftmaxArgs& args, const int64_t* strides, int64_t row) {
  return row % args.outer[2] * strides[2] + row / args.outer[2] % args.outer[1] * strides[1] +
         row / args.outer[2] / args.outer[1] * strides[0];
}

template <typename In, typename Out>
void softmax_rows(const SoftmaxArgs& args, int64_t row_begin, int64_t row_end) {
  const F32 scale = F32::broadcast(args.scale);
  for (int64_t r = row_begin; r < row_end; ++r) {
    const auto* x = static_cast<const In*>(args.x) + outer_offset(args, args.x_outer, r);
    auto* y = static_cast<Out*>(args.y) + outer_offset(args, args.y_outer, r);
    if (args.inner != 1 || args.x_axis != 1 || args.y_axis != 1) {
      softmax_columns<In, Out>(args, x, y);
    } else if (args.mask != nullptr) {
      const float* mask = args.mask + outer_offset(args, args.mask_outer, r);
      softmax_row<Out>(Row<In, true>{x, mask, scale}, y, args.length, args.log);
    } else {
      softmax_row<Out>(Row<In, false>{x, nullptr, scale}, y, args.length, args.log);
    }
  }
}

void softmax(const SoftmaxArgs& args, int64_t row_begin, int64_t row_end) {
  with_element(args.x_type, [&](auto in) {
    with_element(args.y_type, [&](auto out) { softmax_rows<decltype(in), decltype(out)>(args, row_begin, row_end); });
  });
}

// f(row's part of x, the same part of y) with their element types.
template <typename F>
OXPLOW_INLINE void with_part(const SoftmaxArgs& args, int64_t row, int64_t begin, F f) {
  with_element(args.x_type, [&](auto in) {
    with_element(args.y_type, [&](auto out) {
      using In = decltype(in);
      using Out = decltype(out);
      const auto* x = static_cast<const In*>(args.x) + outer_offset(args, args.x_outer, row) + begin;
      f(Row<In, false>{x, nullptr, F32::broadcast(args.scale)},
        static_cast<Out*>(args.y) + outer_offset(args, args.y_outer, row) + begin);
    });
  });
}

// Whether exponentials wait in y for their factor.
template <typename Out>
constexpr bool kKept = __is_same(Out, float);

float part_greatest(const SoftmaxArgs& args, int64_t row, int64_t begin, int64_t end) {
  float result = 0;
  with_part(args, row, begin, [&](const auto& part, auto*) { result = greatest_of(part, end - begin); });
  return result;
}

float part_sum(const SoftmaxArgs& args, int64_t row, int64_t begin, int64_t end, float greatest) {
  float result = 0;
  with_part(args, row, begin, [&]<typename Out>(const auto& part, Out* y) {
    const F32 top = F32::broadcast(greatest);
    if constexpr (kKept<Out>) {
      result =
          args.log ? sum_exponentials<false>(part, end - begin, top, nullptr) : sum_exponentials<true>(part, end - begin, top, y);
    } else {
      result = sum_exponentials<false>(part, end - begin, top, nullptr);
    }
  });
  return result;
}

void part_finish(const SoftmaxArgs& args, int64_t row, int64_t begin, int64_t end, float greatest, float sum) {
  with_part(args, row, begin, [&]<typename Out>(const auto& part, Out* y) {
    const F32 top = F32::broadcast(greatest);
    if (args.log) {
      const F32 less = log(F32::broadcast(sum));
      return store_row<Out>(y, end - begin, [&](int64_t i, auto... count) { return part.load(i, count...) - top - less; });
    }
    const F32 factor = F32::broadcast(1 / sum);
    if constexpr (kKept<Out>) {
      store_row<Out>(y, end - begin, [&](int64_t i, auto... count) { return F32::load(y + i, count...) * factor; });
    } else {
      store_row<Out>(y, end - begin, [&](int64_t i, auto... count) { return exp(part.load(i, count...) - top) * factor; });
    }
  });
}

}  // namespace

extern const SoftmaxKernels softmax_kernels;
const SoftmaxKernels softmax_kernels = {softmax, part_greatest, part_sum, part_finish};

}  // namespace oxplow::OXPLOW_ISA
