// Pools of ResNet, DenseNet and SPP on every tier: GB/s read and written by one thread, counting each element once.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/pool/pool.h"

namespace oxplow {
namespace {

struct Layer {
  const char* name;
  PoolKind kind;
  int64_t in, channels, kernel, stride, pad;
};

constexpr Layer kLayers[] = {
    {"max_3x3s2_112x64", PoolKind::max, 112, 64, 3, 2, 1},         {"max_3x3s2_28x64", PoolKind::max, 28, 64, 3, 2, 1},
    {"max_5x5s1_14x256", PoolKind::max, 14, 256, 5, 1, 2},         {"average_2x2s2_56x128", PoolKind::average, 56, 128, 2, 2, 0},
    {"average_2x2s2_14x512", PoolKind::average, 14, 512, 2, 2, 0}, {"average_3x3s1_14x256", PoolKind::average, 14, 256, 3, 1, 1},
};

void run(benchmark::State& state, const PoolKernel* kernel, const Layer& layer) {
  Buffer memory = Buffer::allocate(size_t{16} << 20).take();
  std::memset(memory.data(), 0, memory.size());
  PoolArgs args;
  args.kind = layer.kind;
  args.batch = 1, args.in_h = args.in_w = layer.in, args.channels = layer.channels;
  args.out_h = args.out_w = (layer.in + 2 * layer.pad - layer.kernel) / layer.stride + 1;
  args.kernel_h = args.kernel_w = layer.kernel;
  args.stride_h = args.stride_w = layer.stride;
  args.pad_top = args.pad_left = args.pad_bottom = args.pad_right = layer.pad;
  args.x = memory.data(), args.y = memory.data() + (size_t{8} << 20) + 2048;
  args.x_pixel = args.y_pixel = layer.channels;
  args.x_row = args.in_w * layer.channels, args.y_row = args.out_w * layer.channels;
  for (auto _ : state) kernel->run(args, 0, args.out_h, 0, args.channels);
  const int64_t elements = (args.in_h * args.in_w + args.out_h * args.out_w) * args.channels;
  const double bytes = static_cast<double>(bytes_of(kernel->x, static_cast<size_t>(elements)));
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

const int kRegistered = [] {
  for (Isa isa : available_isas()) {
    for (const PoolKernel& kernel : pool_kernels(isa).kernels) {
      for (const Layer& layer : kLayers) {
        const std::string name = std::string(kernel.name) + "/" + layer.name;
        benchmark::RegisterBenchmark(name.c_str(), [=, kernel = &kernel](benchmark::State& state) { run(state, kernel, layer); });
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow

BENCHMARK_MAIN();
