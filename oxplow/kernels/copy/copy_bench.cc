// What networks copy, on every tier: GB/s read and written by one thread.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/copy/copy.h"

namespace oxplow {
namespace {

struct Case {
  std::string name;
  DType src, dst;
  Dims extents, src_strides, dst_strides;
};

Case channels_last(const char* name, DType src, DType dst, int64_t c, int64_t hw) {
  return {name, src, dst, {hw, c}, {1, hw}, {c, 1}};
}

const std::vector<Case>& cases() {
  constexpr DType f32 = DType::f32, bf16 = DType::bf16;
  static const std::vector<Case> kCases = {
      channels_last("to_nhwc_3x224x224", f32, f32, 3, 224 * 224),
      channels_last("to_nhwc_64x56x56", f32, f32, 64, 56 * 56),
      channels_last("to_nhwc_256x28x28", f32, f32, 256, 28 * 28),
      channels_last("to_nhwc_2048x7x7", f32, f32, 2048, 49),
      channels_last("to_nhwc_64x56x56", bf16, bf16, 64, 56 * 56),
      channels_last("to_nhwc_64x56x56", f32, bf16, 64, 56 * 56),
      channels_last("to_nhwc_3x224x224", DType::u8, DType::u8, 3, 224 * 224),
      channels_last("to_nhwc_64x56x56", DType::u8, DType::u8, 64, 56 * 56),
      channels_last("to_nhwc_64x56x56", DType::i64, DType::i64, 64, 56 * 56),
      {"to_nchw_3x224x224", f32, f32, {3, 224 * 224}, {1, 3}, {224 * 224, 1}},
      {"to_nchw_256x28x28", f32, f32, {256, 784}, {1, 256}, {784, 1}},
      {"heads_197x12x64", f32, f32, {12, 197, 64}, {64, 768, 1}, {197 * 64, 64, 1}},
      {"space_to_depth_3x224x224", f32, f32, {112, 112, 2, 2, 3}, {448, 2, 224, 1, 224 * 224}, {112 * 12, 12, 6, 3, 1}},
      {"concat_56x56x32", f32, f32, {56 * 56, 32}, {32, 1}, {256, 1}},
      {"contiguous_128K", f32, f32, {32768}, {1}, {1}},
      {"contiguous_4M", f32, f32, {1 << 20}, {1}, {1}},
      {"fill_1M", f32, f32, {1 << 18}, {0}, {1}},
      {"convert_256K", f32, bf16, {1 << 18}, {1}, {1}},
      {"convert_256K", bf16, f32, {1 << 18}, {1}, {1}},
  };
  return kCases;
}

void run(benchmark::State& state, const CopyKernels* kernels, const Case& c) {
  Buffer memory = Buffer::allocate(size_t{16} << 20).take();
  std::memset(memory.data(), 0, memory.size());
  const CopyPlan plan = plan_copy(c.src, c.dst, c.extents, c.src_strides, c.dst_strides);
  void* dst = memory.data() + (size_t{8} << 20) + 2048;
  for (auto _ : state) kernels->run(plan, memory.data(), dst, 0, plan.units);
  const size_t count = static_cast<size_t>(elements_of(c.extents));
  const double bytes = static_cast<double>((c.src_strides.back() == 0 ? 0 : bytes_of(c.src, count)) + bytes_of(c.dst, count));
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

const int kRegistered = [] {
  for (Isa isa : available_isas()) {
    for (const Case& c : cases()) {
      const std::string name = "copy_" + std::string(name_of(c.src)) + "_" + std::string(name_of(c.dst)) + "_" +
                               std::string(copy_kernels(isa).isa) + "/" + c.name;
      benchmark::RegisterBenchmark(name.c_str(), [&c, isa](benchmark::State& state) { run(state, &copy_kernels(isa), c); });
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow

BENCHMARK_MAIN();
