#include "oxplow/graph/model.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "oxplow/formats/artifact.h"
#include "oxplow/graph/artifact.h"
#include "oxplow/graph/import/onnx.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {

Result<std::unique_ptr<Model>> Model::load(const std::filesystem::path& path, const ModelOptions& options,
                                           std::shared_ptr<ThreadPool> pool) {
  if (is_artifact(path)) return load_artifact(path, options, std::move(pool));
  OXPLOW_ASSIGN(Graph graph, import_onnx(path));
  return from_graph(std::move(graph), options, std::move(pool));
}

Result<std::unique_ptr<Model>> Model::from_graph(Graph graph, const ModelOptions& options, std::shared_ptr<ThreadPool> pool) {
  OXPLOW_TRY(graph.verify());
  return std::unique_ptr<Model>(new Model(std::move(graph), options, std::move(pool)));
}

std::vector<std::string> Model::output_names() const {
  std::vector<std::string> names;
  for (ValueId id : graph_.outputs) names.push_back(graph_[id].name);
  return names;
}

// Every name must be that of an axis which an input leaves open.
Status Model::check_names(const std::map<std::string, int64_t>& extents) const {
  std::set<std::string> open;
  for (const DeclaredTensor& input : graph_.declared) {
    for (const DeclaredDim& dim : input.dims.value_or(std::vector<DeclaredDim>{})) {
      if (dim.value < 0 && !dim.symbol.empty()) open.insert(dim.symbol);
    }
  }
  for (const auto& [name, extent] : extents) {
    if (open.contains(name)) continue;
    std::string known;
    for (const std::string& symbol : open) known += (known.empty() ? "; the open axes are '" : ", '") + symbol + "'";
    return Error{ErrorCode::invalid_argument, "no input has an open axis '" + name + "'" + known};
  }
  return {};
}

Result<TensorTypes> Model::input_types(int64_t batch, const std::map<std::string, int64_t>& extents) const {
  OXPLOW_TRY(check_names(extents));
  TensorTypes types;
  for (const DeclaredTensor& input : graph_.declared) {
    if (!input.dims)
      return Error{ErrorCode::invalid_argument, "input '" + input.name + "' may have any rank: give a tensor for it (--input)"};
    TensorType type{input.dtype, {}};
    for (size_t axis = 0; axis < input.dims->size(); ++axis) {
      const DeclaredDim& dim = (*input.dims)[axis];
      const auto named = extents.find(dim.symbol);
      int64_t extent = dim.value;
      if (extent < 0 && named != extents.end()) extent = named->second;
      if (extent < 0 && axis == 0) extent = batch;
      if (extent < 0) {
        return Error{ErrorCode::invalid_argument, "input '" + input.name + "' leaves axis " + std::to_string(axis) + " ('" +
                                                      dim.symbol + "') open: give it with --dim " +
                                                      (dim.symbol.empty() ? "NAME" : dim.symbol) + "=N"};
      }
      type.shape.push_back(extent);
    }
    types.push_back(type);
  }
  return types;
}

Status Model::check(const TensorTypes& types) const {
  if (types.size() != graph_.declared.size()) {
    return Error{ErrorCode::invalid_argument,
                 "the model takes " + std::to_string(graph_.declared.size()) + " inputs, not " + std::to_string(types.size())};
  }
  std::map<std::string, std::pair<int64_t, std::string>> symbols;
  for (size_t i = 0; i < types.size(); ++i) {
    const DeclaredTensor& input = graph_.declared[i];
    if (!input.tensor) continue;
    const auto misfit = [&](const std::string& why) {
      return Error{ErrorCode::invalid_argument,
                   "input '" + input.name + "' is " + to_string(types[i]) + ", the model wants " + to_string(input) + ": " + why};
    };
    if (types[i].dtype != input.dtype) return misfit("convert its elements");
    if (!input.dims) continue;
    if (types[i].shape.size() != input.dims->size())
      return misfit("it must have " + std::to_string(input.dims->size()) + " axes");
    for (size_t axis = 0; axis < input.dims->size(); ++axis) {
      const DeclaredDim& dim = (*input.dims)[axis];
      const int64_t extent = types[i].shape[static_cast<int>(axis)];
      if (dim.value >= 0 && extent != dim.value)
        return misfit("axis " + std::to_string(axis) + " must be " + std::to_string(dim.value));
      if (dim.symbol.empty()) continue;
      const auto [it, fresh] = symbols.try_emplace(dim.symbol, extent, input.name);
      if (!fresh && it->second.first != extent) {
        return misfit("axis " + std::to_string(axis) + " ('" + dim.symbol + "') is " + std::to_string(it->second.first) +
                      " in input '" + it->second.second + "'");
      }
    }
  }
  return {};
}

Status Model::check_data(std::span<const Datum> inputs) const {
  TensorTypes types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    types.push_back(inputs[i].tensor() ? inputs[i].tensor()->type() : TensorType{});
    if (i < graph_.declared.size() && graph_.declared[i].tensor && !inputs[i].tensor())
      return Error{ErrorCode::invalid_argument,
                   "input '" + graph_.declared[i].name + "' must be a tensor, not " + inputs[i].kind()};
  }
  return check(types);
}

Result<Graph> Model::specialize(const TensorTypes& types) {
  OXPLOW_TRY(check(types));
  if (stepwise_) return Error{ErrorCode::needs_values, "the model's shapes depend on its inputs' values: no one plan can run it"};
  Graph graph = graph_;
  for (size_t i = 0; i < types.size(); ++i) {
    graph[graph.inputs[i]].type = types[i];
    graph[graph.inputs[i]].typed = true;
  }
  const Machine m = machine();
  OXPLOW_TRY(infer_and_fold(graph, memo_, m));
  graph.remove_dead();
  OXPLOW_ASSIGN([[maybe_unused]] auto reports, run_passes(graph, {memo_, m, options_.passes}));
  return graph;
}

Result<std::string> Model::explain_graph(const TensorTypes& types) {
  OXPLOW_ASSIGN(const Graph graph, specialize(types));
  return graph.to_text();
}

Result<Execution*> Model::prepare(const TensorTypes& types) {
  auto found = std::find_if(plans_.begin(), plans_.end(), [&](const CachedPlan& p) { return p.types == types; });
  if (found != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, found);
    return plans_.front().execution.get();
  }
  OXPLOW_ASSIGN(const Graph graph, specialize(types));
  OXPLOW_ASSIGN(Plan plan, make_plan(graph, machine()));
  OXPLOW_ASSIGN(auto execution, Execution::create(std::move(plan)));
  plans_.push_front({types, std::move(execution)});
  size_t bytes = 0, kept = 0;
  for (auto it = plans_.begin(); it != plans_.end(); ++kept) {
    bytes += it->execution->plan().arena_bytes;
    const bool keep = kept == 0 || (kept < options_.max_plans && bytes <= options_.max_plan_bytes);
    it = keep ? std::next(it) : plans_.erase(it);
  }
  return plans_.front().execution.get();
}

namespace {

// What has no owner is the caller's, who may let it go.
Result<Tensor> owned(const Tensor& tensor) {
  if (tensor.owner()) return tensor;
  OXPLOW_ASSIGN(Tensor copy, Tensor::allocate(tensor.type()));
  if (tensor.bytes() > 0) std::memcpy(copy.mutable_data(), tensor.data(), tensor.bytes());
  return with_own_characters(copy);
}

Result<Datum> owned(const Datum& datum) {
  if (const Tensor* tensor = datum.tensor()) {
    OXPLOW_ASSIGN(Tensor copy, owned(*tensor));
    return Datum(std::move(copy));
  }
  if (!datum.sequence()) return datum;
  Sequence elements;
  for (const Datum& element : *datum.sequence()) {
    if (!element.tensor()) return datum;  // maps are made by ops, which own them
    OXPLOW_ASSIGN(Tensor copy, owned(*element.tensor()));
    elements.emplace_back(std::move(copy));
  }
  return Datum(std::move(elements));
}

}  // namespace

Result<std::vector<Datum>> Model::run_stepwise(std::span<const Datum> inputs) {
  OXPLOW_TRY(check_data(inputs));
  if (!stepwise_) {
    const StepwiseLimits limits{.steps = options_.max_steps, .plan_bytes = options_.max_plan_bytes};
    stepwise_ = std::make_unique<Stepwise>(memo_, machine(), options_.passes, limits);
  }
  OXPLOW_ASSIGN(auto results, stepwise_->run(graph_, inputs));
  for (Datum& result : results) {
    OXPLOW_ASSIGN(result, owned(result));
  }
  return results;
}

Result<std::vector<Datum>> Model::run_data(std::span<const Datum> inputs) {
  {
    const bool tensors = std::all_of(graph_.declared.begin(), graph_.declared.end(), [](const auto& d) { return d.tensor; });
    std::lock_guard lock(mutex_);
    if (stepwise_ || !tensors) return run_stepwise(inputs);
    OXPLOW_TRY(check_data(inputs));
    TensorTypes types;
    for (const Datum& input : inputs) types.push_back(input.tensor()->type());
    auto execution = prepare(types);
    if (!execution.ok() && execution.error().code == ErrorCode::needs_values) return run_stepwise(inputs);
    if (!execution.ok()) return execution.error();
  }
  std::vector<Tensor> tensors;
  for (const Datum& input : inputs) tensors.push_back(*input.tensor());
  OXPLOW_ASSIGN(auto results, run(tensors));
  return std::vector<Datum>(results.begin(), results.end());
}

Result<std::vector<Tensor>> Model::run(std::span<const Tensor> inputs) {
  std::lock_guard lock(mutex_);
  TensorTypes types;
  std::vector<const void*> in;
  for (const Tensor& tensor : inputs) {
    types.push_back(tensor.type());
    in.push_back(tensor.data());
  }
  auto prepared = prepare(types);
  std::vector<Tensor> results;
  if (!prepared.ok() && prepared.error().code == ErrorCode::needs_values) {
    const std::vector<Datum> data(inputs.begin(), inputs.end());
    OXPLOW_ASSIGN(auto given, run_stepwise(data));
    for (size_t i = 0; i < given.size(); ++i) {
      if (!given[i].tensor())
        return Error{ErrorCode::unsupported, "output '" + output_names()[i] + "' is " + given[i].kind() + ", not a tensor"};
      results.push_back(*given[i].tensor());
    }
    return results;
  }
  if (!prepared.ok()) return prepared.error();
  Execution* execution = *prepared;
  std::vector<void*> out;
  for (const TensorType& type : execution->plan().outputs) {
    OXPLOW_ASSIGN(Tensor result, Tensor::allocate(type));
    results.push_back(std::move(result));
    out.push_back(results.back().mutable_data());
  }
  execution->run(in, out, *pool_);
  return results;
}

}  // namespace oxplow
