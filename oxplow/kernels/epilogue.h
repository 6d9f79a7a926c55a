#pragma once

#include <cstdint>

namespace oxplow {

// Functions of one number that kernels apply to a result while it is still in registers or L1.
enum class Activation : uint8_t {
  none,
  clip,          // min(max(x, alpha), beta): ReLU is clip(0, inf), ReLU6 clip(0, 6)
  sigmoid,       // 1 / (1 + exp(-x))
  silu,          // x * sigmoid(x)
  hard_sigmoid,  // min(max(alpha * x + beta, 0), 1)
  hard_swish,    // x * min(max(x / 6 + 0.5, 0), 1)
  gelu,          // x / 2 * (1 + erf(x / sqrt(2)))
  gelu_tanh,     // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  tanh,
  leaky_relu,  // x < 0 ? alpha * x : x
};

// What follows a matrix product or convolution: y = activation(sum + bias[n] + residual). The residual has y's element type and its own
// strides, given beside y's.
struct Epilogue {
  const float* bias = nullptr;  // [N]
  const void* residual = nullptr;
  Activation activation = Activation::none;
  float alpha = 0;
  float beta = 0;
};

}  // namespace oxplow
