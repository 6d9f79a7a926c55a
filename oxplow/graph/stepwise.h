#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "oxplow/graph/execution.h"
#include "oxplow/graph/pass.h"

namespace oxplow {

struct StepwiseLimits {
  int64_t steps = 10'000'000;           // nodes, islands and iterations of one run
  size_t plan_bytes = size_t{1} << 30;  // memory of the islands' plans that are kept from run to run
};

// Runs graphs whose shapes depend on values, or whose values are no tensors. What can be planned from the types known so far is an
// island: nodes with a plan of their own. What needs values is evaluated between islands. Islands are kept for the types they were
// made for, so that a second run, or the next iteration of a loop, only runs. One run at a time.
class Stepwise final : public BodyRunner {
 public:
  Stepwise(FoldMemo& memo, const Machine& machine, const PassOptions& passes, const StepwiseLimits& limits);
  ~Stepwise() override;

  // Inputs in the order of the graph's, outputs likewise. `graph` must stay where it is, unchanged. Errors name the node;
  // invalid_argument when the run takes more steps than its limit.
  Result<std::vector<Datum>> run(const Graph& graph, std::span<const Datum> inputs);

  Result<std::vector<Datum>> run_body(const Graph& body, std::span<const Datum> inputs) override;
  Status count_step() override;

 private:
  struct Stage;
  struct Island;
  struct Kept;
  using Environment = std::vector<Datum>;  // by ValueId

  Result<Island*> island_for(Stage& stage, Kept& kept, const Environment& known, int depth);
  Status run_island(Island& island, Environment& known);
  Status evaluate_node(const Graph& graph, const Node& node, Environment& known);
  Status plan_island(Island& island, Graph graph, const std::vector<bool>& needed);
  Result<std::unique_ptr<Island>> make_island(const Stage& stage, const Environment& known, int depth);

  FoldMemo& memo_;
  const Machine machine_;
  const PassOptions& passes_;
  const StepwiseLimits limits_;
  int64_t steps_ = 0;  // of this run
  std::map<const Graph*, std::unique_ptr<Kept>> kept_;
};

}  // namespace oxplow
