// Depthwise layers of MobileNetV3-L, EfficientNet and ConvNeXt-T on every tier: GFLOP/s of one thread, activations in cache as
// the layer before would leave them.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/depthwise/depthwise.h"

namespace oxplow {
namespace {

struct Layer {
  int64_t out, channels, kernel, stride;
  Activation activation;
};

constexpr Layer kLayers[] = {
    {7, 64, 3, 1, Activation::none},         {7, 64, 5, 1, Activation::none},         {7, 32, 7, 1, Activation::none},
    {14, 32, 3, 1, Activation::none},        {14, 16, 3, 2, Activation::none},        {112, 16, 3, 1, Activation::clip},
    {56, 64, 3, 2, Activation::clip},        {56, 72, 3, 1, Activation::clip},        {28, 72, 5, 2, Activation::clip},
    {28, 120, 5, 1, Activation::clip},       {14, 240, 3, 2, Activation::hard_swish}, {14, 200, 3, 1, Activation::hard_swish},
    {14, 480, 3, 1, Activation::hard_swish}, {14, 672, 3, 1, Activation::hard_swish}, {7, 672, 5, 2, Activation::hard_swish},
    {7, 960, 5, 1, Activation::hard_swish},  {112, 32, 3, 1, Activation::silu},       {14, 672, 5, 1, Activation::silu},
    {7, 1152, 5, 1, Activation::silu},       {56, 96, 7, 1, Activation::none},        {28, 192, 7, 1, Activation::none},
    {14, 384, 7, 1, Activation::none},       {7, 768, 7, 1, Activation::none},
};

template <typename T>
void run(benchmark::State& state, const DepthwiseKernel* kernel, const Layer& layer) {
  const int64_t in = (layer.out - 1) * layer.stride + layer.kernel;
  Buffer memory = Buffer::allocate(size_t{16} << 20).take();  // on huge pages, as the arena is
  std::memset(memory.data(), 0, memory.size());
  T* const x = reinterpret_cast<T*>(memory.data());
  T* const y = reinterpret_cast<T*>(memory.data() + (size_t{7} << 20) + 4096 + 128);
  float* const w = reinterpret_cast<float*>(memory.data() + (size_t{14} << 20) + 2048 + 256);
  float* const bias = w + layer.kernel * layer.kernel * layer.channels;
  DepthwiseArgs args;
  args.batch = 1, args.out_h = args.out_w = layer.out, args.channels = layer.channels;
  args.kernel_h = args.kernel_w = layer.kernel;
  args.stride_h = args.stride_w = layer.stride;
  args.x = x, args.y = y, args.w = w;
  args.x_pixel = args.y_pixel = layer.channels;
  args.x_row = in * layer.channels, args.y_row = layer.out * layer.channels;
  args.epilogue = {.bias = bias, .activation = layer.activation, .alpha = 0, .beta = 6};
  for (auto _ : state) kernel->run(args, 0, args.out_h, 0, args.channels);
  const double flops = 2.0 * static_cast<double>(layer.out * layer.out * layer.channels * layer.kernel * layer.kernel);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

const int kRegistered = [] {
  for (Isa isa : available_isas()) {
    for (const DepthwiseKernel& kernel : depthwise_kernels(isa).kernels) {
      for (const Layer& layer : kLayers) {
        const std::string name = std::string(kernel.name) + "/" + std::to_string(layer.out) + "x" +
                                 std::to_string(layer.channels) + "_" + std::to_string(layer.kernel) + "x" +
                                 std::to_string(layer.kernel) + "s" + std::to_string(layer.stride);
        const auto body = kernel.x == DType::f32 ? run<float> : run<BFloat16>;
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=, kernel = &kernel](benchmark::State& state) { body(state, kernel, layer); });
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow

BENCHMARK_MAIN();
