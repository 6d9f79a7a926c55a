#include "oxplow/graph/graph.h"

#include <map>

namespace oxplow {
namespace {

Operand operand_of(const Value& value) {
  Operand operand;
  operand.type = value.type;
  operand.strides = dense_strides(value.type.shape);
  operand.constant = value.constant ? &*value.constant : nullptr;
  operand.present = true;
  return operand;
}

}  // namespace

std::string to_string(const DeclaredTensor& declared) {
  std::string text = declared.any_type ? "?" : std::string(name_of(declared.dtype));
  if (!declared.dims) return text + "[...]";
  text += "[";
  for (const DeclaredDim& dim : *declared.dims) {
    if (&dim != declared.dims->data()) text += ", ";
    text += dim.value >= 0 ? std::to_string(dim.value) : dim.symbol.empty() ? "?" : dim.symbol;
  }
  return text + "]";
}

Graph& Graph::operator=(const Graph& other) {
  if (this == &other) return *this;
  nodes = other.nodes;
  values = other.values;
  inputs = other.inputs;
  outputs = other.outputs;
  declared = other.declared;
  declared_outputs = other.declared_outputs;
  for (Node& node : nodes) {
    for (ValueId id : node.outputs) {
      if (id != kNoValue) (*this)[id].producer = &node;
    }
  }
  return *this;
}

ValueId Graph::add_value(std::string name) {
  values.push_back({.name = std::move(name)});
  return static_cast<ValueId>(values.size()) - 1;
}

ValueId Graph::add_constant(Tensor tensor, std::string name) {
  const ValueId id = add_value(std::move(name));
  Value& value = (*this)[id];
  value.type = tensor.type();
  value.typed = true;
  value.constant = std::move(tensor);
  return id;
}

Result<std::vector<ValueId>> Graph::emit(NodeIterator at, std::string_view op, std::string name, std::vector<ValueId> node_inputs,
                                         Attributes attributes, int output_count) {
  const OpSpec* spec = find_op(op);
  if (spec == nullptr) return Error{ErrorCode::internal, "no op named " + std::string(op)};
  Node node{
      .op = spec, .name = std::move(name), .attributes = std::move(attributes), .inputs = std::move(node_inputs), .outputs = {}};
  for (int i = 0; i < output_count; ++i) {
    node.outputs.push_back(add_value(node.name + (i == 0 ? "" : ":" + std::to_string(i))));
  }
  Node& placed = *nodes.insert(at, std::move(node));
  for (ValueId id : placed.outputs) (*this)[id].producer = &placed;
  if (Status status = infer(placed); !status.ok()) return in_context(std::string(op), status.error());
  return placed.outputs;
}

Result<ValueId> Graph::emit1(NodeIterator at, std::string_view op, std::string name, std::vector<ValueId> node_inputs,
                             Attributes attributes) {
  OXPLOW_ASSIGN(auto results, emit(at, op, std::move(name), std::move(node_inputs), std::move(attributes), 1));
  return results[0];
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& node : nodes) {
    for (ValueId& id : node.inputs) {
      if (id == from) id = to;
    }
  }
  for (ValueId& id : outputs) {
    if (id == from) id = to;
  }
}

std::vector<int> Graph::use_counts() const {
  std::vector<int> counts(values.size(), 0);
  for (const Node& node : nodes) {
    for (ValueId id : node.inputs) {
      if (id != kNoValue) ++counts[static_cast<size_t>(id)];
    }
  }
  for (ValueId id : outputs) ++counts[static_cast<size_t>(id)];
  return counts;
}

void Graph::remove_dead() {
  std::vector<int> counts = use_counts();
  for (auto it = nodes.end(); it != nodes.begin();) {
    --it;
    bool live = it->op->impure;
    for (ValueId id : it->outputs) live = live || (id != kNoValue && counts[static_cast<size_t>(id)] > 0);
    if (live) continue;
    for (ValueId id : it->inputs) {
      if (id != kNoValue) --counts[static_cast<size_t>(id)];
    }
    for (ValueId id : it->outputs) {
      if (id != kNoValue) (*this)[id].producer = nullptr;
    }
    it = nodes.erase(it);
  }
}

std::vector<Operand> Graph::input_operands(const Node& node) const {
  std::vector<Operand> operands;
  operands.reserve(node.inputs.size());
  for (ValueId id : node.inputs) operands.push_back(id == kNoValue ? Operand{} : operand_of((*this)[id]));
  return operands;
}

std::vector<Operand> Graph::output_operands(const Node& node) const {
  std::vector<Operand> operands;
  operands.reserve(node.outputs.size());
  for (ValueId id : node.outputs) operands.push_back(id == kNoValue ? Operand{} : operand_of((*this)[id]));
  return operands;
}

Status Graph::infer(Node& node) {
  for (ValueId id : node.inputs) {
    if (id != kNoValue && !(*this)[id].typed) {
      return Error{ErrorCode::invalid_model, "input '" + (*this)[id].name + "' is read before it is written"};
    }
  }
  const auto operands = input_operands(node);
  OXPLOW_ASSIGN(TensorTypes types, infer_types(*node.op, {node.attributes, operands, static_cast<int>(node.outputs.size())}));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    Value& value = (*this)[node.outputs[i]];
    value.type = types[i];
    value.typed = true;
  }
  return {};
}

Status Graph::verify() const {
  std::vector<bool> known(values.size(), false);
  for (ValueId id : inputs) known[static_cast<size_t>(id)] = true;
  for (size_t i = 0; i < values.size(); ++i) known[i] = known[i] || values[i].constant.has_value();
  for (const Node& node : nodes) {
    const std::string where = "node " + node.name + " (" + node.op->name + ")";
    for (ValueId id : node.inputs) {
      if (id != kNoValue && !known[static_cast<size_t>(id)]) {
        return Error{ErrorCode::invalid_model,
                     where + " reads '" + (*this)[id].name +
                         "', which nothing before it writes: the graph has a cycle or a dangling input"};
      }
    }
    for (ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      if (known[static_cast<size_t>(id)])
        return Error{ErrorCode::invalid_model, where + " writes '" + (*this)[id].name + "' a second time"};
      if ((*this)[id].producer != &node) return Error{ErrorCode::internal, where + " is not the producer of its output"};
      known[static_cast<size_t>(id)] = true;
    }
  }
  for (ValueId id : outputs) {
    if (!known[static_cast<size_t>(id)])
      return Error{ErrorCode::invalid_model, "nothing writes the output '" + (*this)[id].name + "'"};
  }
  return {};
}

std::string Graph::to_text() const {
  std::string text;
  for (const Node& node : nodes) {
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      text += (i ? ", %" : "%") + std::to_string(node.outputs[i]);
      if (node.outputs[i] != kNoValue && (*this)[node.outputs[i]].typed) text += " " + to_string((*this)[node.outputs[i]].type);
    }
    text += " = " + std::string(node.op->name) + "(";
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      text += (i ? ", " : "") + (node.inputs[i] == kNoValue
                                     ? std::string("-")
                                     : (constant(node.inputs[i]) ? "$" : "%") + std::to_string(node.inputs[i]));
    }
    text += ")  # " + node.name + "\n";
  }
  return text;
}

}  // namespace oxplow
