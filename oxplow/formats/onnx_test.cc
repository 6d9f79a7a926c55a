#include "oxplow/formats/onnx.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>

#include "oxplow/formats/onnx_walk.h"
#include "oxplow/formats/protobuf_writer.h"

namespace oxplow {
namespace {

using onnx::AttributeType;
using onnx::ElementType;
using onnx::TypeProto;

std::string seed(const std::string& name) {
  std::ifstream file(OXPLOW_TESTS_DIR "/fuzz/onnx/" + name + ".onnx", std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

Result<OnnxModel> parse(std::string_view bytes) { return parse_onnx(std::as_bytes(std::span(bytes))); }

const onnx::TensorProto& named(const std::vector<onnx::TensorProto>& tensors, std::string_view name) {
  for (const auto& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return tensors.front();
}

TEST(Onnx, ReadsAGraph) {
  const std::string bytes = seed("convolution");
  const auto read = parse(bytes);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const onnx::ModelProto& model = read->model;
  EXPECT_EQ(model.ir_version, 9);
  EXPECT_EQ(model.producer_name, "oxplow");
  ASSERT_EQ(model.opset_imports.size(), 1u);
  EXPECT_EQ(model.opset_imports[0].version, 20);
  ASSERT_EQ(model.metadata.size(), 1u);
  EXPECT_EQ(model.metadata[0].value, "nobody");
  const onnx::GraphProto& graph = model.graph;
  ASSERT_EQ(graph.nodes.size(), 4u);
  const onnx::NodeProto& conv = graph.nodes[0];
  EXPECT_EQ(conv.op_type, "Conv");
  EXPECT_EQ(conv.name, "conv");
  EXPECT_EQ(conv.inputs, (std::vector<std::string_view>{"x", "w", "b"}));
  EXPECT_EQ(conv.outputs, (std::vector<std::string_view>{"c"}));
  ASSERT_EQ(conv.attributes.size(), 3u);
  EXPECT_EQ(conv.attributes[0].type, AttributeType::INTS);
  EXPECT_EQ(conv.attributes[0].ints, (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(graph.nodes[1].attributes[0].f, 1e-3f);
  ASSERT_EQ(graph.inputs.size(), 1u);
  const TypeProto& type = graph.inputs[0].type;
  EXPECT_EQ(type.kind, TypeProto::Kind::tensor);
  EXPECT_EQ(type.element, ElementType::FLOAT);
  ASSERT_EQ(type.shape.size(), 4u);
  EXPECT_EQ(type.shape[0].symbol, "batch");
  EXPECT_FALSE(type.shape[0].value);
  EXPECT_EQ(type.shape[1].value, 3);
  EXPECT_EQ(graph.value_info.size(), 1u);
  const onnx::TensorProto& weight = named(graph.initializers, "w");
  EXPECT_EQ(weight.dims, (Shape{4, 3, 3, 3}));
  EXPECT_EQ(weight.dtype(), DType::f32);
  const auto data = onnx::tensor_bytes(weight);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->bytes.size(), 4u * 108);
  EXPECT_TRUE(data->owned.empty()) << "raw data are not copied";
}

TEST(Onnx, ReadsSubgraphsAndFunctions) {
  const std::string control_flow = seed("control_flow");
  const auto read = parse(control_flow);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& nodes = read->model.graph.nodes;
  ASSERT_EQ(nodes.size(), 2u);
  ASSERT_EQ(nodes[0].attributes.size(), 2u);
  EXPECT_EQ(nodes[0].attributes[0].type, AttributeType::GRAPH);
  EXPECT_EQ(nodes[0].attributes[0].graphs.at(0).nodes.at(0).op_type, "Neg");
  EXPECT_EQ(nodes[1].inputs.at(1), "") << "an input left out";
  EXPECT_EQ(nodes[1].attributes[0].graphs.at(0).nodes.size(), 2u);

  const std::string functions = seed("functions");
  const auto with_function = parse(functions);
  ASSERT_TRUE(with_function.ok()) << with_function.error().message;
  const onnx::FunctionProto& function = with_function->model.functions.at(0);
  EXPECT_EQ(function.name, "Leak");
  EXPECT_EQ(function.domain, "local");
  EXPECT_EQ(function.attribute_names, (std::vector<std::string_view>{"slope"}));
  EXPECT_EQ(function.attributes.at(0).ints.size(), 2u);
  EXPECT_EQ(function.nodes.at(0).attributes.at(0).ref_attr_name, "slope");
}

TEST(Onnx, ReadsEveryKindOfAttributeAndType) {
  const std::string bytes = seed("types_and_attributes");
  const auto read = parse(bytes);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const onnx::GraphProto& graph = read->model.graph;
  std::map<std::string_view, const onnx::AttributeProto*> attributes;
  for (const auto& attribute : graph.nodes.at(0).attributes) attributes[attribute.name] = &attribute;
  EXPECT_EQ(attributes["f"]->f, 1.0f);
  EXPECT_EQ(attributes["i"]->i, -3);
  EXPECT_EQ(attributes["s"]->s, "text");
  EXPECT_EQ(attributes["floats"]->floats, (std::vector<float>{1, 2}));
  EXPECT_EQ(attributes["ints"]->ints, (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(attributes["strings"]->strings, (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(attributes["t"]->tensors.at(0).type, ElementType::INT64);
  EXPECT_EQ(attributes["ts"]->tensors.at(0).dims, (Shape{0}));
  EXPECT_EQ(attributes["sp"]->sparse_tensors.at(0).dims, (Shape{2, 3}));
  EXPECT_EQ(attributes["tp"]->types.at(0).shape.at(0).value, 1);
  EXPECT_EQ(attributes["empty"]->type, AttributeType::INTS);
  EXPECT_TRUE(attributes["empty"]->ints.empty());
  ASSERT_EQ(graph.inputs.size(), 3u);
  EXPECT_EQ(graph.inputs[0].type.kind, TypeProto::Kind::sequence);
  EXPECT_EQ(graph.inputs[0].type.inner.at(0).shape.size(), 2u);
  EXPECT_EQ(graph.inputs[1].type.kind, TypeProto::Kind::optional);
  EXPECT_FALSE(graph.inputs[1].type.inner.at(0).has_shape);
  EXPECT_EQ(graph.inputs[2].type.kind, TypeProto::Kind::map);
  EXPECT_EQ(graph.inputs[2].type.element, ElementType::STRING);
  EXPECT_EQ(graph.sparse_initializers.at(0).indices.dims, (Shape{2, 2}));
}

// The two elements of tensor t<type> in the seed, as T.
template <typename T>
void expect_elements(const onnx::GraphProto& graph, ElementType type, T first, T second) {
  const auto& tensor = named(graph.initializers, "t" + std::to_string(static_cast<int>(type)));
  const auto data = onnx::tensor_bytes(tensor);
  ASSERT_TRUE(data.ok()) << data.error().message;
  ASSERT_EQ(data->bytes.size(), 2 * sizeof(T)) << onnx::name_of(type);
  const T wanted[] = {first, second};
  EXPECT_EQ(std::memcmp(data->bytes.data(), wanted, sizeof(wanted)), 0) << onnx::name_of(type);
}

TEST(Onnx, ReadsTypedDataOfEveryType) {
  const std::string bytes = seed("typed_data");
  const auto read = parse(bytes);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const onnx::GraphProto& graph = read->model.graph;
  expect_elements<float>(graph, ElementType::FLOAT, 1.5f, -2.0f);
  expect_elements<uint8_t>(graph, ElementType::UINT8, 1, 255);
  expect_elements<int8_t>(graph, ElementType::INT8, -128, 127);
  expect_elements<uint16_t>(graph, ElementType::UINT16, 1, 65535);
  expect_elements<int16_t>(graph, ElementType::INT16, -5, 5);
  expect_elements<int32_t>(graph, ElementType::INT32, INT32_MIN, 7);
  expect_elements<int64_t>(graph, ElementType::INT64, -1, int64_t{1} << 62);
  expect_elements<uint8_t>(graph, ElementType::BOOL, 1, 0);
  expect_elements<uint16_t>(graph, ElementType::FLOAT16, 0x3c00, 0xbc00);
  expect_elements<double>(graph, ElementType::DOUBLE, 1.0, 2.0);
  expect_elements<uint32_t>(graph, ElementType::UINT32, 0, UINT32_MAX);
  expect_elements<uint64_t>(graph, ElementType::UINT64, 0, UINT64_MAX);
  expect_elements<uint16_t>(graph, ElementType::BFLOAT16, 0x3f80, 0x4040);
  const auto nibbles = onnx::tensor_bytes(named(graph.initializers, "t22"));
  ASSERT_TRUE(nibbles.ok());
  ASSERT_EQ(nibbles->bytes.size(), 1u);
  EXPECT_EQ(nibbles->bytes[0], std::byte{0x78});
  const auto& text = named(graph.initializers, "t8");
  EXPECT_EQ(onnx::tensor_bytes(text).error().code, ErrorCode::unsupported);
  EXPECT_EQ(*onnx::tensor_strings(text), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(onnx::tensor_strings(named(graph.initializers, "raw")).error().code, ErrorCode::unsupported);
}

// A model of one initializer.
ProtobufWriter model_of(const ProtobufWriter& tensor) {
  ProtobufWriter graph, model;
  graph.message(5, tensor);
  model.varint(1, 8).message(7, graph);
  return model;
}

TEST(Onnx, ReadsPackedUnpackedAndMixedRuns) {
  ProtobufWriter tensor;
  tensor.varint(1, 2)
      .packed_varints(1, {3})
      .varint(2, 7)
      .varint(7, 1)
      .packed_varints(7, {-2, 3})
      .varint(7, 4)
      .packed_varints(7, {5, 6});
  const ProtobufWriter model = model_of(tensor);
  const auto read = parse(model.str());
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& ints = read->model.graph.initializers.at(0);
  EXPECT_EQ(ints.dims, (Shape{2, 3}));
  const auto data = onnx::tensor_bytes(ints);
  ASSERT_EQ(data->bytes.size(), 48u);
  int64_t values[6];
  std::memcpy(values, data->bytes.data(), sizeof(values));
  EXPECT_EQ((std::vector<int64_t>(values, values + 6)), (std::vector<int64_t>{1, -2, 3, 4, 5, 6}));

  ProtobufWriter floats;
  floats.varint(1, 3).varint(2, 1).real(4, 1.0f).packed<float>(4, {2.0f, 3.0f});
  const ProtobufWriter float_model = model_of(floats);
  const auto float_read = parse(float_model.str());
  ASSERT_TRUE(float_read.ok()) << float_read.error().message;
  const auto float_data = onnx::tensor_bytes(float_read->model.graph.initializers.at(0));
  const float wanted[] = {1, 2, 3};
  ASSERT_EQ(float_data->bytes.size(), 12u);
  EXPECT_EQ(std::memcmp(float_data->bytes.data(), wanted, 12), 0);
}

TEST(Onnx, ReadsAttributeListsPackedAndNot) {
  ProtobufWriter attribute, node, graph, model;
  attribute.text(1, "a").varint(8, 1).packed_varints(8, {2, -3}).varint(20, 7);
  node.text(4, "Op").message(5, attribute);
  graph.message(1, node);
  model.varint(1, 8).message(7, graph);
  const auto read = parse(model.str());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->model.graph.nodes.at(0).attributes.at(0).ints, (std::vector<int64_t>{1, 2, -3}));
}

TEST(Onnx, BooleansAreZeroOrOne) {
  ProtobufWriter tensor;
  tensor.varint(1, 3).varint(2, 9).text(9, std::string_view("\0\5\1", 3));
  const ProtobufWriter model = model_of(tensor);
  const auto read = parse(model.str());
  ASSERT_TRUE(read.ok()) << read.error().message;
  auto data = onnx::tensor_bytes(read->model.graph.initializers.at(0));
  const onnx::TensorBytes moved = data.take();
  ASSERT_EQ(moved.bytes.size(), 3u);
  EXPECT_EQ(moved.bytes[1], std::byte{1});
}

TEST(Onnx, TakesAnUnknownExtentWrittenAsMinusOne) {
  ProtobufWriter dimension, shape, tensor_type, type, value, graph, model;
  dimension.varint(1, -1);
  shape.message(1, dimension);
  tensor_type.varint(1, 1).message(2, shape);
  type.message(1, tensor_type);
  value.text(1, "x").message(2, type);
  graph.message(11, value);
  model.varint(1, 8).message(7, graph);
  const auto read = parse(model.str());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_FALSE(read->model.graph.inputs.at(0).type.shape.at(0).value);
}

TEST(Onnx, NamesEveryElementType) {
  EXPECT_EQ(onnx::name_of(ElementType::FLOAT8E4M3FN), "FLOAT8E4M3FN");
  EXPECT_EQ(onnx::name_of(static_cast<ElementType>(99)), "type 99");
  EXPECT_EQ(onnx::dtype_of(ElementType::BFLOAT16), DType::bf16);
  EXPECT_EQ(onnx::dtype_of(ElementType::INT4), DType::i4);
  EXPECT_EQ(onnx::dtype_of(ElementType::FLOAT8E5M2), DType::f8e5m2);
  EXPECT_EQ(onnx::dtype_of(ElementType::FLOAT6E2M3), std::nullopt);
  EXPECT_EQ(onnx::dtype_of(static_cast<ElementType>(99)), std::nullopt);
  EXPECT_EQ(onnx::dtype_of(static_cast<ElementType>(-1)), std::nullopt);
  EXPECT_STREQ(onnx::name_of(AttributeType::TYPE_PROTOS), "TYPE_PROTOS");
  EXPECT_STREQ(onnx::name_of(static_cast<AttributeType>(15)), "unknown");
}

}  // namespace
}  // namespace oxplow
