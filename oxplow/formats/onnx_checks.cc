// What must hold for each message as a whole, checked at its end.

#include <charconv>

#include "oxplow/formats/onnx_parser.h"
#include "oxplow/formats/onnx_tensor.h"

namespace oxplow::onnx {
namespace {

constexpr int64_t kNewestIrVersion = 14;

// Which field of an AttributeProto holds the value of which type.
struct AttributeField {
  uint32_t number;
  AttributeType type;
  bool required;  // a number left out is 0 and a list left out is empty; a message cannot be left out
};
constexpr AttributeField kAttributeValues[] = {
    {2, AttributeType::FLOAT, false},         {3, AttributeType::INT, false},
    {4, AttributeType::STRING, false},        {5, AttributeType::TENSOR, true},
    {6, AttributeType::GRAPH, true},          {7, AttributeType::FLOATS, false},
    {8, AttributeType::INTS, false},          {9, AttributeType::STRINGS, false},
    {10, AttributeType::TENSORS, false},      {11, AttributeType::GRAPHS, false},
    {14, AttributeType::TYPE_PROTO, true},    {15, AttributeType::TYPE_PROTOS, false},
    {22, AttributeType::SPARSE_TENSOR, true}, {23, AttributeType::SPARSE_TENSORS, false},
};

std::optional<uint64_t> read_decimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > uint64_t{INT64_MAX}) return std::nullopt;
  return value;
}

}  // namespace

bool Parser::finish(const Frame& frame) {
  if (auto* model = std::get_if<ModelProto*>(&frame.target)) return finish(**model, frame);
  if (auto* attribute = std::get_if<AttributeProto*>(&frame.target)) return finish(**attribute, frame);
  if (auto* tensor = std::get_if<TensorProto*>(&frame.target)) return finish(**tensor, frame);
  if (auto* sparse = std::get_if<SparseTensorProto*>(&frame.target)) return finish(**sparse, frame);
  if (std::holds_alternative<ExternalEntry>(frame.target)) return finish_external_entry(frame);
  const FieldCounts& n = frame.counts;
  if (std::holds_alternative<TypeProto*>(frame.target)) {
    return n[1] + n[4] + n[5] + n[8] + n[9] <= 1 ? true : fail(frame.offset, "is of more than one kind");
  }
  const bool inner_missing = (std::holds_alternative<InnerType>(frame.target) && n[1] == 0) ||
                             (std::holds_alternative<MapType>(frame.target) && n[2] == 0);
  return inner_missing ? fail(frame.offset, "has no inner type") : true;
}

bool Parser::finish(ModelProto& m, const Frame& frame) {
  if (frame.counts[7] == 0) return fail(frame.offset, "this is not an ONNX model, or it has no graph");
  if (m.ir_version < 1) return fail(frame.offset, "ir_version is missing or below 1");
  if (m.ir_version > kNewestIrVersion) {
    return fail(
        frame.offset,
        "ir_version " + std::to_string(m.ir_version) + " is newer than the newest known, " + std::to_string(kNewestIrVersion),
        ErrorCode::unsupported);
  }
  return true;
}

bool Parser::finish(AttributeProto& a, const Frame& frame) {
  const AttributeField* held = nullptr;
  for (const AttributeField& value : kAttributeValues) {
    if (frame.counts[value.number] == 0) continue;
    if (held) {
      return fail(frame.offset, std::string("holds both ") + kAttributeFields[held->number].name + " and " +
                                    kAttributeFields[value.number].name);
    }
    held = &value;
  }
  if (a.type > AttributeType::TYPE_PROTOS) {
    return fail(frame.offset, "unknown attribute type " + std::to_string(static_cast<int32_t>(a.type)));
  }
  if (!a.ref_attr_name.empty()) {
    return held ? fail(frame.offset, std::string("holds both ref_attr_name and ") + kAttributeFields[held->number].name) : true;
  }
  if (a.type == AttributeType::UNDEFINED) {  // before IR version 2 the type was left out
    if (!held) return fail(frame.offset, "has neither a type nor a value");
    a.type = held->type;
    return true;
  }
  if (held && held->type != a.type) {
    return fail(frame.offset,
                std::string("is declared ") + name_of(a.type) + " but holds " + kAttributeFields[held->number].name);
  }
  for (const AttributeField& value : kAttributeValues) {
    if (!held && value.type == a.type && value.required) {
      return fail(frame.offset, std::string("is declared ") + name_of(a.type) + " but holds no value");
    }
  }
  return true;
}

bool Parser::finish(TensorProto& t, const Frame& frame) {
  if (bits_of(t.type) == 0 && t.type != ElementType::STRING) {
    return fail(frame.offset, "unknown data type " + std::to_string(static_cast<int32_t>(t.type)));
  }
  const auto elements = checked_elements(t.dims);
  if (!elements || !bytes_in_place(t.type, *elements)) {
    return fail(frame.offset, "extents " + to_string(t.dims) + " overflow");
  }
  const std::string wrong = settle_data(t, frame.counts);
  if (!wrong.empty()) return fail(frame.offset, wrong);
  return t.external ? find_external_data(t, frame.offset) : true;
}

bool Parser::find_external_data(TensorProto& t, uint64_t offset) {
  if (!external_.has_location) return fail(offset, "external data without a location");
  const auto content = files_.bytes(external_.location);
  if (!content) return fail(offset, content.error().message, content.error().code);
  const uint64_t wanted = *bytes_in_place(t.type, static_cast<uint64_t>(t.elements()));
  if (external_.length && *external_.length != wanted) {
    return fail(offset, "external data has length " + std::to_string(*external_.length) + ", " + name_of(t.type) +
                            " of extents " + to_string(t.dims) + " needs " + std::to_string(wanted));
  }
  ByteReader reader(*content);
  if (!reader.take(external_.offset)) return fail(offset, "external data begin beyond the end of their file");
  const auto taken = reader.take(wanted);
  if (!taken) return fail(offset, "external data run past the end of their file");
  t.raw = *taken;
  t.in_place = true;
  return true;
}

bool Parser::finish_external_entry(const Frame& frame) {
  const auto& [key, value] = external_.entry;
  if (key == "location") {
    if (external_.has_location) return fail(frame.offset, "location is given twice");
    external_.location = value;
    external_.has_location = true;
  } else if (key == "offset" || key == "length") {
    const auto number = read_decimal(value);
    if (!number) return fail(frame.offset, std::string(key) + " " + in_quotes(value) + " is not a count of bytes");
    if (key == "offset") {
      external_.offset = *number;
    } else {
      external_.length = number;
    }
  }
  return true;
}

bool Parser::finish(SparseTensorProto& t, const Frame& frame) {
  if (frame.counts[1] == 0 || frame.counts[2] == 0) return fail(frame.offset, "a sparse tensor needs values and indices");
  if (!checked_elements(t.dims)) return fail(frame.offset, "extents " + to_string(t.dims) + " overflow");
  if (t.values.dims.rank() != 1) return fail(frame.offset, "values must have one axis");
  const Shape& shape = t.indices.dims;
  const bool linear = shape.rank() == 1;
  const bool columns = shape.rank() == 2 && shape[1] == t.dims.rank() && t.dims.rank() > 0;
  if (t.indices.type != ElementType::INT64 || !(linear || columns) || shape[0] != t.values.dims[0]) {
    return fail(frame.offset, "indices must be INT64 of extents [values] or [values, axes]");
  }
  if (!indices_within(t.indices, t.dims)) return fail(frame.offset, "an index lies outside of the extents");
  return true;
}

}  // namespace oxplow::onnx
