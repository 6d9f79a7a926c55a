#pragma once
// The functions that gates of recurrent networks apply, ONNX's names.

#include "oxplow/kernels/eltwise/eltwise.h"
#include "oxplow/ops/op.h"

namespace oxplow {

class GateFunction {
 public:
  // One of ONNX's activation functions, in any case of letters; alpha and beta as given, or its defaults.
  static Result<GateFunction> named(const std::string& name, const float* alpha, const float* beta);
  // How many of alpha and beta the function takes: 0, 1 (alpha) or 2.
  static int parameters(const std::string& name);

  // In place, n numbers.
  void apply(float* x, int64_t n, const EltwiseKernels& kernels) const;
  void apply(double* x, int64_t n, const EltwiseKernels& kernels) const;

 private:
  enum class Kind {
    relu,
    tanh,
    sigmoid,
    affine,
    leaky_relu,
    thresholded_relu,
    scaled_tanh,
    hard_sigmoid,
    elu,
    softsign,
    softplus
  };
  static Result<Kind> kind_named(const std::string& name);
  template <typename C>
  C at(C x) const;

  Kind kind_ = Kind::tanh;
  double alpha_ = 0, beta_ = 0;
};

// The functions of `directions`, `each` of them a direction: from attributes activations, activation_alpha and activation_beta, or
// `otherwise`.
Result<std::vector<GateFunction>> gate_functions(const Attributes& attributes, int directions,
                                                 const std::vector<std::string>& otherwise);

}  // namespace oxplow
