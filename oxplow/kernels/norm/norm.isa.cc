#include "oxplow/kernels/norm/norm.h"

#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {

// Defined in group_norm.isa.cc.
void group_norm(const GroupNormArgs& args, int64_t begin, int64_t end);

namespace {

constexpr int64_t kWidth = F32::kWidth;
constexpr int kChains = 4;
constexpr int64_t kRowBuffer = 4096;  // longest row that is kept in f32 between its three passes

// What a missing gamma and beta stand for, read again and again.
alignas(64) constexpr float kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
alignas(64) constexpr float kZeros[16] = {};

// A row of [columns] or one vector for all.
struct Parameter {
  const float* p;
  int64_t step;

  template <typename... Count>
  OXPLOW_INLINE F32 load(int64_t i, Count... count) const {
    return F32::load(p + i * step, count...);
  }
};
OXPLOW_INLINE Parameter parameter_or(const float* given, const float* otherwise) {
  if (given == nullptr) return {otherwise, 0};
  return {given, 1};
}

// v = x + residual of a row.
template <typename In, bool kResidual>
struct Row {
  const In* x;
  const In* residual;

  template <typename... Count>
  OXPLOW_INLINE F32 load(int64_t i, Count... count) const {
    const F32 v = load_f32(x + i, count...);
    if constexpr (kResidual) return v + load_f32(residual + i, count...);
    return v;
  }
};
template <typename In, bool kResidual>
OXPLOW_INLINE Row<In, kResidual> row_of(const NormArgs& args, int64_t r) {
  return {static_cast<const In*>(args.x) + r * args.ldx,
          kResidual ? static_cast<const In*>(args.residual) + r * args.ld_residual : nullptr};
}

// The row in f32.
template <typename R>
OXPLOW_INLINE void copy_row(const R& row, int64_t n, float* y) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) row.load(i).store(y + i);
  if (i < n) row.load(i, n - i).store(y + i, n - i);
}

// Sum over the row of f(v), in kChains chains a lane.
template <typename R, typename F>
OXPLOW_INLINE float sum_row(const R& row, int64_t n, F f) {
  F32 sums[kChains] = {F32::zero(), F32::zero(), F32::zero(), F32::zero()};
  int64_t i = 0;
  for (; i + kChains * kWidth <= n; i += kChains * kWidth) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) sums[c] = sums[c] + f(row.load(i + c * kWidth));
  }
  for (; i + kWidth <= n; i += kWidth) sums[0] = sums[0] + f(row.load(i));
  if (i < n) sums[1] = sums[1] + select(lanes_below(n - i), f(row.load(i, n - i)), F32::zero());
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// One row. In says what x is; R how the row is read: from x and the residual, or from a copy in f32.
template <typename In, typename Out, bool kCentered, typename R>
OXPLOW_INLINE void norm_row(const NormArgs& args, int64_t r, const R& row) {
  const int64_t n = args.columns;
  const float count = static_cast<float>(n);
  const float mean = kCentered ? sum_row(row, n, [](F32 v) { return v; }) / count : 0;
  const F32 center = F32::broadcast(mean);
  const float squares = sum_row(row, n, [=](F32 v) {
    const F32 d = v - center;
    return d * d;
  });
  const float inv_std = 1 / __builtin_sqrtf(squares / count + args.epsilon);
  if (kCentered && args.mean != nullptr) args.mean[r] = mean;
  if (args.inv_std != nullptr) args.inv_std[r] = inv_std;

  const Parameter gamma = parameter_or(args.gamma, kOnes), beta = parameter_or(args.beta, kZeros);
  const F32 factor = F32::broadcast(inv_std);
  auto* y = static_cast<Out*>(args.y) + r * args.ldy;
  auto* sum_out = args.sum == nullptr ? nullptr : static_cast<In*>(args.sum) + r * args.ld_sum;
  const auto finish = [&](int64_t i, auto... lanes) {
    const F32 v = row.load(i, lanes...);
    const F32 result = fma((v - center) * factor, gamma.load(i, lanes...), beta.load(i, lanes...));
    if (sum_out != nullptr) store_f32(v, sum_out + i, lanes...);
    store_f32(result, y + i, lanes...);
  };
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) finish(i);
  if (i < n) finish(i, n - i);
}

template <typename In, typename Out, bool kResidual, bool kCentered>
void norm_rows(const NormArgs& args, int64_t row_begin, int64_t row_end) {
  alignas(64) float copy[kRowBuffer];
  const bool is_cheap_to_read = __is_same(In, float) && !kResidual;
  for (int64_t r = row_begin; r < row_end; ++r) {
    const auto row = row_of<In, kResidual>(args, r);
    if (is_cheap_to_read || args.columns > kRowBuffer) {
      norm_row<In, Out, kCentered>(args, r, row);
    } else {
      copy_row(row, args.columns, copy);
      norm_row<In, Out, kCentered>(args, r, Row<float, false>{copy, nullptr});
    }
  }
}

template <bool kCentered>
void norm(const NormArgs& args, int64_t row_begin, int64_t row_end) {
  with_element(args.x_type, [&](auto in) {
    with_element(args.y_type, [&](auto out) {
      using In = decltype(in);
      using Out = decltype(out);
      if (args.residual != nullptr) return norm_rows<In, Out, true, kCentered>(args, row_begin, row_end);
      norm_rows<In, Out, false, kCentered>(args, row_begin, row_end);
    });
  });
}

}  // namespace

extern const NormKernels norm_kernels;
const NormKernels norm_kernels = {norm<true>, norm<false>, group_norm};

}  // namespace oxplow::OXPLOW_ISA
