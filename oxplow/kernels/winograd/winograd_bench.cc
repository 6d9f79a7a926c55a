// The 3x3 layers of ResNet-50 by each kernel of the best tier. "direct" is the rate of direct convolution's operations (GFLOP/s):
// to be held against the machine's peak. Cold weights: copies used in turn, 200 MB of them, as in a network whose other layers
// pass between.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/base/thread_pool.h"
#include "oxplow/kernels/winograd/winograd.h"

namespace oxplow {
namespace {

struct Layer {
  int64_t channels, size;
};
constexpr Layer kLayers[] = {{64, 56}, {128, 28}, {256, 14}, {512, 7}};

Buffer filled(int64_t floats) {
  Buffer buffer = std::move(*Buffer::allocate(static_cast<size_t>(floats) * sizeof(float)));
  float* values = reinterpret_cast<float*>(buffer.data());
  for (int64_t i = 0; i < floats; ++i) values[i] = static_cast<float>(i * 40503 % 1024) / 1024 - 0.5f;
  return buffer;
}

struct Task {
  const WinogradKernel* kernel;
  const ConvArgs* args;
  int threads, phase;
  void* workspace;
};

void run_task(void* state, int task, int worker) {
  const Task& t = *static_cast<Task*>(state);
  t.kernel->run(*t.args, t.threads, t.phase, task, worker, t.workspace);
}

void layer(benchmark::State& state, const WinogradKernel* kernel, Layer l, int64_t batch, int threads, bool is_cold) {
  ConvArgs args;
  args.batch = batch, args.out_h = args.out_w = l.size, args.in_channels = args.out_channels = l.channels;
  args.kernel_h = args.kernel_w = 3;
  args.x_pixel = args.y_pixel = l.channels >= 512 ? l.channels + 16 : l.channels;
  args.x_row = args.y_row = args.x_pixel * (l.size + 2);
  args.x_image = args.y_image = args.x_row * (l.size + 2);
  Buffer x = filled(batch * args.x_image), y = filled(batch * args.y_image);
  args.x = x.data(), args.y = y.data();
  args.epilogue.activation = Activation::clip, args.epilogue.beta = 1e30f;

  const size_t bytes = round_up(kernel->packed_bytes(args), kCacheLine);
  const size_t copies = is_cold ? std::max<size_t>(2, (size_t{200} << 20) / bytes) : 1;
  Buffer w = filled(l.channels * l.channels * 9), packed = std::move(*Buffer::allocate(bytes * copies));
  kernel->pack(reinterpret_cast<float*>(w.data()), l.channels * 9, 9, 3, 1, l.channels, args, 0,
               (l.channels + kernel->panel_channels - 1) / kernel->panel_channels, packed.data());
  for (size_t i = 1; i < copies; ++i) std::memcpy(packed.data() + i * bytes, packed.data(), bytes);

  ThreadPool pool(threads);
  Buffer workspace = std::move(*Buffer::allocate(kernel->workspace_bytes(args, threads)));
  std::vector<Task> tasks;
  for (int phase = 0; phase < kernel->phases(args, threads); ++phase) {
    tasks.push_back({kernel, &args, threads, phase, workspace.data()});
  }
  std::vector<ThreadPool::Phase> phases;
  for (Task& task : tasks) phases.push_back({kernel->tasks(args, threads, task.phase), run_task, &task});
  size_t copy = 0;
  for (auto _ : state) {
    args.w = packed.data() + copy * bytes;
    copy = (copy + 1) % copies;
    pool.run(phases);
  }
  const double operations = 2.0 * 9 * static_cast<double>(l.channels * l.channels * l.size * l.size * batch);
  state.counters["direct"] =
      benchmark::Counter(operations * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  for (Layer l : kLayers) {
    for (const WinogradKernel& kernel : winograd_kernels(best_isa()).kernels) {
      for (int64_t batch : {1, 8}) {
        for (int threads : {1, 2}) {
          for (bool is_cold : {false, true}) {
            const std::string name = std::string(kernel.name) + "/" + std::to_string(l.channels) + "@" + std::to_string(l.size) +
                                     "/batch" + std::to_string(batch) + "/threads" + std::to_string(threads) +
                                     (is_cold ? "/cold" : "/hot");
            benchmark::RegisterBenchmark(name.c_str(), layer, &kernel, l, batch, threads, is_cold)->UseRealTime();
          }
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace oxplow
