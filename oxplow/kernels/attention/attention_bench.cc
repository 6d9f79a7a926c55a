// Attention layers of ViT-B, BERT-base, MiniLM and Swin-T, and decoding, on every tier: GFLOP/s of one thread.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/attention/attention.h"

namespace oxplow {
namespace {

struct Layer {
  const char* name;
  int64_t batch, queries, keys, heads, kv_heads, dim;
  bool mask, causal;
};

constexpr Layer kLayers[] = {
    {"vit", 1, 197, 197, 12, 12, 64, false, false},        {"bert128", 1, 128, 128, 12, 12, 64, true, false},
    {"bert384", 1, 384, 384, 12, 12, 64, true, false},     {"minilm", 1, 128, 128, 12, 12, 32, true, false},
    {"swin", 64, 49, 49, 3, 3, 32, true, false},           {"causal512", 1, 512, 512, 9, 9, 64, false, true},
    {"prefill2048", 1, 2048, 2048, 2, 1, 64, false, true}, {"decode1024", 1, 1, 1024, 9, 3, 64, false, true},
    {"decode8192", 1, 1, 8192, 32, 8, 128, false, true},
};

template <typename T>
void run(benchmark::State& state, const AttentionKernel* kernel, const Layer& l) {
  const int64_t row = (l.heads + 2 * l.kv_heads) * l.dim;  // Q, K and V merged
  const int64_t rows = std::max(l.queries, l.keys);
  const size_t in = static_cast<size_t>(l.batch * rows * row), out = static_cast<size_t>(l.batch * rows * l.heads * l.dim);
  const size_t bias = static_cast<size_t>(l.heads * l.queries * l.keys);
  AttentionArgs args{.batch = l.batch, .queries = l.queries, .keys = l.keys, .heads = l.heads, .kv_heads = l.kv_heads};
  args.head_dim = args.value_dim = l.dim;
  Buffer memory = Buffer::allocate((in + out) * sizeof(T) + bias * 4 + 256).take();
  Buffer scratch = Buffer::allocate(kernel->scratch_bytes(args)).take();
  T* const x = reinterpret_cast<T*>(memory.data());
  for (size_t i = 0; i < in; ++i) x[i] = T(static_cast<float>(i * 2654435761u % 1024) / 512 - 1);
  float* const mask = reinterpret_cast<float*>(memory.data() + ((in + out) * sizeof(T) + 63) / 64 * 64);
  for (size_t i = 0; i < bias; ++i) mask[i] = static_cast<float>(i % 7);
  args.q = x, args.k = x + l.heads * l.dim, args.v = x + (l.heads + l.kv_heads) * l.dim, args.y = x + in;
  args.q_row = args.k_row = args.v_row = row, args.y_row = l.heads * l.dim;
  args.q_batch = args.k_batch = args.v_batch = rows * row, args.y_batch = rows * l.heads * l.dim;
  args.q_head = args.k_head = args.v_head = args.y_head = l.dim;
  args.scale = 1 / std::sqrt(static_cast<float>(l.dim));
  if (l.mask) args.mask = mask, args.mask_key = 1;
  if (l.mask && l.batch > 1) args.mask_head = l.queries * l.keys, args.mask_query = 1, args.mask_key = l.queries;
  args.causal = l.causal, args.causal_offset = l.keys - l.queries;
  for (auto _ : state) kernel->run(args, 0, kernel->tasks(args), scratch.data());
  double pairs = static_cast<double>(l.queries * l.keys);
  if (l.causal) pairs -= static_cast<double>(l.queries * (l.queries - 1) / 2);
  const double flops = 4 * pairs * static_cast<double>(l.batch * l.heads * l.dim);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  if (l.queries == 1) {
    const double bytes = 2.0 * sizeof(T) * static_cast<double>(l.keys * l.kv_heads * l.dim);
    state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  }
}

const int kRegistered = [] {
  for (Isa isa : available_isas()) {
    for (const AttentionKernel& kernel : attention_kernels(isa).kernels) {
      if (std::string(kernel.name).find(name_of(isa)) == std::string::npos) continue;
      const auto body = kernel.type == DType::f32 ? run<float> : run<BFloat16>;
      for (const Layer& layer : kLayers) {
        const std::string name = std::string(kernel.name) + "/" + layer.name;
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
