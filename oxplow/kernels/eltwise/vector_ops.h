#pragma once
// The ops of eltwise_ops.inc on vectors. An op without a line here takes the scalar path (scalar_steps.h): rare ones.

#include "oxplow/kernels/eltwise/eltwise.h"
#include "oxplow/kernels/simd/activation.h"
#include "oxplow/kernels/simd/math.h"

namespace oxplow::OXPLOW_ISA {

OXPLOW_INLINE F32 one() { return F32::broadcast(1); }
OXPLOW_INLINE F32 truth(Mask m) { return select(m, one(), F32::zero()); }
OXPLOW_INLINE Mask is_true(F32 a) { return a != F32::zero(); }

// log(1 + x): the rounding of u = 1 + x is undone by the factor x / (u - 1).
OXPLOW_INLINE F32 log1p(F32 x) {
  const F32 u = one() + x;
  const F32 y = log(u) * (x / (u - one()));
  return select((u == one()) | (x == F32::broadcast(__builtin_inff())), x, y);
}

// e^x - 1: near zero by its series.
OXPLOW_INLINE F32 expm1(F32 x) {
  constexpr float kSeries[] = {1.0f / 2, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040, 1.0f / 40320};
  const F32 small = fma(x * x, polynomial(x, kSeries), x);
  return select(abs(x) < F32::broadcast(0.5f), small, exp(x) - one());
}

OXPLOW_INLINE F32 softplus(F32 a) { return max(a, F32::zero()) + log1p(exp(neg(abs(a)))); }

// tanh(softplus(a)) = n / (n + 2) with n = e^a (e^a + 2).
OXPLOW_INLINE F32 mish(F32 a) {
  const F32 e = exp(min(F32::broadcast(20), a));
  const F32 n = e * (e + F32::broadcast(2));
  return a * (n / (n + F32::broadcast(2)));
}

template <EltwiseOp kOp>
struct VectorOp {
  static constexpr bool kExists = false;
};

#define OXPLOW_VECTOR_OP(name, expression)                                                                 \
  template <>                                                                                              \
  struct VectorOp<EltwiseOp::name> {                                                                       \
    static constexpr bool kExists = true;                                                                  \
    static OXPLOW_INLINE F32 apply([[maybe_unused]] F32 a, [[maybe_unused]] F32 b, [[maybe_unused]] F32 c, \
                                   [[maybe_unused]] F32 alpha, [[maybe_unused]] F32 beta) {                \
      return expression;                                                                                   \
    }                                                                                                      \
  };
#define OXPLOW_VECTOR_ACTIVATION(name) OXPLOW_VECTOR_OP(name, activate<Activation::name>(a, alpha, beta))

OXPLOW_VECTOR_OP(constant, alpha)
OXPLOW_VECTOR_OP(identity, a)
OXPLOW_VECTOR_OP(add, a + b)
OXPLOW_VECTOR_OP(sub, a - b)
OXPLOW_VECTOR_OP(mul, a* b)
OXPLOW_VECTOR_OP(div, a / b)
OXPLOW_VECTOR_OP(min, select(is_nan(a), a, oxplow::OXPLOW_ISA::min(a, b)))
OXPLOW_VECTOR_OP(max, select(is_nan(a), a, oxplow::OXPLOW_ISA::max(a, b)))
OXPLOW_VECTOR_OP(prelu, select(a < F32::zero(), a* b, a))
OXPLOW_VECTOR_OP(mul_add, fma(a, b, c))
OXPLOW_VECTOR_OP(select, oxplow::OXPLOW_ISA::select(is_true(a), b, c))
OXPLOW_VECTOR_OP(neg, oxplow::OXPLOW_ISA::neg(a))
OXPLOW_VECTOR_OP(abs, oxplow::OXPLOW_ISA::abs(a))
OXPLOW_VECTOR_OP(sign, select(a > F32::zero(), one(), select(a < F32::zero(), F32::broadcast(-1), a)))
OXPLOW_VECTOR_OP(square, a* a)
OXPLOW_VECTOR_OP(sqrt, oxplow::OXPLOW_ISA::sqrt(a))
OXPLOW_VECTOR_OP(rsqrt, one() / oxplow::OXPLOW_ISA::sqrt(a))
OXPLOW_VECTOR_OP(reciprocal, one() / a)
OXPLOW_VECTOR_OP(floor, oxplow::OXPLOW_ISA::floor(a))
OXPLOW_VECTOR_OP(ceil, oxplow::OXPLOW_ISA::ceil(a))
OXPLOW_VECTOR_OP(round, oxplow::OXPLOW_ISA::round(a))
OXPLOW_VECTOR_OP(trunc, oxplow::OXPLOW_ISA::trunc(a))
OXPLOW_VECTOR_OP(exp, oxplow::OXPLOW_ISA::exp(a))
OXPLOW_VECTOR_OP(log, oxplow::OXPLOW_ISA::log(a))
OXPLOW_VECTOR_OP(log1p, oxplow::OXPLOW_ISA::log1p(a))
OXPLOW_VECTOR_OP(expm1, oxplow::OXPLOW_ISA::expm1(a))
OXPLOW_VECTOR_OP(erf, oxplow::OXPLOW_ISA::erf(a))
OXPLOW_VECTOR_ACTIVATION(clip)
OXPLOW_VECTOR_ACTIVATION(sigmoid)
OXPLOW_VECTOR_ACTIVATION(silu)
OXPLOW_VECTOR_ACTIVATION(hard_sigmoid)
OXPLOW_VECTOR_ACTIVATION(hard_swish)
OXPLOW_VECTOR_ACTIVATION(gelu)
OXPLOW_VECTOR_ACTIVATION(gelu_tanh)
OXPLOW_VECTOR_ACTIVATION(tanh)
OXPLOW_VECTOR_ACTIVATION(leaky_relu)
OXPLOW_VECTOR_OP(elu, select(a < F32::zero(), alpha* expm1(a), a))
OXPLOW_VECTOR_OP(selu, select(a > F32::zero(), beta* a, beta * alpha * expm1(a)))
OXPLOW_VECTOR_OP(celu, select(a < F32::zero(), alpha* expm1(a / alpha), a))
OXPLOW_VECTOR_OP(softplus, oxplow::OXPLOW_ISA::softplus(a))
OXPLOW_VECTOR_OP(softsign, a / (one() + abs(a)))
OXPLOW_VECTOR_OP(mish, oxplow::OXPLOW_ISA::mish(a))
OXPLOW_VECTOR_OP(thresholded_relu, select(a > alpha, a, F32::zero()))
OXPLOW_VECTOR_OP(shrink, select(a < oxplow::OXPLOW_ISA::neg(alpha), a + beta, select(a > alpha, a - beta, F32::zero())))
OXPLOW_VECTOR_OP(less, truth(a < b))
OXPLOW_VECTOR_OP(less_equal, truth(a <= b))
OXPLOW_VECTOR_OP(greater, truth(a > b))
OXPLOW_VECTOR_OP(greater_equal, truth(a >= b))
OXPLOW_VECTOR_OP(equal, truth(a == b))
OXPLOW_VECTOR_OP(not_equal, truth(a != b))
OXPLOW_VECTOR_OP(logical_and, truth(is_true(a) & is_true(b)))
OXPLOW_VECTOR_OP(logical_or, truth(is_true(a) | is_true(b)))
OXPLOW_VECTOR_OP(logical_xor, truth((is_true(a) | is_true(b)) & !(is_true(a) & is_true(b))))
OXPLOW_VECTOR_OP(logical_not, truth(!is_true(a)))
OXPLOW_VECTOR_OP(is_nan, truth(a != a))
OXPLOW_VECTOR_OP(is_inf, truth(oxplow::OXPLOW_ISA::abs(a) == F32::broadcast(__builtin_inff())))

#undef OXPLOW_VECTOR_ACTIVATION
#undef OXPLOW_VECTOR_OP

}  // namespace oxplow::OXPLOW_ISA
