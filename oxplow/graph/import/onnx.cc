#include "oxplow/graph/import/onnx.h"

#include <map>
#include <set>

#include "oxplow/formats/byte_reader.h"
#include "oxplow/graph/import/onnx_ops.h"
#include "oxplow/graph/import/onnx_tensors.h"

namespace oxplow {
namespace {

constexpr int64_t kOldestOpset = 6, kNewestOpset = 28, kNewestMlOpset = 5;
// Bodies in bodies and functions in functions go no deeper, and functions expand to no more nodes.
constexpr int kDeepest = 64;
constexpr size_t kMostNodes = size_t{1} << 18;

std::string_view domain_of(std::string_view domain) { return domain == "ai.onnx" ? std::string_view() : domain; }

// What the file declares of an input or output. `what` for errors: "input".
Result<DeclaredTensor> declared_tensor(const onnx::ValueInfoProto& info, const std::string& what) {
  using Kind = onnx::TypeProto::Kind;
  const Kind kind = info.type.kind;
  if (kind == Kind::sequence || kind == Kind::map || kind == Kind::optional)
    return DeclaredTensor{.name = std::string(info.name), .dims = std::nullopt, .any_type = true, .tensor = false};
  if (kind != Kind::tensor) return Error{ErrorCode::unsupported, what + " " + in_quotes(info.name) + " is not a tensor"};
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

using Opsets = std::map<std::string_view, int64_t>;  // by domain

Opsets opsets_of(const std::vector<onnx::OperatorSet>& imports) {
  Opsets opsets;
  for (const onnx::OperatorSet& set : imports) opsets[domain_of(set.domain)] = set.version;
  return opsets;
}

using NamedAttributes = std::vector<std::pair<std::string_view, const onnx::AttributeProto*>>;

// Names that nodes see: those of the model's graph, of a body, or of a function.
struct Scope {
  Graph& graph;  // into which its nodes go
  const Opsets& opsets;
  Scope* around = nullptr;                        // of a body: names that it lacks are captured from there
  const NamedAttributes* call = nullptr;          // of a function: the attributes that it was called with
  const onnx::FunctionProto* function = nullptr;  // which it is
  std::string prefix = {};                        // for the names of its nodes
  const Scope* caller = nullptr;                  // where its node stands, for functions and bodies
  int depth = 0;
  std::map<std::string_view, ValueId> values = {};
  std::vector<ValueId> captured = {};  // values around, beside the body's inputs behind the formal ones
};

class Importer {
 public:
  explicit Importer(std::shared_ptr<const OnnxModel> model)
      : model_(std::move(model)), proto_(model_->model), opsets_(opsets_of(proto_.opset_imports)) {
    for (const onnx::FunctionProto& function : proto_.functions)
      functions_[{domain_of(function.domain), function.name, function.overload}] = &function;
  }

  Result<Graph> run() {
    OXPLOW_TRY(check_ml_opset());
    OXPLOW_TRY(refuse_unknown_ops());
    Graph graph;
    Scope scope{.graph = graph, .opsets = opsets_};
    OXPLOW_TRY(add_initializers(scope, proto_.graph));
    OXPLOW_TRY(add_inputs(scope));
    for (const onnx::NodeProto& node : proto_.graph.nodes) OXPLOW_TRY(add_node(scope, node));
    for (const onnx::ValueInfoProto& output : proto_.graph.outputs) {
      OXPLOW_TRY(add_output(scope, output.name));
      graph[graph.outputs.back()].name = std::string(output.name);
      auto declared = declared_tensor(output, "output");
      if (!declared.ok()) declared = DeclaredTensor{.name = std::string(output.name), .dims = std::nullopt, .any_type = true};
      graph.declared_outputs.push_back(declared.take());
    }
    OXPLOW_TRY(graph.verify());
    graph.remove_dead();
    return graph;
  }

 private:
  const onnx::FunctionProto* function_of(const onnx::NodeProto& node) const {
    if (domain_of(node.domain).empty() && onnx_op_known("", node.op_type)) return nullptr;
    const auto it = functions_.find({domain_of(node.domain), node.op_type, node.overload});
    return it == functions_.end() ? nullptr : it->second;
  }

  // All ops that are not known, of the graph, bodies and functions, in one message.
  Status refuse_unknown_ops() const {
    std::map<std::string, std::string> unknown;  // and the first node that uses it
    std::set<const onnx::FunctionProto*> seen;
    std::vector<std::pair<const std::vector<onnx::NodeProto>*, const Opsets*>> left{{&proto_.graph.nodes, &opsets_}};
    std::list<Opsets> of_functions;
    while (!left.empty()) {
      const auto [nodes, opsets] = left.back();
      left.pop_back();
      for (const onnx::NodeProto& node : *nodes) {
        const onnx::FunctionProto* function = function_of(node);
        if (function && seen.insert(function).second)
          left.emplace_back(&function->nodes, &of_functions.emplace_back(opsets_of(function->opset_imports)));
        if (!function && !onnx_op_known(domain_of(node.domain), node.op_type))
          unknown.try_emplace(full_name(domain_of(node.domain), node.op_type), node.name);
        if (!function && domain_of(node.domain).empty()) OXPLOW_TRY(check_opset(*opsets));
        for (const onnx::AttributeProto& attribute : node.attributes) {
          for (const onnx::GraphProto& body : attribute.graphs) left.emplace_back(&body.nodes, opsets);
        }
      }
    }
    if (unknown.empty()) return {};
    std::string list;
    for (const auto& [op, node] : unknown) list += (list.empty() ? "" : ", ") + in_quotes(op) + " (node " + in_quotes(node) + ")";
    return Error{ErrorCode::unsupported, "the model uses ops that are not supported: " + list};
  }

  Status check_ml_opset() const {
    const auto it = opsets_.find("ai.onnx.ml");
    if (it == opsets_.end() || (it->second >= 1 && it->second <= kNewestMlOpset)) return {};
    return Error{ErrorCode::unsupported, "the model uses opset " + std::to_string(it->second) + " of ai.onnx.ml; opsets 1 to " +
                                             std::to_string(kNewestMlOpset) + " can be read"};
  }

  static Status check_opset(const Opsets& opsets) {
    const auto it = opsets.find("");
    const int64_t opset = it == opsets.end() ? 0 : it->second;
    if (opset >= kOldestOpset && opset <= kNewestOpset) return {};
    return Error{ErrorCode::unsupported, "the model uses opset " + std::to_string(opset) + "; opsets " +
                                             std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset) +
                                             " can be read"};
  }

  Status define(Scope& scope, std::string_view name, ValueId id) {
    if (name.empty()) return {};
    if (!scope.values.emplace(name, id).second)
      return Error{ErrorCode::invalid_model, "the value " + in_quotes(name) + " is written twice"};
    return {};
  }

  // Whether the name is that of a function's input which the caller has left out.
  static bool left_out(const Scope& scope, std::string_view name) {
    const auto it = scope.values.find(name);
    if (it != scope.values.end()) return it->second == kNoValue;
    return scope.around && left_out(*scope.around, name);
  }

  // The value of a name; kNoValue where nobody has written it. Bodies capture what stands around them, but for constants.
  ValueId find(Scope& scope, std::string_view name) {
    if (auto it = scope.values.find(name); it != scope.values.end()) return it->second;
    if (scope.around == nullptr) return kNoValue;
    const ValueId around = find(*scope.around, name);
    if (around == kNoValue) return kNoValue;
    const Tensor* constant = scope.around->graph.constant(around);
    const ValueId id =
        constant ? scope.graph.add_constant(*constant, std::string(name)) : scope.graph.add_value(std::string(name));
    if (constant == nullptr) {
      scope.graph.inputs.push_back(id);
      scope.captured.push_back(around);
    }
    scope.values.emplace(name, id);
    return id;
  }

  Result<ValueId> find_written(Scope& scope, std::string_view name) {
    const ValueId id = find(scope, name);
    if (id != kNoValue) return id;
    return Error{ErrorCode::invalid_model,
                 "reads " + in_quotes(name) + ", which nothing before it writes: the graph has a cycle or a dangling input"};
  }

  Status add_initializers(Scope& scope, const onnx::GraphProto& proto) {
    for (const onnx::TensorProto& tensor : proto.initializers) {
      OXPLOW_ASSIGN(Tensor value, tensor_of(tensor, model_));
      OXPLOW_TRY(define(scope, tensor.name, scope.graph.add_constant(std::move(value), std::string(tensor.name))));
    }
    for (const onnx::SparseTensorProto& tensor : proto.sparse_initializers) {
      OXPLOW_ASSIGN(Tensor value, tensor_of(tensor, model_));
      const std::string_view name = tensor.values.name;
      OXPLOW_TRY(define(scope, name, scope.graph.add_constant(std::move(value), std::string(name))));
    }
    return {};
  }

  Status add_inputs(Scope& scope) {
    for (const onnx::ValueInfoProto& input : proto_.graph.inputs) {
      if (scope.values.contains(input.name)) continue;  // an initializer with a declared type
      OXPLOW_ASSIGN(DeclaredTensor declared, declared_tensor(input, "input"));
      const ValueId id = scope.graph.add_value(declared.name);
      scope.graph.inputs.push_back(id);
      scope.graph.declared.push_back(std::move(declared));
      OXPLOW_TRY(define(scope, input.name, id));
    }
    return {};
  }

  Status add_output(Scope& scope, std::string_view name) {
    const ValueId id = find(scope, name);
    if (id == kNoValue) return Error{ErrorCode::invalid_model, "nothing writes the output " + in_quotes(name)};
    scope.graph.outputs.push_back(id);
    return {};
  }

  Status add_node(Scope& scope, const onnx::NodeProto& node) {
    if (!scope.prefix.empty() && ++nodes_ > kMostNodes)
      return Error{ErrorCode::unsupported, "the model's functions expand to more than " + std::to_string(kMostNodes) + " nodes"};
    Status status = function_of(node) ? call_function(scope, node, *function_of(node)) : add_op(scope, node);
    if (status.ok()) return status;
    return in_context("node " + in_quotes(node.name) + " (" + std::string(node.op_type) + ")", status.error());
  }

  // The node's attributes, those of the function's caller in the place of references to them.
  static NamedAttributes attributes_given(const Scope& scope, const onnx::NodeProto& node) {
    NamedAttributes given;
    for (const onnx::AttributeProto& attribute : node.attributes) {
      if (attribute.ref_attr_name.empty()) {
        given.emplace_back(attribute.name, &attribute);
        continue;
      }
      const Scope* function = &scope;
      while (function && !function->call) function = function->around;
      if (function == nullptr) continue;
      for (const auto& [name, value] : *function->call) {
        if (name == attribute.ref_attr_name) given.emplace_back(attribute.name, value);
      }
    }
    return given;
  }

  Status add_op(Scope& scope, const onnx::NodeProto& node) {
    OnnxNode call{.op = node.op_type,
                  .domain = domain_of(node.domain),
                  .name = std::string(node.name),
                  .opset = 0,
                  .inputs = {},
                  .outputs = static_cast<int>(node.outputs.size()),
                  .attributes = {}};
    if (const auto it = scope.opsets.find(domain_of(node.domain)); it != scope.opsets.end()) call.opset = it->second;
    if (call.name.empty() && !node.outputs.empty()) call.name = std::string(node.outputs[0]);
    call.name = scope.prefix + call.name;
    for (std::string_view name : node.inputs) {
      if (name.empty() || left_out(scope, name)) {
        call.inputs.push_back(kNoValue);
        continue;
      }
      OXPLOW_ASSIGN(const ValueId id, find_written(scope, name));
      call.inputs.push_back(id);
    }
    const size_t formal = call.inputs.size();
    for (const auto& [name, value] : attributes_given(scope, node)) OXPLOW_TRY(set_attribute(scope, call, name, *value));
    if (call.inputs.size() > formal) call.attributes.set("formal_inputs", static_cast<int64_t>(formal));
    OXPLOW_ASSIGN(auto results, import_onnx_node(scope.graph, call));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (i >= results.size()) return Error{ErrorCode::unsupported, "its optional output " + in_quotes(node.outputs[i])};
      OXPLOW_TRY(define(scope, node.outputs[i], results[i]));
    }
    return {};
  }

  Status set_attribute(Scope& scope, OnnxNode& call, std::string_view name, const onnx::AttributeProto& a) {
    switch (a.type) {
      case onnx::AttributeType::FLOAT: call.attributes.set(name, a.f); break;
      case onnx::AttributeType::INT: call.attributes.set(name, a.i); break;
      case onnx::AttributeType::STRING: call.attributes.set(name, std::string(a.s)); break;
      case onnx::AttributeType::FLOATS: call.attributes.set(name, a.floats); break;
      case onnx::AttributeType::INTS: call.attributes.set(name, a.ints); break;
      case onnx::AttributeType::STRINGS:
        call.attributes.set(name, std::vector<std::string>(a.strings.begin(), a.strings.end()));
        break;
      case onnx::AttributeType::TENSOR: {
        OXPLOW_ASSIGN(Tensor tensor, tensor_of(a.tensors.front(), model_));
        call.attributes.set(name, std::move(tensor));
        break;
      }
      case onnx::AttributeType::SPARSE_TENSOR: {
        OXPLOW_ASSIGN(Tensor tensor, tensor_of(a.sparse_tensors.front(), model_));
        call.attributes.set(name, std::move(tensor));
        break;
      }
      case onnx::AttributeType::GRAPH: return add_body(scope, call, name, a.graphs.front());
      case onnx::AttributeType::TYPE_PROTO: break;  // data know their types
      default: return Error{ErrorCode::unsupported, "attribute " + in_quotes(name) + " of type " + onnx::name_of(a.type)};
    }
    return {};
  }

  // A body and the values that it captures, which become inputs of the node (ops/control_flow.cc).
  Status add_body(Scope& around, OnnxNode& call, std::string_view name, const onnx::GraphProto& proto) {
    if (around.depth >= kDeepest)
      return Error{ErrorCode::unsupported, "bodies and functions nested more than " + std::to_string(kDeepest) + " deep"};
    auto body = std::make_shared<Graph>();
    Scope scope{.graph = *body,
                .opsets = around.opsets,
                .around = &around,
                .prefix = around.prefix,
                .caller = &around,
                .depth = around.depth + 1};
    for (const onnx::ValueInfoProto& input : proto.inputs) {
      const ValueId id = body->add_value(std::string(input.name));
      body->inputs.push_back(id);
      OXPLOW_TRY(define(scope, input.name, id));
    }
    OXPLOW_TRY(add_initializers(scope, proto));
    for (const onnx::NodeProto& node : proto.nodes) OXPLOW_TRY(add_node(scope, node));
    const std::string prefix(name);
    for (size_t i = 0; i < proto.outputs.size(); ++i) {
      OXPLOW_TRY(add_output(scope, proto.outputs[i].name));
      auto declared = declared_tensor(proto.outputs[i], "output");
      if (!declared.ok() || !declared->tensor || !declared->dims) continue;
      std::vector<int64_t> type{static_cast<int64_t>(declared->dtype)};
      for (const DeclaredDim& dim : *declared->dims) type.push_back(std::max<int64_t>(dim.value, 0));
      call.attributes.set(prefix + "_output_" + std::to_string(i), std::move(type));
    }
    OXPLOW_TRY(body->verify());
    body->remove_dead();
    std::vector<int64_t> captures;
    for (ValueId id : scope.captured) {
      captures.push_back(static_cast<int64_t>(call.inputs.size()));
      call.inputs.push_back(id);
    }
    call.attributes.set(prefix + "_captures", std::move(captures));
    call.attributes.set(prefix + "_inputs", static_cast<int64_t>(proto.inputs.size()));
    call.attributes.set(name, std::shared_ptr<const Graph>(std::move(body)));
    return {};
  }

  // The function's nodes in the place of the call.
  Status call_function(Scope& caller, const onnx::NodeProto& node, const onnx::FunctionProto& function) {
    for (const Scope* scope = &caller; scope; scope = scope->caller) {
      if (scope->function == &function)
        return Error{ErrorCode::invalid_model, "the function " + in_quotes(function.name) + " calls itself"};
    }
    if (caller.depth >= kDeepest)
      return Error{ErrorCode::unsupported, "bodies and functions nested more than " + std::to_string(kDeepest) + " deep"};
    NamedAttributes attributes = attributes_given(caller, node);
    const size_t given = attributes.size();
    for (const onnx::AttributeProto& standard : function.attributes) {
      const auto named = [&](const auto& attribute) { return attribute.first == standard.name; };
      if (std::none_of(attributes.begin(), attributes.begin() + static_cast<std::ptrdiff_t>(given), named))
        attributes.emplace_back(standard.name, &standard);
    }
    const Opsets opsets = opsets_of(function.opset_imports);
    Scope scope{.graph = caller.graph,
                .opsets = opsets,
                .call = &attributes,
                .function = &function,
                .prefix = caller.prefix + std::string(node.name.empty() ? function.name : node.name) + "/",
                .caller = &caller,
                .depth = caller.depth + 1};
    if (node.inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size())
      return Error{ErrorCode::invalid_model, "the function takes or gives fewer values than the call names"};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i].empty() || left_out(caller, node.inputs[i])) continue;
      OXPLOW_ASSIGN(const ValueId id, find_written(caller, node.inputs[i]));
      OXPLOW_TRY(define(scope, function.inputs[i], id));
    }
    for (std::string_view name : function.inputs) scope.values.try_emplace(name, kNoValue);  // left out by the caller
    for (const onnx::NodeProto& inner : function.nodes) OXPLOW_TRY(add_node(scope, inner));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      OXPLOW_ASSIGN(const ValueId id, find_written(scope, function.outputs[i]));
      OXPLOW_TRY(define(caller, node.outputs[i], id));
    }
    return {};
  }

  std::shared_ptr<const OnnxModel> model_;
  const onnx::ModelProto& proto_;
  const Opsets opsets_;
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, const onnx::FunctionProto*> functions_;
  size_t nodes_ = 0;  // that functions have expanded to
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
