// Layer and RMS norm at the sizes of real models, each tier, in cache; bytes_per_second counts what is read and written once.

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/norm/norm.h"

namespace oxplow {
namespace {

struct Space {
  const char* name;
  int64_t rows, columns;
};
constexpr Space kSpaces[] = {{"minilm_128x384", 128, 384}, {"vit_197x768", 197, 768}, {"convnext_3136x96", 3136, 96}};

void run(benchmark::State& state, Isa isa, const Space& space, DType type, bool residual, bool centered) {
  const size_t bytes = bytes_of(type, static_cast<size_t>(space.rows * space.columns));
  std::vector<Buffer> buffers;
  const auto make = [&] {
    buffers.push_back(Buffer::allocate(bytes + 4096).take());
    std::memset(buffers.back().data(), 0x3c, bytes);
    return buffers.back().data();
  };
  std::vector<float> gamma(static_cast<size_t>(space.columns), 1.0f);
  NormArgs args = {.rows = space.rows, .columns = space.columns, .x = make(), .x_type = type, .ldx = space.columns};
  if (residual) args.residual = make(), args.sum = make();
  args.ld_residual = args.ld_sum = args.ldy = space.columns;
  args.y = make();
  args.y_type = type;
  args.gamma = args.beta = gamma.data();
  const auto norm = centered ? norm_kernels(isa).layer_norm : norm_kernels(isa).rms_norm;
  for (auto _ : state) {
    norm(args, 0, space.rows);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes) * (residual ? 4 : 2));
}

const int kRegistered = [] {
  for (const Space& space : kSpaces) {
    for (DType type : {DType::f32, DType::bf16}) {
      for (Isa isa : available_isas()) {
        for (bool residual : {false, true}) {
          for (bool centered : {true, false}) {
            const std::string name = std::string(centered ? "layer_norm" : "rms_norm") + (residual ? "_residual" : "") + "/" +
                                     space.name + "/" + std::string(name_of(type)) + "/" + std::string(name_of(isa));
            benchmark::RegisterBenchmark(name.c_str(),
                                         [=](benchmark::State& state) { run(state, isa, space, type, residual, centered); });
          }
        }
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow
