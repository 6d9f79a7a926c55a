#pragma once

#include <functional>
#include <string_view>

#include "oxplow/graph/fold.h"

namespace oxplow {

enum class Precision { f32, bf16 };

// Whether products and convolutions have bf16 kernels in this tier; elsewhere Precision::bf16 gains nothing and callers fall back to f32.
bool computes_in_bf16(Isa isa);

struct PassOptions {
  Precision precision = Precision::f32;
  // Passes not to run, by name ("fuse_chains"): for the ladder and for bisecting a wrong answer.
  std::vector<std::string> skip;
  // Which convolution algorithms to choose from: "" (all), "direct" (no Winograd), "plain" or "plain_channels_last" (loops, no kernels).
  std::string convolution;
};

struct PassContext {
  FoldMemo& memo;
  const Machine& machine;
  const PassOptions& options;
};

// A rewriting of a typed graph; says whether it changed anything. One file a pass in passes/, one line in passes.inc, which is the order.
using Pass = Result<bool> (*)(Graph&, const PassContext&);

struct NamedPass {
  std::string_view name;
  Pass run;
};

std::span<const NamedPass> all_passes();

struct PassReport {
  std::string_view name;
  bool changed = false;
  double milliseconds = 0;
};

// Runs all passes in order: after each that changed something, dead nodes go, constants are folded and the graph is verified.
Result<std::vector<PassReport>> run_passes(Graph& graph, const PassContext& context);

}  // namespace oxplow
