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

bool foldable(const Graph& graph, const Node& node) {
  if (node.op->impure || (node.op->prepare == nullptr && node.op->view == nullptr)) return false;
  size_t bytes = 0, input_bytes = 0;
  for (ValueId id : node.outputs) {
    if (id == kNoValue) return false;
    bytes += graph[id].type.bytes();
  }
  for (ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    if (!graph.constant(id)) return false;
    input_bytes += graph[id].type.bytes();
  }
  return bytes < std::max(kLargestFold, input_bytes + 1);
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
  for (auto it = graph.nodes.begin(); it != graph.nodes.end();) {
    Node& node = *it;
    const auto where = [&] { return "node '" + node.name + "' (" + node.op->name + ")"; };
    if (Status status = graph.infer(node); !status.ok()) return in_context(where(), status.error());
    std::vector<Tensor> results;
    if (foldable(graph, node)) {
      auto folded = fold(graph, node, memo, machine);
      if (!folded.ok()) return in_context(where(), folded.error());
      results = folded.take();
    } else if (node.op->known) {
      const auto operands = graph.input_operands(node);
      if (auto known = node.op->known({node.attributes, operands})) results.push_back(std::move(*known));
    }
    if (results.empty()) {
      ++it;
      continue;
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      Value& value = graph[node.outputs[i]];
      value.constant = results[i];
      value.producer = nullptr;
    }
    it = graph.nodes.erase(it);
  }
  return {};
}

}  // namespace oxplow
