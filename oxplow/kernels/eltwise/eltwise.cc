#include "oxplow/kernels/eltwise/eltwise.h"

#include <utility>

#include "oxplow/kernels/eltwise/reference.h"
#include "oxplow/kernels/eltwise/scalar_steps.h"

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const EltwiseKernels eltwise_kernels; })
#include "oxplow/kernels/eltwise/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<EltwiseKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::eltwise_kernels}, )
#include "oxplow/kernels/eltwise/kernels.inc"
#undef OXPLOW_KERNEL
};

constexpr int kArity[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) arity,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

constexpr std::string_view kNames[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) #name,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

constexpr int kOpCount = static_cast<int>(std::size(kNames));

bool is_chain_type(DType type) {
  return type == DType::f32 || type == DType::bf16 || type == DType::f16 || type == DType::boolean;
}

template <EltwiseOp kOp>
void scalar_step(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float second = arity_of(kOp) > 1 ? b[i * b_step] : 0;
    y[i] = eltwise_reference::evaluate<kOp, float>(a[i * a_step], second, 0, 0, 0);
  }
}

}  // namespace

const EltwiseKernels& eltwise_kernels(Isa isa) { return best_of<EltwiseKernels>(kTiers, isa); }

int arity_of(EltwiseOp op) { return kArity[static_cast<int>(op)]; }

std::string_view name_of(EltwiseOp op) { return kNames[static_cast<int>(op)]; }

std::optional<EltwiseOp> eltwise_op_named(std::string_view name) {
  for (int i = 0; i < kOpCount; ++i) {
    if (kNames[i] == name) return static_cast<EltwiseOp>(i);
  }
  return std::nullopt;
}

EltwiseOp eltwise_op_of(Activation activation) {
  switch (activation) {
    case Activation::none: return EltwiseOp::identity;
    case Activation::clip: return EltwiseOp::clip;
    case Activation::sigmoid: return EltwiseOp::sigmoid;
    case Activation::silu: return EltwiseOp::silu;
    case Activation::hard_sigmoid: return EltwiseOp::hard_sigmoid;
    case Activation::hard_swish: return EltwiseOp::hard_swish;
    case Activation::gelu: return EltwiseOp::gelu;
    case Activation::gelu_tanh: return EltwiseOp::gelu_tanh;
    case Activation::tanh: return EltwiseOp::tanh;
    case Activation::leaky_relu: return EltwiseOp::leaky_relu;
  }
  return EltwiseOp::identity;
}

void collapse(ChainArgs& args) {
  int kept = 0;  // dimensions [0, kept) are done
  const auto move = [&](int from, int to) {
    args.extents[to] = args.extents[from];
    for (int i = 0; i < args.num_inputs; ++i) args.inputs[i].strides[to] = args.inputs[i].strides[from];
    for (int o = 0; o < args.num_outputs; ++o) args.outputs[o].strides[to] = args.outputs[o].strides[from];
  };
  // Dimension d of all operands, against the last one kept.
  const auto merges = [&](int d) {
    if (kept == 0) return false;
    for (int i = 0; i < args.num_inputs; ++i) {
      if (args.inputs[i].strides[kept - 1] != args.inputs[i].strides[d] * args.extents[d]) return false;
    }
    for (int o = 0; o < args.num_outputs; ++o) {
      if (args.outputs[o].strides[kept - 1] != args.outputs[o].strides[d] * args.extents[d]) return false;
    }
    return true;
  };
  for (int d = 0; d < args.dims; ++d) {
    if (args.extents[d] == 1) continue;
    if (merges(d)) {
      const int64_t before = args.extents[kept - 1];
      move(d, kept - 1);
      args.extents[kept - 1] *= before;
    } else {
      move(d, kept++);
    }
  }
  if (kept == 0) {  // a single point
    args.extents[kept++] = 1;
    for (int i = 0; i < args.num_inputs; ++i) args.inputs[i].strides[0] = 1;
    for (int o = 0; o < args.num_outputs; ++o) args.outputs[o].strides[0] = 1;
  }
  args.dims = kept;
}

bool is_valid(const ChainArgs& args) {
  if (args.dims < 1 || args.dims > kMaxChainDims || args.num_inputs < 0 || args.num_inputs > kMaxChainInputs) return false;
  if (args.num_steps < 0 || args.num_steps > kMaxChainSteps || args.num_outputs < 1 || args.num_outputs > kMaxChainOutputs)
    return false;
  for (int d = 0; d < args.dims; ++d) {
    if (args.extents[d] < 0) return false;
  }
  for (int i = 0; i < args.num_inputs; ++i) {
    if (!is_chain_type(args.inputs[i].type)) return false;
  }
  for (int s = 0; s < args.num_steps; ++s) {
    const ChainStep& step = args.steps[s];
    const int known = args.num_inputs + s;
    if (static_cast<int>(step.op) >= kOpCount) return false;
    const int arity = arity_of(step.op);
    if ((arity > 0 && step.a >= known) || (arity > 1 && step.b >= known) || (arity > 2 && step.c >= known)) return false;
  }
  for (int o = 0; o < args.num_outputs; ++o) {
    if (!is_chain_type(args.outputs[o].type) || args.outputs[o].value >= args.num_inputs + args.num_steps) return false;
  }
  return true;
}

void eltwise_scalar_step(EltwiseOp op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  using Function = void (*)(const float*, int64_t, const float*, int64_t, float*, int64_t);
  static constexpr Function kFunctions[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) scalar_step<EltwiseOp::name>,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
  };
  kFunctions[static_cast<int>(op)](a, a_step, b, b_step, y, n);
}

}  // namespace oxplow
