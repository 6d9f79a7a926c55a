// Elementwise chains at the sizes of real models, each tier; bytes_per_second counts inputs read and outputs written once. `copy` and
// `read` are the limit: memcpy, and a sum, over as many bytes.

#include "oxplow/kernels/eltwise/eltwise.h"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "oxplow/base/memory.h"

namespace oxplow {
namespace {

struct Space {
  const char* name;
  int64_t rows, columns;
};
constexpr Space kSpaces[] = {{"bert_128x768", 128, 768},
                             {"vit_197x768", 197, 768},
                             {"resnet_56x56x256", 56 * 56, 256},
                             {"mobilenet_28x28x72", 28 * 28, 72}};

// Inputs x, z [rows][columns], a bias [columns], one output.
struct Data {
  std::vector<Buffer> buffers;
  ChainArgs args;

  Data(const Space& space, DType type) {
    const size_t bytes = bytes_of(type, static_cast<size_t>(space.rows * space.columns));
    args.dims = 2;
    args.extents[0] = space.rows;
    args.extents[1] = space.columns;
    args.num_inputs = 3;
    for (int i = 0; i < 3; ++i) {
      args.inputs[i] = {.data = make(bytes), .type = i == 2 ? DType::f32 : type, .strides = {i == 2 ? 0 : space.columns, 1}};
    }
    args.num_outputs = 1;
    args.outputs[0] = {.data = make(bytes), .type = type, .strides = {space.columns, 1}};
  }
  void* make(size_t bytes) {
    buffers.push_back(Buffer::allocate(bytes + 4096).take());
    std::memset(buffers.back().data(), 0x3c, bytes);
    return buffers.back().data();
  }
};

struct Chain {
  const char* name;
  int operands;  // of the size of x
  std::vector<ChainStep> steps;
};

std::vector<Chain> chains() {
  constexpr float kInf = INFINITY;
  return {
      {"relu", 1, {{EltwiseOp::clip, 0, 0, 0, 0, kInf}}},
      {"add_relu", 2, {{EltwiseOp::add, 0, 1}, {EltwiseOp::clip, 3, 0, 0, 0, kInf}}},
      {"bias_relu", 1, {{EltwiseOp::add, 0, 2}, {EltwiseOp::clip, 3, 0, 0, 0, kInf}}},
      {"scale_shift_add_relu", 2, {{EltwiseOp::mul_add, 0, 2, 2}, {EltwiseOp::add, 3, 1}, {EltwiseOp::clip, 4, 0, 0, 0, kInf}}},
      {"hard_swish", 1, {{EltwiseOp::hard_swish, 0}}},
      {"silu_mul", 2, {{EltwiseOp::silu, 0}, {EltwiseOp::mul, 3, 1}}},
      {"gelu", 1, {{EltwiseOp::gelu, 0}}},
      {"exp", 1, {{EltwiseOp::exp, 0}}},
      {"tanh", 1, {{EltwiseOp::tanh, 0}}},
  };
}

void run_chain(benchmark::State& state, Isa isa, const Chain& chain, const Space& space, DType type) {
  Data data(space, type);
  ChainArgs& args = data.args;
  args.num_steps = static_cast<int>(chain.steps.size());
  for (int s = 0; s < args.num_steps; ++s) args.steps[s] = chain.steps[static_cast<size_t>(s)];
  args.outputs[0].value = static_cast<uint8_t>(2 + args.num_steps);
  const int64_t n = args.elements();
  for (auto _ : state) {
    eltwise_kernels(isa).chain(args, 0, n);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * (chain.operands + 1) * n * bits_of(type) / 8);
  state.SetItemsProcessed(state.iterations() * n);
}

void copy(benchmark::State& state, const Space& space, DType type) {
  Data data(space, type);
  const size_t bytes = bytes_of(type, static_cast<size_t>(data.args.elements()));
  for (auto _ : state) {
    std::memcpy(data.args.outputs[0].data, data.args.inputs[0].data, bytes);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * static_cast<int64_t>(bytes));
}

const int kRegistered = [] {
  for (const Space& space : kSpaces) {
    for (DType type : {DType::f32, DType::bf16}) {
      const std::string suffix = "/" + std::string(space.name) + "/" + std::string(name_of(type));
      benchmark::RegisterBenchmark(("copy" + suffix).c_str(), [=](benchmark::State& state) { copy(state, space, type); });
      for (Isa isa : available_isas()) {
        for (const Chain& chain : chains()) {
          const std::string name = chain.name + suffix + "/" + std::string(name_of(isa));
          benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run_chain(state, isa, chain, space, type); });
        }
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow
