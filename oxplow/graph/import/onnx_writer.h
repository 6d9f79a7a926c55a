#pragma once
// For tests: writes small ONNX models, field by field as onnx.proto numbers them.

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "oxplow/formats/onnx.h"
#include "oxplow/formats/protobuf_writer.h"
#include "oxplow/ops/attributes.h"

namespace oxplow {

class OnnxWriter {
 public:
  explicit OnnxWriter(int64_t opset = 20) { opset_imports_.emplace_back("", opset); }

  using Dim = std::variant<int64_t, const char*>;  // an extent or a symbol; "" is any extent
  static Dim dim(int64_t value) { return value; }

  OnnxWriter& domain(std::string name, int64_t version) {
    opset_imports_.emplace_back(std::move(name), version);
    return *this;
  }
  OnnxWriter& no_opsets() {
    opset_imports_.clear();
    return *this;
  }
  OnnxWriter& input(std::string_view name, const std::vector<Dim>& dims, onnx::ElementType type = onnx::ElementType::FLOAT) {
    ProtobufWriter shape;
    for (const Dim& d : dims) {
      ProtobufWriter entry;
      if (const auto* value = std::get_if<int64_t>(&d)) {
        entry.varint(1, *value);
      } else if (*std::get<const char*>(d)) {
        entry.text(2, std::get<const char*>(d));
      }
      shape.message(1, entry);
    }
    ProtobufWriter tensor;
    tensor.varint(1, static_cast<int64_t>(type)).message(2, shape);
    return declare(11, name, tensor);
  }
  OnnxWriter& input_of_any_rank(std::string_view name) {
    ProtobufWriter tensor;
    return declare(11, name, tensor.varint(1, 1));
  }
  OnnxWriter& output(std::string_view name) {
    ProtobufWriter info;
    graph_.message(12, info.text(1, name));
    return *this;
  }
  OnnxWriter& initializer(std::string_view name, const Tensor& tensor) {
    graph_.message(5, tensor_proto(name, tensor));
    return *this;
  }
  OnnxWriter& node(std::string_view op, std::initializer_list<std::string_view> inputs,
                   std::initializer_list<std::string_view> outputs,
                   std::initializer_list<std::pair<const char*, Attribute>> attributes = {}, std::string_view op_domain = {}) {
    return add_node(op, {inputs.begin(), inputs.size()}, {outputs.begin(), outputs.size()},
                    {attributes.begin(), attributes.size()}, op_domain);
  }
  OnnxWriter& add_node(std::string_view op, std::span<const std::string_view> inputs, std::span<const std::string_view> outputs,
                       std::span<const std::pair<const char*, Attribute>> attributes, std::string_view op_domain) {
    ProtobufWriter node = node_proto(op, inputs, outputs, attributes);
    if (!op_domain.empty()) node.text(7, op_domain);
    graph_.message(1, node);
    function_nodes_.message(7, node);
    return *this;
  }
  // A node with graphs as attributes: what the bodies' writers have written so far.
  OnnxWriter& control(std::string_view op, std::initializer_list<std::string_view> inputs,
                      std::initializer_list<std::string_view> outputs,
                      std::initializer_list<std::pair<const char*, const OnnxWriter*>> bodies,
                      std::initializer_list<std::pair<const char*, Attribute>> attributes = {}) {
    ProtobufWriter node = node_proto(op, {inputs.begin(), inputs.size()}, {outputs.begin(), outputs.size()},
                                     {attributes.begin(), attributes.size()});
    for (const auto& [name, body] : bodies) {
      ProtobufWriter proto;
      node.message(5, proto.text(1, name).message(6, body->graph_).varint(20, 5));
    }
    graph_.message(1, node);
    return *this;
  }
  // A function of domain "local" with the nodes of `body`.
  OnnxWriter& function(std::string_view name, std::initializer_list<std::string_view> inputs,
                       std::initializer_list<std::string_view> outputs, const OnnxWriter& body) {
    ProtobufWriter function, standard, local;
    function.text(1, name).text(10, "local");
    for (std::string_view input : inputs) function.text(4, input);
    for (std::string_view output : outputs) function.text(5, output);
    function.message(9, standard.varint(2, 20)).message(9, local.text(1, "local").varint(2, 1));
    functions_.push_back(function.str() + body.function_nodes_.str());
    return *this;
  }
  // Anything else of GraphProto.
  ProtobufWriter& graph() { return graph_; }

  std::string bytes() const {
    ProtobufWriter model;
    model.varint(1, 9).message(7, graph_);
    for (const auto& [name, version] : opset_imports_) {
      ProtobufWriter set;
      if (!name.empty()) set.text(1, name);
      model.message(8, set.varint(2, version));
    }
    std::string text = model.str();
    for (const std::string& function : functions_) {
      ProtobufWriter more;
      text += more.text(25, function).str();
    }
    return text;
  }

  static ProtobufWriter tensor_proto(std::string_view name, const Tensor& tensor) {
    ProtobufWriter proto;
    for (int64_t extent : tensor.shape()) proto.varint(1, extent);
    proto.varint(2, element(tensor.dtype())).text(8, name);
    return proto.text(9, {static_cast<const char*>(tensor.data()), tensor.bytes()});
  }

 private:
  ProtobufWriter node_proto(std::string_view op, std::span<const std::string_view> inputs,
                            std::span<const std::string_view> outputs,
                            std::span<const std::pair<const char*, Attribute>> attributes) {
    ProtobufWriter node;
    for (std::string_view name : inputs) node.text(1, name);
    for (std::string_view name : outputs) node.text(2, name);
    node.text(3, std::string(op) + "_" + std::to_string(nodes_++)).text(4, op);
    for (const auto& [name, value] : attributes) node.message(5, attribute(name, value));
    return node;
  }

  static int64_t element(DType dtype) {
    for (int64_t code = 1; code < 32; ++code) {
      if (onnx::dtype_of(static_cast<onnx::ElementType>(code)) == dtype) return code;
    }
    return 0;
  }

  static ProtobufWriter attribute(const char* name, const Attribute& value) {
    ProtobufWriter proto;
    proto.text(1, name);
    if (const auto* v = std::get_if<float>(&value)) return proto.real(2, *v).varint(20, 1);
    if (const auto* v = std::get_if<int64_t>(&value)) return proto.varint(3, *v).varint(20, 2);
    if (const auto* v = std::get_if<std::string>(&value)) return proto.text(4, *v).varint(20, 3);
    if (const auto* v = std::get_if<Tensor>(&value)) return proto.message(5, tensor_proto("", *v)).varint(20, 4);
    if (const auto* v = std::get_if<std::vector<float>>(&value)) {
      for (float f : *v) proto.real(7, f);
      return proto.varint(20, 6);
    }
    if (const auto* v = std::get_if<std::vector<int64_t>>(&value)) {
      for (int64_t i : *v) proto.varint(8, i);
      return proto.varint(20, 7);
    }
    for (const std::string& s : std::get<std::vector<std::string>>(value)) proto.text(9, s);
    return proto.varint(20, 8);
  }

  OnnxWriter& declare(uint32_t field, std::string_view name, const ProtobufWriter& tensor) {
    ProtobufWriter type, info;
    type.message(1, tensor);
    graph_.message(field, info.text(1, name).message(2, type));
    return *this;
  }

  ProtobufWriter graph_;
  ProtobufWriter function_nodes_;  // the nodes again, as a function has them
  std::vector<std::string> functions_;
  std::vector<std::pair<std::string, int64_t>> opset_imports_;
  int nodes_ = 0;
};

}  // namespace oxplow
