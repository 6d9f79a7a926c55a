#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>

#include "oxplow/graph/execution.h"
#include "oxplow/graph/stepwise.h"

namespace oxplow {

struct ModelOptions {
  Isa isa = Isa{};
  PassOptions passes;
  // Plans kept for shapes seen lately: at most this many, and no more memory than this (the latest one is always kept).
  size_t max_plans = 16;
  size_t max_plan_bytes = size_t{1} << 30;
  // What one run of a model with loops may take: nodes evaluated, islands run, iterations.
  int64_t max_steps = 10'000'000;
};

// A loaded model: a graph, and plans for the input shapes it has met. Runs are serialized; the pool is shared with other models.
class Model {
 public:
  static Result<std::unique_ptr<Model>> load(const std::filesystem::path& path, const ModelOptions& options,
                                             std::shared_ptr<ThreadPool> pool);
  static Result<std::unique_ptr<Model>> from_graph(Graph graph, const ModelOptions& options, std::shared_ptr<ThreadPool> pool);

  const std::vector<DeclaredTensor>& inputs() const { return graph_.declared; }
  // Beside the outputs, or empty where the model's source tells nothing.
  const std::vector<DeclaredTensor>& declared_outputs() const { return graph_.declared_outputs; }
  std::vector<std::string> output_names() const;
  const ModelOptions& options() const { return options_; }
  ThreadPool& pool() { return *pool_; }
  PackCache& packs() { return packs_; }
  // What the user should know of how the model was loaded; empty: nothing.
  const std::string& note() const { return note_; }
  void set_note(std::string note) { note_ = std::move(note); }

  // The input types for one symbol value each: the first unknown extent of every input is `batch`, others stay an error unless `extents` name
  // their symbol. A name in `extents` that no input has is an error too.
  Result<TensorTypes> input_types(int64_t batch, const std::map<std::string, int64_t>& extents) const;

  // Inputs in the order of inputs(). An error names the input that does not fit.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  // The same for models whose inputs or outputs are not all tensors.
  Result<std::vector<Datum>> run_data(std::span<const Datum> inputs);

  // The plan for these types, made when it is not there yet. Valid until the next call on this model. The error needs_values: no one
  // plan can run this model, since shapes depend on values, or since not all is tensors; run() can.
  Result<Execution*> prepare(const TensorTypes& types);
  // The optimized graph for these types, as text.
  Result<std::string> explain_graph(const TensorTypes& types);

 private:
  struct CachedPlan {
    TensorTypes types;
    std::unique_ptr<Execution> execution;
  };
  Model(Graph graph, const ModelOptions& options, std::shared_ptr<ThreadPool> pool)
      : graph_(std::move(graph)), options_(options), pool_(std::move(pool)) {}
  Machine machine() { return {options_.isa, *pool_, packs_}; }
  Status check_names(const std::map<std::string, int64_t>& extents) const;
  Status check(const TensorTypes& types) const;
  Status check_data(std::span<const Datum> inputs) const;
  Result<Graph> specialize(const TensorTypes& types);
  Result<std::vector<Datum>> run_stepwise(std::span<const Datum> inputs);

  Graph graph_;
  ModelOptions options_;
  std::shared_ptr<ThreadPool> pool_;
  PackCache packs_;
  std::string note_;
  FoldMemo memo_;
  std::mutex mutex_;
  std::list<CachedPlan> plans_;         // latest first
  std::unique_ptr<Stepwise> stepwise_;  // once a run has needed values: plans are tried no more
};

}  // namespace oxplow
