#include "oxplow/graph/import/onnx_builder.h"

#include "oxplow/formats/onnx.h"

namespace oxplow {

Results same(Builder& b) { return b.add(b.node.op, b.node.inputs, b.node.attributes, b.node.outputs); }

Result<Attributes> attributes_with_dtype(const Builder& b, std::string_view name) {
  Attributes attributes = b.node.attributes;
  if (attributes.has(name)) {
    const auto code = static_cast<onnx::ElementType>(attributes.integer(name, 0));
    const auto dtype = onnx::dtype_of(code);
    if (!dtype) return Error{ErrorCode::unsupported, "the attribute " + std::string(name) + " is " + onnx::name_of(code)};
    attributes.set(name, static_cast<int64_t>(*dtype));
  }
  return attributes;
}

Results axes_as_input(Builder& b) {
  if (b.node.inputs.empty()) return missing("the input");
  std::vector<ValueId> inputs = b.node.inputs;
  if (b.node.attributes.has("axes")) {
    inputs.resize(1);
    inputs.push_back(b.integers(b.node.attributes.integers("axes")));
  }
  return b.add(b.node.op, std::move(inputs), b.node.attributes);
}

}  // namespace oxplow
