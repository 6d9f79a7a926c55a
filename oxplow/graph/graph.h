#pragma once

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "oxplow/ops/op.h"

namespace oxplow {

using ValueId = int;
inline constexpr ValueId kNoValue = -1;  // an optional input left out

// A use of an op: its inputs and outputs are values of the same graph.
struct Node {
  const OpSpec* op = nullptr;
  std::string name;  // the model's own name for it, for messages and explain
  Attributes attributes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;

  bool is(std::string_view op_name) const { return op_name == op->name; }
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoValue; }
};

// What flows along an edge. `typed` once shape inference has been here.
struct Value {
  std::string name;
  TensorType type = {};
  bool typed = false;
  std::optional<Tensor> constant = {};
  Node* producer = nullptr;
};

// An extent that the model declares: a number, or a symbol that must have one value throughout a run, or (both unset) anything.
struct DeclaredDim {
  int64_t value = -1;
  std::string symbol;
};

// What the model declares of an input or output.
struct DeclaredTensor {
  std::string name;
  DType dtype = DType::f32;
  std::optional<std::vector<DeclaredDim>> dims;  // none: any rank
  bool any_type = false;                         // of outputs only: `dtype` says nothing
  bool tensor = true;                            // false: a sequence, map or optional; `dtype` and `dims` say nothing
};

// "f32[batch, 3, 224, 224]": "?" for a type or extent that is open and has no name, "f32[...]" for any rank.
std::string to_string(const DeclaredTensor& declared);

// A model as typed ops in topological order. Nodes keep their addresses while others come and go.
class Graph {
 public:
  using NodeIterator = std::list<Node>::iterator;

  std::list<Node> nodes;
  std::vector<Value> values;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<DeclaredTensor> declared;          // beside `inputs`
  std::vector<DeclaredTensor> declared_outputs;  // beside `outputs`, or empty where the source tells nothing

  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;
  Graph(const Graph& other) { *this = other; }
  // Deep in structure; constants share their storage.
  Graph& operator=(const Graph& other);

  Value& operator[](ValueId id) { return values[static_cast<size_t>(id)]; }
  const Value& operator[](ValueId id) const { return values[static_cast<size_t>(id)]; }
  const Tensor* constant(ValueId id) const { return id == kNoValue || !(*this)[id].constant ? nullptr : &*(*this)[id].constant; }
  Node* producer(ValueId id) const { return id == kNoValue ? nullptr : (*this)[id].producer; }
  // The producer if it is an op of that name, else null.
  Node* producer(ValueId id, std::string_view op_name) const {
    Node* node = producer(id);
    return node && node->is(op_name) ? node : nullptr;
  }
  const Shape& shape(ValueId id) const { return (*this)[id].type.shape; }
  DType dtype(ValueId id) const { return (*this)[id].type.dtype; }

  ValueId add_value(std::string name);
  ValueId add_constant(Tensor tensor, std::string name);
  // Inserts a node with fresh outputs before `at` and infers their types.
  Result<std::vector<ValueId>> emit(NodeIterator at, std::string_view op, std::string name, std::vector<ValueId> node_inputs,
                                    Attributes attributes = {}, int output_count = 1);
  // The same for one output.
  Result<ValueId> emit1(NodeIterator at, std::string_view op, std::string name, std::vector<ValueId> node_inputs,
                        Attributes attributes = {});
  // Everything that read `from` (graph outputs too) reads `to`.
  void replace_uses(ValueId from, ValueId to);
  // How often each value is read, graph outputs included.
  std::vector<int> use_counts() const;
  // Removes nodes nobody reads.
  void remove_dead();

  // Operands of a node for shape rules and prepare: dense layouts.
  std::vector<Operand> input_operands(const Node& node) const;
  std::vector<Operand> output_operands(const Node& node) const;
  // Types of a node's outputs, by its op's rule, written into the values.
  Status infer(Node& node);

  // Every node reads what an earlier one wrote, every value has one producer, types agree with the rules.
  Status verify() const;
  // One line a node, for tests and debugging.
  std::string to_text() const;
};

}  // namespace oxplow
