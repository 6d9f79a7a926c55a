#include "oxplow/graph/fold.h"

#include <algorithm>
#include <bit>

namespace oxplow {
namespace {

// Smaller results are cheaper to compute again than to look up.
constexpr size_t kWorthKeeping = 16 << 10;
// Folding must not blow up a model: what is larger than this and than its inputs (an Expand of a scalar, say) is left to the run.
constexpr size_t kLargestFold = size_t{256} << 20;

void append(std::string& key, const Attribute& attribute) {
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, float>) {
          key += std::to_string(std::bit_cast<uint32_t>(value));  // as digits, 1e-7 and 2e-7 would be one
        } else if constexpr (std::is_integral_v<T>) {
          key += std::to_string(value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          key += value;
        } else if constexpr (std::is_same_v<T, Tensor>) {
          key += std::to_string(reinterpret_cast<uintptr_t>(value.data()));
        } else if constexpr (std::is_same_v<T, std::shared_ptr<const Graph>>) {
          key += std::to_string(reinterpret_cast<uintptr_t>(value.get()));
        } else {
          for (const auto& element : value) append(key, Attribute(element));
        }
      },
      attribute);
  key += ';';
}

std::string memo_key(const Node& node, const std::vector<Tensor>& inputs) {
  std::string key = node.op->name + ("/" + std::to_string(node.outputs.size())) + ";";
  for (const auto& [name, value] : node.attributes.all()) append(key += name + "=", value);
  for (const Tensor& tensor : inputs) {
    key += to_string(tensor.type()) + "@" + std::to_string(reinterpret_cast<uintptr_t>(tensor.data()));
  }
  return key;
}

Result<std::vector<Tensor>> fold(const Graph& graph, const Node& node, FoldMemo& memo, const Machine& machine) {
  std::vector<Tensor> inputs;
  size_t input_bytes = 0;
  for (ValueId id : node.inputs) {
    inputs.push_back(id == kNoValue ? Tensor{} : *graph.constant(id));
    input_bytes += inputs.back().defined() ? inputs.back().bytes() : 0;
  }
  const bool keep = input_bytes >= kWorthKeeping;
  std::string key;
  if (keep) {
    key = memo_key(node, inputs);
    if (auto results = memo.find(key); !results.empty()) return results;
  }
  OXPLOW_ASSIGN(auto results, evaluate(*node.op, node.attributes, inputs, static_cast<int>(node.outputs.size()), machine));
  if (keep) memo.insert(key, inputs, results);
  return results;
}

bool runs_bodies(const Node& node) {
  return std::any_of(node.attributes.all().begin(), node.attributes.all().end(),
                     [](const auto& named) { return std::holds_alternative<std::shared_ptr<const Graph>>(named.second); });
}

bool touches_strings(const Graph& graph, const Node& node) {
  const auto is_string = [&](ValueId id) { return id != kNoValue && graph.dtype(id) == DType::string; };
  return std::any_of(node.inputs.begin(), node.inputs.end(), is_string) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), is_string);
}

bool all_constant(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return id == kNoValue || graph.constant(id); });
}

bool foldable(const Graph& graph, const Node& node) {
  if (node.op->impure || (node.op->prepare == nullptr && node.op->view == nullptr)) return false;
  size_t bytes = 0, input_bytes = 0;
  for (ValueId id : node.outputs) {
    if (id == kNoValue) return false;
    bytes += graph[id].type.bytes();
  }
  if (!all_constant(graph, node)) return false;
  for (ValueId id : node.inputs) input_bytes += id == kNoValue ? 0 : graph[id].type.bytes();
  return bytes < std::max(kLargestFold, input_bytes + 1);
}

// The node's results where they are known before the run, else none; its types are inferred then.
Result<std::vector<Tensor>> known_results(Graph& graph, Node& node, FoldMemo& memo, const Machine& machine) {
  if (Status typed = graph.infer(node); !typed.ok()) {
    const bool computable = typed.error().code == ErrorCode::needs_values && node.op->compute && !node.op->impure;
    if (computable && !runs_bodies(node) && all_constant(graph, node)) return fold(graph, node, memo, machine);
    return typed.error();
  }
  if (foldable(graph, node)) return fold(graph, node, memo, machine);
  std::vector<Tensor> results;
  if (node.op->known) {
    const auto operands = graph.input_operands(node);
    if (auto known = node.op->known({node.attributes, operands})) results.push_back(std::move(*known));
  }
  if (results.empty() && touches_strings(graph, node))
    return Error{ErrorCode::needs_values, std::string(node.op->name) + " of strings is not planned"};
  return results;
}

bool inputs_typed(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return id == kNoValue || graph[id].typed; });
}

void forget_types(Graph& graph, const Node& node) {
  for (ValueId id : node.outputs) {
    if (id != kNoValue) graph[id].typed = false;
  }
}

Status infer_and_fold(Graph& graph, FoldMemo& memo, const Machine& machine, bool leave_unknown) {
  for (auto it = graph.nodes.begin(); it != graph.nodes.end();) {
    Node& node = *it;
    if (leave_unknown && !inputs_typed(graph, node)) {
      forget_types(graph, *it++);
      continue;
    }
    auto results = known_results(graph, node, memo, machine);
    if (!results.ok()) {
      if (!leave_unknown || results.error().code != ErrorCode::needs_values)
        return in_context("node '" + node.name + "' (" + node.op->name + ")", results.error());
      forget_types(graph, *it++);
      continue;
    }
    if (results->empty()) {
      ++it;
      continue;
    }
    for (size_t i = 0; i < results->size() && i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      Value& value = graph[node.outputs[i]];
      value.constant = (*results)[i];
      value.type = value.constant->type();
      value.typed = true;
      value.producer = nullptr;
    }
    it = graph.nodes.erase(it);
  }
  return {};
}

}  // namespace

std::vector<Tensor> FoldMemo::find(const std::string& key) const {
  std::lock_guard lock(mutex_);
  auto it = entries_.find(key);
  if (it == entries_.end()) return {};
  for (const auto& input : it->second.inputs) {
    if (input.expired()) return {};
  }
  std::vector<Tensor> results;
  for (size_t i = 0; i < it->second.types.size(); ++i) {
    auto owner = it->second.owners[i].lock();
    if (!owner) return {};
    results.push_back(Tensor::borrow(it->second.types[i], it->second.data[i], std::move(owner)));
  }
  return results;
}

void FoldMemo::insert(const std::string& key, const std::vector<Tensor>& inputs, const std::vector<Tensor>& results) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const auto& entry) {
    return std::any_of(entry.second.owners.begin(), entry.second.owners.end(), [](const auto& owner) { return owner.expired(); });
  });
  Entry entry;
  for (const Tensor& input : inputs) {
    if (input.owner()) entry.inputs.push_back(input.owner());
  }
  for (const Tensor& result : results) {
    entry.types.push_back(result.type());
    entry.data.push_back(result.data());
    entry.owners.push_back(result.owner());
  }
  entries_[key] = std::move(entry);
}

Status infer_and_fold(Graph& graph, FoldMemo& memo, const Machine& machine) {
  return infer_and_fold(graph, memo, machine, false);
}

Status infer_what_is_known(Graph& graph, FoldMemo& memo, const Machine& machine) {
  return infer_and_fold(graph, memo, machine, true);
}

}  // namespace oxplow
