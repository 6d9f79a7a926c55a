#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"
#include "oxplow/kernels/epilogue.h"

namespace oxplow {

// The functions a chain can apply; eltwise_ops.inc has their formulas and what they do with NaN.
enum class EltwiseOp : uint8_t {
#define OXPLOW_ELTWISE_OP(name, arity, formula) name,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

int arity_of(EltwiseOp op);
std::string_view name_of(EltwiseOp op);
std::optional<EltwiseOp> eltwise_op_named(std::string_view name);
// The op that computes `activation` (with the same alpha and beta): clip for clip, ...; identity for none.
EltwiseOp eltwise_op_of(Activation activation);

inline constexpr int kMaxChainDims = 6;
inline constexpr int kMaxChainInputs = 8;
inline constexpr int kMaxChainOutputs = 2;
inline constexpr int kMaxChainSteps = 32;

// One step: a new value op(a, b, c; alpha, beta). Operands are numbers of values: 0 .. num_inputs-1 are the inputs, num_inputs +
// s is the result of step s. Operands past the op's arity are ignored.
struct ChainStep {
  EltwiseOp op = EltwiseOp::identity;
  uint8_t a = 0, b = 0, c = 0;
  float alpha = 0, beta = 0;
};

// One input over the iteration space; strides in elements, one an extent, 0 where it is broadcast. Types: f32, bf16, f16 and
// boolean (one byte, not zero is 1). Fast are a stride of the last dimension of 1 (dense) or 0; any other is right and slow.
struct ChainInput {
  const void* data = nullptr;
  DType type = DType::f32;
  int64_t strides[kMaxChainDims] = {};
};

// One output: where value number `value` goes. Types as for inputs (boolean stores value != 0; bf16 and f16 round to nearest
// even).
struct ChainOutput {
  void* data = nullptr;
  DType type = DType::f32;
  uint8_t value = 0;
  int64_t strides[kMaxChainDims] = {};
};

// A chain of elementwise functions over one iteration space: every input is read once, every output written once, all between
// stays in L1. Arithmetic is f32. For each point p of the space (extents, outermost first; a zero extent makes it empty):
//   values[i] = inputs[i] at p;  values[num_inputs + s] = steps[s](values);  outputs[o] at p = values[outputs[o].value]
// An output may be the same memory as an input of the same type and strides (in place); otherwise outputs overlap nothing.
// Plain data: build it once, set the data pointers for each run.
struct ChainArgs {
  int dims = 1;  // 1 .. kMaxChainDims
  int64_t extents[kMaxChainDims] = {};
  int num_inputs = 0, num_steps = 0, num_outputs = 0;
  ChainInput inputs[kMaxChainInputs];
  ChainStep steps[kMaxChainSteps];
  ChainOutput outputs[kMaxChainOutputs];

  int64_t elements() const {
    int64_t n = 1;
    for (int d = 0; d < dims; ++d) n *= extents[d];
    return n;
  }
};

// Merges neighbouring dimensions that all inputs and outputs walk as one and drops extents of 1: the same chain over fewer,
// longer dimensions. Call it once when the chain is built; kernels are fastest with a long last dimension.
void collapse(ChainArgs& args);

// True when operands, types and counts are within the limits above. Kernels do not check.
bool is_valid(const ChainArgs& args);

struct EltwiseKernels {
  // Computes the points [begin, end) of the iteration space, counted in row-major order. Any split into ranges gives the same
  // bits; ranges that start at multiples of 16 and hold 4,096 points or more are fast.
  void (*chain)(const ChainArgs& args, int64_t begin, int64_t end);
  // y[i] = x[i] for i < n, converted between f32, bf16, f16 (round to nearest even; subnormal bf16 may become zero)
  // and boolean.
  void (*convert)(const void* x, DType x_type, void* y, DType y_type, int64_t n);
};

const EltwiseKernels& eltwise_kernels(Isa isa);

}  // namespace oxplow
