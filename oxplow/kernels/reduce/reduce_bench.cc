// Reductions at the sizes of real models, each tier; bytes_per_second counts x, read once.

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/reduce/reduce.h"

namespace oxplow {
namespace {

struct Space {
  const char* name;
  int64_t outer, reduced, inner;
};
constexpr Space kSpaces[] = {{"pool_7x7x2048", 1, 49, 2048},     {"pool_28x28x72", 1, 784, 72}, {"pool_112x112x16", 1, 12544, 16},
                             {"tokens_128x384", 1, 128, 384},    {"rows_128x768", 128, 768, 1}, {"rows_3136x49", 3136, 49, 1},
                             {"row_16M", 1, int64_t{1} << 24, 1}};

void run(benchmark::State& state, Isa isa, ReduceOp op, const Space& space, DType type) {
  const int64_t n = space.outer * space.reduced * space.inner;
  const size_t bytes = bytes_of(type, static_cast<size_t>(n));
  Buffer x = Buffer::allocate(bytes).take(), y = Buffer::allocate(bytes).take();
  std::memset(x.data(), 0x3c, bytes);
  ReduceArgs args;
  args.op = op;
  args.outer[2] = space.outer;
  args.reduced[2] = space.reduced;
  args.inner = space.inner;
  args.x = x.data();
  args.x_type = type;
  args.x_outer[2] = space.reduced * space.inner;
  args.x_reduced[2] = space.inner;
  args.y = y.data();
  args.y_outer[2] = space.inner;
  for (auto _ : state) {
    reduce_kernels(isa).reduce(args, 0, args.results());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}

const int kRegistered = [] {
  for (const Space& space : kSpaces) {
    for (DType type : {DType::f32, DType::bf16}) {
      for (Isa isa : available_isas()) {
        for (ReduceOp op : {ReduceOp::mean, ReduceOp::max, ReduceOp::l2}) {
          const std::string name =
              std::string(name_of(op)) + "/" + space.name + "/" + std::string(name_of(type)) + "/" + std::string(name_of(isa));
          benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run(state, isa, op, space, type); });
        }
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow
