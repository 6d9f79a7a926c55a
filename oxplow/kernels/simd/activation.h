#pragma once
// epilogue.h's activations on vectors.

#include "oxplow/kernels/epilogue.h"
#include "oxplow/kernels/simd/math.h"
#include "oxplow/kernels/simd/normal_cdf.h"

namespace oxplow::OXPLOW_ISA {

// activation(x); `alpha` and `beta` as in Epilogue, in all lanes.
template <Activation kActivation>
OXPLOW_INLINE F32 activate(F32 x, [[maybe_unused]] F32 alpha, [[maybe_unused]] F32 beta) {
  const F32 zero = F32::zero();
  const F32 one = F32::broadcast(1);
  if constexpr (kActivation == Activation::clip) {
    return min(beta, max(alpha, x));
  } else if constexpr (kActivation == Activation::sigmoid) {
    return sigmoid(x);
  } else if constexpr (kActivation == Activation::silu) {
    return x * sigmoid(x);
  } else if constexpr (kActivation == Activation::hard_sigmoid) {
    return min(one, max(zero, fma(alpha, x, beta)));
  } else if constexpr (kActivation == Activation::hard_swish) {
    return x * min(one, max(zero, fma(x, F32::broadcast(1.0f / 6), F32::broadcast(0.5f))));
  } else if constexpr (kActivation == Activation::gelu) {
    return times_normal_cdf(x);
  } else if constexpr (kActivation == Activation::gelu_tanh) {
    // (1 + tanh(u)) / 2 = sigmoid(2 u).
    const F32 cubic = fma(x * x * x, F32::broadcast(0.044715f), x);
    return x * sigmoid(cubic * F32::broadcast(1.59576912f));
  } else if constexpr (kActivation == Activation::tanh) {
    return tanh(x);
  } else if constexpr (kActivation == Activation::leaky_relu) {
    return select(x < zero, alpha * x, x);
  } else {
    return x;
  }
}

}  // namespace oxplow::OXPLOW_ISA
