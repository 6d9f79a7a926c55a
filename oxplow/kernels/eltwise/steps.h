#pragma once
// The loops of a chain: each runs one step over a strip of numbers that lies in L1.

#include "oxplow/kernels/eltwise/scalar_steps.h"
#include "oxplow/kernels/eltwise/vector_ops.h"
#include "oxplow/kernels/simd/storage.h"

namespace oxplow::OXPLOW_ISA {
namespace {

constexpr int64_t kWidth = F32::kWidth;
constexpr int64_t kSplat = 64;  // copies behind an operand of step 0: one unrolled block of the widest tier

// A value of the strip at hand: `step` floats from element to element, 1, or 0 where all elements are equal.
struct Operand {
  const float* p;
  int64_t step;
};

struct StepArgs {
  Operand a, b, c;
  float* y;
  int64_t n;
  float alpha, beta;
  float low, high;  // of the clip that follows, where it is part of the step
};

constexpr uint8_t kArity[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) arity,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

// Ops so cheap that the loop around them counts: four vectors a turn.
constexpr bool is_cheap(EltwiseOp op) {
  return op == EltwiseOp::identity || op == EltwiseOp::add || op == EltwiseOp::sub || op == EltwiseOp::mul ||
         op == EltwiseOp::min || op == EltwiseOp::max || op == EltwiseOp::mul_add || op == EltwiseOp::select ||
         op == EltwiseOp::neg || op == EltwiseOp::abs || op == EltwiseOp::square || op == EltwiseOp::clip ||
         op == EltwiseOp::hard_sigmoid || op == EltwiseOp::hard_swish || op == EltwiseOp::leaky_relu || op == EltwiseOp::prelu;
}

// Ops whose loop can apply a clip to its results: what stands before ReLU.
constexpr bool takes_clip(EltwiseOp op) {
  return op == EltwiseOp::add || op == EltwiseOp::sub || op == EltwiseOp::mul || op == EltwiseOp::mul_add;
}

template <EltwiseOp kOp, bool kClip>
struct Step {
  F32 alpha, beta, low, high;

  template <int kVectors, typename... Count>
  OXPLOW_INLINE void block(const StepArgs& s, int64_t i, Count... count) const {
    constexpr int kOperands = kArity[static_cast<int>(kOp)];
    F32 y[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      F32 a = {}, b = {}, c = {};
      if constexpr (kOperands > 0) a = F32::load(s.a.p + i * s.a.step + v * kWidth, count...);
      if constexpr (kOperands > 1) b = F32::load(s.b.p + i * s.b.step + v * kWidth, count...);
      if constexpr (kOperands > 2) c = F32::load(s.c.p + i * s.c.step + v * kWidth, count...);
      y[v] = VectorOp<kOp>::apply(a, b, c, alpha, beta);
      if constexpr (kClip) y[v] = min(high, max(low, y[v]));
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) y[v].store(s.y + i + v * kWidth, count...);
  }
};

template <EltwiseOp kOp, bool kClip>
void run_step(const StepArgs& s) {
  if constexpr (VectorOp<kOp>::kExists) {
    const Step<kOp, kClip> step = {F32::broadcast(s.alpha), F32::broadcast(s.beta), F32::broadcast(s.low),
                                   F32::broadcast(s.high)};
    constexpr int kVectors = is_cheap(kOp) ? 4 : 1;
    static_assert(kVectors * kWidth <= kSplat);
    int64_t i = 0;
    for (; i + kVectors * kWidth <= s.n; i += kVectors * kWidth) step.template block<kVectors>(s, i);
    if constexpr (kVectors > 1) {
      for (; i + kWidth <= s.n; i += kWidth) step.template block<1>(s, i);
    }
    if (i < s.n) step.template block<1>(s, i, s.n - i);
  } else {
    eltwise_scalar_step(kOp, s.a.p, s.a.step, s.b.p, s.b.step, s.y, s.n);
  }
}

template <typename F>
OXPLOW_INLINE void map_operand(const StepArgs& s, F f) {
  int64_t i = 0;
  for (; i + kWidth <= s.n; i += kWidth) f(F32::load(s.a.p + i * s.a.step)).store(s.y + i);
  if (i < s.n) f(F32::load(s.a.p + i * s.a.step, s.n - i)).store(s.y + i, s.n - i);
}

// C's pow(a, 1/2): unlike sqrt, of -infinity it is infinity and of -0 it is +0.
OXPLOW_INLINE F32 half_power(F32 a) {
  const F32 infinity = F32::broadcast(__builtin_inff());
  return select(a == neg(infinity), infinity, sqrt(a + F32::zero()));
}

// a^b: where b is the same everywhere and an exponent that models use, products and roots.
template <>
void run_step<EltwiseOp::pow, false>(const StepArgs& s) {
  const float exponent = s.b.step == 0 ? *s.b.p : 0;
  if (exponent == 2) return map_operand(s, [](F32 a) { return a * a; });
  if (exponent == 3) return map_operand(s, [](F32 a) { return a * a * a; });
  if (exponent == 0.5f) return map_operand(s, [](F32 a) { return half_power(a); });
  if (exponent == -0.5f) return map_operand(s, [](F32 a) { return one() / half_power(a); });
  if (exponent == -1) return map_operand(s, [](F32 a) { return one() / a; });
  eltwise_scalar_step(EltwiseOp::pow, s.a.p, s.a.step, s.b.p, s.b.step, s.y, s.n);
}

using StepFunction = void (*)(const StepArgs&);

constexpr StepFunction kSteps[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) run_step<EltwiseOp::name, false>,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

// The same with a clip after it, or null.
constexpr StepFunction kClippedSteps[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) \
  takes_clip(EltwiseOp::name) ? run_step<EltwiseOp::name, takes_clip(EltwiseOp::name)> : nullptr,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

// y[i] = x[i] for i < n, to and from f32.
template <typename Element>
void load_run(const void* x, float* y, int64_t n) {
  const auto* p = static_cast<const Element*>(x);
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) load_f32(p + i + v * kWidth).store(y + i + v * kWidth);
  }
  for (; i + kWidth <= n; i += kWidth) load_f32(p + i).store(y + i);
  if (i < n) load_f32(p + i, n - i).store(y + i, n - i);
}
template <typename Element>
void store_run(Operand x, void* y, int64_t n) {
  auto* p = static_cast<Element*>(y);
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) store_f32(F32::load(x.p + i * x.step + v * kWidth), p + i + v * kWidth);
  }
  for (; i + kWidth <= n; i += kWidth) store_f32(F32::load(x.p + i * x.step), p + i);
  if (i < n) store_f32(F32::load(x.p + i * x.step, n - i), p + i, n - i);
}

inline void load_any(const void* x, DType type, float* y, int64_t n) {
  if (type == DType::boolean) {
    const auto* p = static_cast<const uint8_t*>(x);
    for (int64_t i = 0; i < n; ++i) y[i] = p[i] != 0 ? 1.0f : 0.0f;
    return;
  }
  with_element(type, [=](auto element) { load_run<decltype(element)>(x, y, n); });
}
inline float load_one(const void* x, DType type) {
  float value;
  load_any(x, type, &value, 1);
  return value;
}
inline void store_any(Operand x, void* y, DType type, int64_t n) {
  if (type == DType::boolean) {
    auto* p = static_cast<uint8_t*>(y);
    for (int64_t i = 0; i < n; ++i) p[i] = x.p[i * x.step] != 0;
    return;
  }
  with_element(type, [=](auto element) { store_run<decltype(element)>(x, y, n); });
}

}  // namespace
}  // namespace oxplow::OXPLOW_ISA
