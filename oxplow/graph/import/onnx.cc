#include "oxplow/graph/import/onnx.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "oxplow/formats/byte_reader.h"
#include "oxplow/graph/import/onnx_ops.h"

namespace oxplow {
namespace {

constexpr int64_t kOldestOpset = 6, kNewestOpset = 28, kNewestMlOpset = 5;

// "" for ONNX's own domain, which has two names.
std::string_view own_domain(std::string_view domain) { return domain == "ai.onnx" ? std::string_view{} : domain; }

// What the file declares of an input or output. `what` for errors: "input".
Result<DeclaredTensor> declared_tensor(const onnx::ValueInfoProto& info, const std::string& what) {
  if (info.type.kind != onnx::TypeProto::Kind::tensor)
    return Error{ErrorCode::unsupported, what + " " + in_quotes(info.name) + " is not a tensor"};
  const auto dtype = onnx::dtype_of(info.type.element);
  if (!dtype)
    return Error{ErrorCode::unsupported,
                 what + " " + in_quotes(info.name) + " has elements of type " + onnx::name_of(info.type.element)};
  DeclaredTensor declared{.name = std::string(info.name), .dtype = *dtype, .dims = std::nullopt};
  if (info.type.has_shape) {
    declared.dims.emplace();
    for (const onnx::Dimension& d : info.type.shape) declared.dims->push_back({d.value.value_or(-1), std::string(d.symbol)});
  }
  return declared;
}

// Elements in place where the file has them aligned, else a copy.
Result<Tensor> tensor_of(const onnx::TensorProto& proto, const std::shared_ptr<const OnnxModel>& model) {
  const auto dtype = proto.dtype();
  if (!dtype)
    return Error{ErrorCode::unsupported,
                 "tensor " + in_quotes(proto.name) + " has elements of type " + onnx::name_of(proto.type)};
  const TensorType type{*dtype, proto.dims};
  OXPLOW_ASSIGN(auto data, onnx::tensor_bytes(proto));
  const size_t alignment = static_cast<size_t>(std::max(bits_of(*dtype), 8)) / 8;
  const bool aligned = reinterpret_cast<uintptr_t>(data.bytes.data()) % alignment == 0;
  if (data.owned.empty() && aligned && !data.bytes.empty()) return Tensor::borrow(type, data.bytes.data(), model);
  OXPLOW_ASSIGN(Tensor tensor, Tensor::allocate(type));
  if (!data.bytes.empty()) std::memcpy(tensor.mutable_data(), data.bytes.data(), data.bytes.size());
  return tensor;
}

Result<Attributes> attributes_of(const onnx::NodeProto& node, const std::shared_ptr<const OnnxModel>& model) {
  Attributes attributes;
  for (const onnx::AttributeProto& a : node.attributes) {
    switch (a.type) {
      case onnx::AttributeType::FLOAT: attributes.set(a.name, a.f); break;
      case onnx::AttributeType::INT: attributes.set(a.name, a.i); break;
      case onnx::AttributeType::STRING: attributes.set(a.name, std::string(a.s)); break;
      case onnx::AttributeType::FLOATS: attributes.set(a.name, a.floats); break;
      case onnx::AttributeType::INTS: attributes.set(a.name, a.ints); break;
      case onnx::AttributeType::STRINGS:
        attributes.set(a.name, std::vector<std::string>(a.strings.begin(), a.strings.end()));
        break;
      case onnx::AttributeType::TENSOR: {
        OXPLOW_ASSIGN(Tensor tensor, tensor_of(a.tensors.front(), model));
        attributes.set(a.name, std::move(tensor));
        break;
      }
      default: return Error{ErrorCode::unsupported, "attribute " + in_quotes(a.name) + " of type " + onnx::name_of(a.type)};
    }
  }
  return attributes;
}

class Importer {
 public:
  explicit Importer(std::shared_ptr<const OnnxModel> model) : model_(std::move(model)), proto_(model_->model) {}

  Result<Graph> run() {
    OXPLOW_TRY(check_opset());
    OXPLOW_TRY(refuse_unknown_ops());
    for (const onnx::TensorProto& tensor : proto_.graph.initializers) {
      OXPLOW_ASSIGN(Tensor value, tensor_of(tensor, model_));
      OXPLOW_TRY(define(tensor.name, graph_.add_constant(std::move(value), std::string(tensor.name))));
    }
    if (!proto_.graph.sparse_initializers.empty()) return Error{ErrorCode::unsupported, "sparse initializers"};
    OXPLOW_TRY(add_inputs());
    for (const onnx::NodeProto& node : proto_.graph.nodes) {
      if (Status status = add_node(node); !status.ok())
        return in_context("node " + in_quotes(node.name) + " (" + std::string(node.op_type) + ")", status.error());
    }
    for (const onnx::ValueInfoProto& output : proto_.graph.outputs) {
      auto it = values_.find(output.name);
      if (it == values_.end()) return Error{ErrorCode::invalid_model, "nothing writes the output " + in_quotes(output.name)};
      graph_.outputs.push_back(it->second);
      graph_[it->second].name = std::string(output.name);
      auto declared = declared_tensor(output, "output");
      if (!declared.ok()) declared = DeclaredTensor{.name = std::string(output.name), .dims = std::nullopt, .any_type = true};
      graph_.declared_outputs.push_back(declared.take());
    }
    OXPLOW_TRY(graph_.verify());
    graph_.remove_dead();
    return std::move(graph_);
  }

 private:
  Status check_opset() {
    const auto in_own_domain = [](const onnx::NodeProto& node) { return own_domain(node.domain).empty(); };
    const auto& nodes = proto_.graph.nodes;
    if (std::none_of(nodes.begin(), nodes.end(), in_own_domain)) opset_ = kNewestOpset;  // such a model may not say it
    for (const onnx::OperatorSet& set : proto_.opset_imports) {
      if (own_domain(set.domain).empty()) opset_ = set.version;
      if (set.domain == "ai.onnx.ml" && (set.version < 1 || set.version > kNewestMlOpset)) {
        return Error{ErrorCode::unsupported, "the model uses opset " + std::to_string(set.version) +
                                                 " of ai.onnx.ml; opsets 1 to " + std::to_string(kNewestMlOpset) +
                                                 " can be read"};
      }
    }
    if (opset_ < kOldestOpset || opset_ > kNewestOpset) {
      return Error{ErrorCode::unsupported, "the model uses opset " + std::to_string(opset_) + "; opsets " +
                                               std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset) +
                                               " can be read"};
    }
    return {};
  }

  Status refuse_unknown_ops() const {
    std::map<std::string, std::string> unknown;  // and the first node that uses it
    for (const onnx::NodeProto& node : proto_.graph.nodes) {
      const std::string_view domain = own_domain(node.domain);
      if (!onnx_op_known(domain, node.op_type)) unknown.try_emplace(full_name(domain, node.op_type), node.name);
    }
    if (unknown.empty()) return {};
    std::string list;
    for (const auto& [op, node] : unknown) list += (list.empty() ? "" : ", ") + in_quotes(op) + " (node " + in_quotes(node) + ")";
    return Error{ErrorCode::unsupported, "the model uses ops that are not supported: " + list};
  }

  Status define(std::string_view name, ValueId id) {
    if (name.empty()) return {};
    if (!values_.emplace(name, id).second)
      return Error{ErrorCode::invalid_model, "the value " + in_quotes(name) + " is written twice"};
    return {};
  }

  Status add_inputs() {
    for (const onnx::ValueInfoProto& input : proto_.graph.inputs) {
      if (values_.contains(input.name)) continue;  // an initializer with a declared type
      OXPLOW_ASSIGN(DeclaredTensor declared, declared_tensor(input, "input"));
      const ValueId id = graph_.add_value(declared.name);
      graph_.inputs.push_back(id);
      graph_.declared.push_back(std::move(declared));
      OXPLOW_TRY(define(input.name, id));
    }
    return {};
  }

  Status add_node(const onnx::NodeProto& node) {
    OnnxNode call{.op = node.op_type,
                  .domain = own_domain(node.domain),
                  .name = std::string(node.name),
                  .opset = opset_,
                  .inputs = {},
                  .outputs = static_cast<int>(node.outputs.size()),
                  .attributes = {}};
    if (call.name.empty() && !node.outputs.empty()) call.name = std::string(node.outputs[0]);
    for (std::string_view name : node.inputs) {
      if (name.empty()) {
        call.inputs.push_back(kNoValue);
        continue;
      }
      auto it = values_.find(name);
      if (it == values_.end())
        return Error{ErrorCode::invalid_model,
                     "reads " + in_quotes(name) + ", which nothing before it writes: the graph has a cycle or a dangling input"};
      call.inputs.push_back(it->second);
    }
    OXPLOW_ASSIGN(call.attributes, attributes_of(node, model_));
    OXPLOW_ASSIGN(auto results, import_onnx_node(graph_, call));
    if (results.size() < node.outputs.size())
      return Error{ErrorCode::unsupported, "its optional output " + in_quotes(node.outputs[results.size()])};
    for (size_t i = 0; i < node.outputs.size(); ++i) OXPLOW_TRY(define(node.outputs[i], results[i]));
    return {};
  }

  std::shared_ptr<const OnnxModel> model_;
  const onnx::ModelProto& proto_;
  Graph graph_;
  int64_t opset_ = 0;
  std::map<std::string_view, ValueId> values_;
};

}  // namespace

Result<Graph> import_onnx(std::shared_ptr<const OnnxModel> model) { return Importer(std::move(model)).run(); }

Result<Graph> import_onnx(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  auto model = read_onnx(path);
  if (!model.ok()) return model.error().message.find(name) == std::string::npos ? in_context(name, model.error()) : model.error();
  auto graph = import_onnx(std::make_shared<const OnnxModel>(model.take()));
  if (!graph.ok()) return in_context(name, graph.error());
  return graph;
}

}  // namespace oxplow
