#include "oxplow/formats/onnx_split.h"

#include "oxplow/base/memory.h"
#include "oxplow/formats/protobuf.h"
#include "oxplow/formats/protobuf_writer.h"

namespace oxplow {
namespace {

// Field numbers of onnx.proto.
constexpr uint32_t kModelGraph = 7, kGraphInitializer = 5;
constexpr uint32_t kTensorDims = 1, kTensorType = 2, kTensorName = 8, kTensorExternal = 13, kTensorLocation = 14;
constexpr uint32_t kEntryKey = 1, kEntryValue = 2;
constexpr int64_t kExternal = 1;  // TensorProto.DataLocation

constexpr size_t kLarge = 1024;  // bytes from which a tensor is worth a place of its own

// The field as it stands in the file.
void copy(const WireField& field, ProtobufWriter& out) {
  switch (field.type) {
    case WireType::varint: out.varint(field.number, static_cast<int64_t>(field.scalar)); break;
    case WireType::bytes: out.text(field.number, text_of(field.bytes)); break;
    case WireType::fixed32:
    case WireType::fixed64:
      out.tag(field.number, static_cast<uint32_t>(field.type));
      out.raw({reinterpret_cast<const char*>(&field.scalar), field.type == WireType::fixed32 ? size_t{4} : size_t{8}});
      break;
  }
}

ProtobufWriter entry(std::string_view key, std::string_view value) {
  ProtobufWriter result;
  result.text(kEntryKey, key).text(kEntryValue, value);
  return result;
}

// A tensor whose elements stand at `offset` of the weights.
ProtobufWriter external_tensor(const onnx::TensorProto& tensor, size_t offset) {
  ProtobufWriter result;
  for (int64_t extent : tensor.dims) result.varint(kTensorDims, extent);
  result.varint(kTensorType, static_cast<int64_t>(tensor.type)).text(kTensorName, tensor.name);
  result.message(kTensorExternal, entry("location", kWeightsLocation))
      .message(kTensorExternal, entry("offset", std::to_string(offset)))
      .message(kTensorExternal, entry("length", std::to_string(tensor.raw.size())))
      .varint(kTensorLocation, kExternal);
  return result;
}

}  // namespace

Result<SplitOnnx> split_onnx(const OnnxModel& model, std::span<const std::byte> bytes) {
  SplitOnnx result;
  auto initializer = model.model.graph.initializers.begin();
  const auto split_graph = [&](std::span<const std::byte> graph) {
    ProtobufWriter out;
    WireReader fields(graph);
    for (WireField field; fields.next(field);) {
      if (field.number != kGraphInitializer) {
        copy(field, out);
        continue;
      }
      const onnx::TensorProto& tensor = *initializer++;
      if (!tensor.in_place || (tensor.raw.size() < kLarge && !tensor.external)) {
        copy(field, out);
        continue;
      }
      const size_t offset = round_up(result.weights.size(), kCacheLine);
      result.weights.resize(offset);
      result.weights.insert(result.weights.end(), tensor.raw.begin(), tensor.raw.end());
      out.message(kGraphInitializer, external_tensor(tensor, offset));
    }
    return out;
  };
  ProtobufWriter out;
  WireReader fields(bytes);
  for (WireField field; fields.next(field);) {
    if (field.number == kModelGraph) {
      out.message(kModelGraph, split_graph(field.bytes));
    } else {
      copy(field, out);
    }
  }
  result.model = out.str();
  // Whatever still points to a file is found by reading it as it will be read.
  if (auto again = parse_split_onnx(std::as_bytes(std::span(result.model)), result.weights); !again.ok())
    return in_context("tensors inside of nodes cannot have their data in files beside the model", again.error());
  return result;
}

}  // namespace oxplow
