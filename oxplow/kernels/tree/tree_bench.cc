// Forests of the sizes that gradient boosting trains, each tier, one thread: rows a second of whole blocks, and of one row alone.

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/tree/pack.h"

namespace oxplow {
namespace {

constexpr int64_t kFeatures = 28, kCuts = 250;

// Perfect trees over `kCuts` cuts a feature.
Forest perfect_forest(int trees, int depth) {
  std::mt19937 random(1);
  Forest forest;
  for (int t = 0; t < trees; ++t) {
    const auto first = static_cast<int32_t>(forest.branches.size());
    forest.roots.push_back(first);
    for (int32_t k = 0; k < (1 << depth) - 1; ++k) {
      const bool last = 2 * k + 1 >= (1 << depth) - 1;
      const auto child = [&](int32_t c) { return last ? ~(forest.leaf_count() + c - 1) : first + 2 * k + c; };
      forest.branches.push_back({.test = TreeTest::lt,
                                 .feature = static_cast<int32_t>(random() % kFeatures),
                                 .threshold = static_cast<double>(random() % kCuts),
                                 .when_true = child(1),
                                 .when_false = child(2)});
      for (int c = 0; last && c < 2; ++c) {
        forest.votes.push_back({0, static_cast<double>(static_cast<float>(random()))});
        forest.leaves.push_back(static_cast<int32_t>(forest.votes.size()));
      }
    }
  }
  return forest;
}

void run(benchmark::State& state, Isa isa, int trees, int depth, bool one_row) {
  const PackedForest packed(perfect_forest(trees, depth));
  const TreeArgs args = packed.args();
  const TreeKernels& kernels = tree_kernels(isa);
  const int64_t rows = one_row ? 1 : kernels.block_rows, several = 64;
  std::mt19937 random(2);
  std::vector<float> x(static_cast<size_t>(several * rows * kFeatures));
  for (float& v : x) v = static_cast<float>(random() % (kCuts * 8)) / 8;
  std::vector<float> scores(static_cast<size_t>(rows)), slots(2 * kFeatures);
  Buffer workspace = Buffer::allocate(kernels.workspace_bytes(args)).take();
  int64_t at = 0;
  for (auto _ : state) {
    const float* from = x.data() + at * rows * kFeatures;
    at = (at + 1) % several;
    if (one_row) {
      kernels.rows(args, from, kFeatures, rows, scores.data(), slots.data());
    } else {
      kernels.block(args, from, kFeatures, rows, scores.data(), workspace.data());
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

const int kRegistered = [] {
  for (const auto& [trees, depth] : {std::pair(500, 6), std::pair(1000, 8)}) {
    for (bool one_row : {false, true}) {
      for (Isa isa : available_isas()) {
        const std::string name = "tree/" + std::to_string(trees) + "x" + std::to_string(depth) +
                                 (one_row ? "/one_row/" : "/block/") + std::string(name_of(isa));
        benchmark::RegisterBenchmark(
            name.c_str(), [=, trees = trees, depth = depth](benchmark::State& state) { run(state, isa, trees, depth, one_row); });
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace oxplow
