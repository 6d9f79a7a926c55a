#include "oxplow/graph/pass.h"

#include <algorithm>
#include <chrono>

namespace oxplow {
namespace passes {
#define OXPLOW_PASS(name) Result<bool> name(Graph& graph, const PassContext& context);
#include "oxplow/graph/passes.inc"
#undef OXPLOW_PASS
}  // namespace passes

namespace {

constexpr NamedPass kPasses[] = {
#define OXPLOW_PASS(name) {#name, passes::name},
#include "oxplow/graph/passes.inc"
#undef OXPLOW_PASS
};

}  // namespace

std::span<const NamedPass> all_passes() { return kPasses; }

Result<std::vector<PassReport>> run_passes(Graph& graph, const PassContext& context) {
  std::vector<PassReport> reports;
  for (const NamedPass& pass : kPasses) {
    const auto& skip = context.options.skip;
    if (std::find(skip.begin(), skip.end(), pass.name) != skip.end()) continue;
    const auto start = std::chrono::steady_clock::now();
    const auto where = [&] { return "pass " + std::string(pass.name); };
    auto changed = pass.run(graph, context);
    if (!changed.ok()) return in_context(where(), changed.error());
    if (*changed) {
      graph.remove_dead();
      if (Status status = infer_and_fold(graph, context.memo, context.machine); !status.ok())
        return in_context(where(), status.error());
      if (Status status = graph.verify(); !status.ok()) return in_context(where(), status.error());
    }
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    reports.push_back({pass.name, *changed, elapsed.count()});
  }
  return reports;
}

}  // namespace oxplow
