// Softmax at the sizes of attention and of classifiers, each tier, in cache; bytes_per_second counts x read and y written once.

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/softmax/softmax.h"

namespace oxplow {
namespace {

struct Space {
  const char* name;
  int64_t rows, length, inner;
};
constexpr Space kSpaces[] = {{"swin_64x49x49", 3136, 49, 1},
                             {"minilm_12x128x128", 1536, 128, 1},
                             {"vit_197x197", 197, 197, 1},
                             {"classes_1000", 8, 1000, 1},
                             {"columns_21x128x128", 1, 21, 16384}};

void run(benchmark::State& state, Isa isa, const Space& space, DType type) {
  const int64_t n = space.rows * space.length * space.inner;
  const size_t bytes = bytes_of(type, static_cast<size_t>(n));
  std::vector<Buffer> buffers;
  const auto make = [&] {
    buffers.push_back(Buffer::allocate(bytes + 4096).take());
    std::memset(buffers.back().data(), 0x3c, bytes);
    return buffers.back().data();
  };
  SoftmaxArgs args;
  args.outer[2] = space.rows;
  args.length = space.length;
  args.inner = space.inner;
  args.x = make();
  args.y = make();
  args.x_type = args.y_type = type;
  args.x_axis = args.y_axis = space.inner;
  args.x_outer[2] = args.y_outer[2] = space.length * space.inner;
  for (auto _ : state) {
    softmax_kernels(isa).softmax(args, 0, space.rows);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes) * 2);
  state.SetItemsProcessed(state.iterations() * n);
}

const int kRegistered = [] {
  for (const Space& space : kSpaces) {
    for (DType type : {DType::f32, DType::bf16}) {
      for (Isa isa : available_isas()) {
        const std::string name =
            "softmax/" + std::string(space.name) + "/" + std::string(name_of(type)) + "/" + std::string(name_of(isa));
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run(state, isa, space, type); });
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow
