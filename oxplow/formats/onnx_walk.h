#pragma once
// Reads everything a parsed model points to. For tests and fuzz targets: a view that leaves the file shows itself here.

#include <cstddef>

#include "oxplow/formats/onnx.h"

namespace oxplow::onnx {

// A sum over all bytes of all tensors and names: something the compiler cannot leave out.
class ModelWalk {
 public:
  size_t sum = 0;
  size_t tensors = 0;

  void add(std::string_view text) {
    for (char c : text) sum += static_cast<unsigned char>(c);
  }
  void add(const TensorProto& t) {
    ++tensors;
    add(t.name);
    if (t.type == ElementType::STRING) {
      const auto strings = tensor_strings(t);
      if (!strings.ok()) return;
      OXPLOW_CHECK(strings->size() == static_cast<size_t>(t.elements()));
      for (std::string_view s : *strings) add(s);
      return;
    }
    const auto data = tensor_bytes(t);
    if (!data.ok()) return;
    if (const auto dtype = t.dtype())
      OXPLOW_CHECK(data->bytes.size() == oxplow::bytes_of(*dtype, static_cast<size_t>(t.elements())));
    for (std::byte b : data->bytes) sum += std::to_integer<size_t>(b);
  }
  void add(const SparseTensorProto& t) {
    add(t.values);
    add(t.indices);
  }
  void add(const TypeProto& t) {
    OXPLOW_CHECK(t.shape.size() <= kMaxRank);
    for (const Dimension& d : t.shape) {
      OXPLOW_CHECK(!d.value || *d.value >= 0);
      add(d.symbol);
    }
    for (const TypeProto& inner : t.inner) add(inner);
  }
  void add(const ValueInfoProto& v) {
    add(v.name);
    add(v.type);
  }
  void add(const AttributeProto& a) {
    add(a.name);
    add(a.ref_attr_name);
    add(a.s);
    add_all(a.strings);
    add_all(a.tensors);
    add_all(a.sparse_tensors);
    add_all(a.graphs);
    add_all(a.types);
    sum += a.floats.size() + a.ints.size();
  }
  void add(const NodeProto& n) {
    add(n.name);
    add(n.op_type);
    add(n.domain);
    add(n.overload);
    add_all(n.inputs);
    add_all(n.outputs);
    add_all(n.attributes);
  }
  void add(const GraphProto& g) {
    add(g.name);
    add_all(g.nodes);
    add_all(g.initializers);
    add_all(g.sparse_initializers);
    add_all(g.inputs);
    add_all(g.outputs);
    add_all(g.value_info);
  }
  void add(const FunctionProto& f) {
    add(f.name);
    add(f.domain);
    add_all(f.inputs);
    add_all(f.outputs);
    add_all(f.attribute_names);
    add_all(f.attributes);
    add_all(f.nodes);
    add_all(f.value_info);
  }
  void add(const ModelProto& m) {
    add(m.producer_name);
    add(m.domain);
    add(m.graph);
    add_all(m.functions);
    add_all(m.training_graphs);
    for (const Entry& entry : m.metadata) {
      add(entry.key);
      add(entry.value);
    }
    for (const OperatorSet& set : m.opset_imports) add(set.domain);
  }

 private:
  template <typename T>
  void add_all(const std::vector<T>& list) {
    for (const T& element : list) add(element);
  }
};

}  // namespace oxplow::onnx
