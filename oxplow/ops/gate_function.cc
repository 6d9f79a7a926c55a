#include "oxplow/ops/gate_function.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace oxplow {
namespace {

struct Row {
  const char* name;
  int parameters;
  float alpha, beta;  // defaults
};
constexpr Row kRows[] = {{"relu", 0, 0, 0},          {"tanh", 0, 0, 0},
                         {"sigmoid", 0, 0, 0},       {"affine", 2, 1, 0},
                         {"leakyrelu", 1, 0.01f, 0}, {"thresholdedrelu", 1, 1, 0},
                         {"scaledtanh", 2, 1, 1},    {"hardsigmoid", 2, 0.2f, 0.5f},
                         {"elu", 1, 1, 0},           {"softsign", 0, 0, 0},
                         {"softplus", 0, 0, 0}};

}  // namespace

Result<GateFunction::Kind> GateFunction::kind_named(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (lower == kRows[i].name) return static_cast<Kind>(i);
  }
  return Error{ErrorCode::unsupported, "the activation function '" + name + "'"};
}

int GateFunction::parameters(const std::string& name) {
  auto kind = kind_named(name);
  return kind.ok() ? kRows[static_cast<size_t>(*kind)].parameters : 0;
}

Result<GateFunction> GateFunction::named(const std::string& name, const float* alpha, const float* beta) {
  OXPLOW_ASSIGN(const Kind kind, kind_named(name));
  const Row& row = kRows[static_cast<size_t>(kind)];
  GateFunction f;
  f.kind_ = kind;
  f.alpha_ = static_cast<double>(alpha ? *alpha : row.alpha);
  f.beta_ = static_cast<double>(beta ? *beta : row.beta);
  return f;
}

template <typename C>
C GateFunction::at(C x) const {
  const C alpha = static_cast<C>(alpha_), beta = static_cast<C>(beta_);
  switch (kind_) {
    case Kind::relu: return x > 0 ? x : 0;
    case Kind::tanh: return std::tanh(x);
    case Kind::sigmoid: return 1 / (1 + std::exp(-x));
    case Kind::affine: return alpha * x + beta;
    case Kind::leaky_relu: return x >= 0 ? x : alpha * x;
    case Kind::thresholded_relu: return x > alpha ? x : 0;
    case Kind::scaled_tanh: return alpha * std::tanh(beta * x);
    case Kind::hard_sigmoid: return std::clamp(alpha * x + beta, C{0}, C{1});
    case Kind::elu: return x >= 0 ? x : alpha * (std::exp(x) - 1);
    case Kind::softsign: return x / (1 + std::fabs(x));
    case Kind::softplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  }
  return x;
}

void GateFunction::apply(double* x, int64_t n, const EltwiseKernels&) const {
  for (int64_t i = 0; i < n; ++i) x[i] = at(x[i]);
}

void GateFunction::apply(float* x, int64_t n, const EltwiseKernels& kernels) const {
  if (kind_ != Kind::tanh && kind_ != Kind::sigmoid) {
    for (int64_t i = 0; i < n; ++i) x[i] = at(x[i]);
    return;
  }
  ChainArgs args;
  args.extents[0] = n;
  args.num_inputs = args.num_steps = args.num_outputs = 1;
  args.inputs[0].data = x;
  args.inputs[0].strides[0] = 1;
  args.steps[0].op = kind_ == Kind::tanh ? EltwiseOp::tanh : EltwiseOp::sigmoid;
  args.outputs[0].data = x;
  args.outputs[0].value = 1;
  args.outputs[0].strides[0] = 1;
  kernels.chain(args, 0, n);
}

Result<std::vector<GateFunction>> gate_functions(const Attributes& attributes, int directions,
                                                 const std::vector<std::string>& otherwise) {
  std::vector<std::string> names;
  if (attributes.has("activations")) {
    if (const auto* given = std::get_if<std::vector<std::string>>(&attributes.all().find("activations")->second)) names = *given;
  } else {
    for (int d = 0; d < directions; ++d) names.insert(names.end(), otherwise.begin(), otherwise.end());
  }
  if (names.size() != otherwise.size() * static_cast<size_t>(directions))
    return Error{ErrorCode::invalid_model,
                 std::to_string(names.size()) + " activation functions for " + std::to_string(directions) + " directions"};
  const auto alphas = attributes.numbers("activation_alpha"), betas = attributes.numbers("activation_beta");
  // Only functions that have parameters take from the lists, in order.
  size_t next_alpha = 0, next_beta = 0;
  std::vector<GateFunction> functions;
  for (const std::string& name : names) {
    const int parameters = GateFunction::parameters(name);
    const float* alpha = parameters > 0 && next_alpha < alphas.size() ? &alphas[next_alpha++] : nullptr;
    const float* beta = parameters > 1 && next_beta < betas.size() ? &betas[next_beta++] : nullptr;
    OXPLOW_ASSIGN(GateFunction function, GateFunction::named(name, alpha, beta));
    functions.push_back(function);
  }
  return functions;
}

}  // namespace oxplow
