#pragma once
// The ONNX file format (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), IR versions 3 to 14, as plain structs that point
// into the mapped file: names and tensor data are views, nothing is copied. What the bytes say is checked here (framing, wire
// types, sizes against extents, external files, budgets); what the graph means (SSA, op domains, attribute names) is the
// importer's matter. A malformed file gives ErrorCode::invalid_model and a message like
//   onnx: at byte 1234: graph.node[3].attribute[0].t.dims: negative extent -5

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "oxplow/base/dtype.h"
#include "oxplow/base/mapped_file.h"
#include "oxplow/base/result.h"
#include "oxplow/base/shape.h"

namespace oxplow {
namespace onnx {

// TensorProto.DataType. `string` and what has no DType of ours (complex, 8-, 6-, 4-bit floats, 2-bit integers) can be read,
// named and skipped, not computed with.
enum class ElementType : int32_t {
#define ONNX_ELEMENT(number, name, bits, dtype, field) name = number,
#include "oxplow/formats/onnx_elements.inc"
#undef ONNX_ELEMENT
};

// "FLOAT", "INT64", ... as ONNX spells them; "type 99" for a number ONNX does not know.
std::string name_of(ElementType type);
// Nothing for what has no DType of ours.
std::optional<DType> dtype_of(ElementType type);
// Bits of one element in raw data; 0 for STRING, UNDEFINED and numbers ONNX does not know.
int bits_of(ElementType type);

struct Entry {
  std::string_view key;
  std::string_view value;
};

// A tensor whose data are complete and fit its extents (checked when the file was read): exactly one of `raw`, `typed` elements
// or strings holds them. Read them by tensor_bytes() or tensor_strings().
struct TensorProto {
  std::string_view name;
  ElementType type = ElementType::UNDEFINED;
  Shape dims;                          // rank <= kMaxRank, no extent negative, the product fits int64
  std::span<const std::byte> raw;      // little-endian, in place (raw_data, external data, packed fixed-width data); no alignment
  std::span<const std::byte> message;  // the whole message, where typed data and strings are read from
  uint64_t offset = 0;                 // of `message` in the file
  bool external = false;
  bool in_place = false;  // the data are `raw` (which may be empty); otherwise they are typed in `message`

  int64_t elements() const { return elements_of(dims); }
  std::optional<DType> dtype() const { return dtype_of(type); }
};

struct SparseTensorProto {
  TensorProto values;
  TensorProto indices;
  Shape dims;
};

// One extent of a value's type: a number >= 0, a symbol ("batch"), or neither (any extent).
struct Dimension {
  std::optional<int64_t> value;
  std::string_view symbol;
};

struct TypeProto {
  enum class Kind : uint8_t { none, tensor, sparse_tensor, sequence, map, optional, opaque };
  Kind kind = Kind::none;
  ElementType element = ElementType::UNDEFINED;  // tensor and sparse_tensor: of the elements; map: of the keys
  bool has_shape = false;                        // false: of any rank
  std::vector<Dimension> shape;                  // at most kMaxRank
  std::vector<TypeProto> inner;                  // sequence, optional, map value: exactly one
};

struct ValueInfoProto {
  std::string_view name;
  TypeProto type;
};

struct GraphProto;

enum class AttributeType : int32_t {
  UNDEFINED = 0,
  FLOAT = 1,
  INT = 2,
  STRING = 3,
  TENSOR = 4,
  GRAPH = 5,
  FLOATS = 6,
  INTS = 7,
  STRINGS = 8,
  TENSORS = 9,
  GRAPHS = 10,
  SPARSE_TENSOR = 11,
  SPARSE_TENSORS = 12,
  TYPE_PROTO = 13,
  TYPE_PROTOS = 14,
};

const char* name_of(AttributeType type);

// `type` says which of the values below is meant; no other is set. A single tensor, graph, sparse tensor or type stands as the
// only element of its list. UNDEFINED is only seen with ref_attr_name (or in a FunctionProto's list of bare names).
struct AttributeProto {
  std::string_view name;
  std::string_view ref_attr_name;  // in a function body: take the caller's attribute of this name
  AttributeType type = AttributeType::UNDEFINED;
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  std::vector<TensorProto> tensors;
  std::vector<SparseTensorProto> sparse_tensors;
  std::vector<GraphProto> graphs;
  std::vector<TypeProto> types;
};

struct NodeProto {
  std::string_view name;
  std::string_view op_type;
  std::string_view domain;  // "" is ONNX's own, as is "ai.onnx"
  std::string_view overload;
  std::vector<std::string_view> inputs;  // "" is an input left out
  std::vector<std::string_view> outputs;
  std::vector<AttributeProto> attributes;
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<SparseTensorProto> sparse_initializers;
  std::vector<ValueInfoProto> inputs;
  std::vector<ValueInfoProto> outputs;
  std::vector<ValueInfoProto> value_info;
};

struct OperatorSet {
  std::string_view domain;
  int64_t version = 0;
};

struct FunctionProto {
  std::string_view name;
  std::string_view domain;
  std::string_view overload;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<std::string_view> attribute_names;  // without a default
  std::vector<AttributeProto> attributes;         // with their defaults
  std::vector<NodeProto> nodes;
  std::vector<OperatorSet> opset_imports;
  std::vector<ValueInfoProto> value_info;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string_view producer_name;
  std::string_view producer_version;
  std::string_view domain;
  int64_t model_version = 0;
  std::vector<OperatorSet> opset_imports;
  GraphProto graph;
  std::vector<FunctionProto> functions;
  std::vector<GraphProto> training_graphs;  // of training_info: checked as all others, then of no use to us
  std::vector<Entry> metadata;
};

}  // namespace onnx

// A model and the mapped files its views point into. Moves, never copies; every view lives as long as the OnnxModel (wherever it
// has been moved to). The files must not be cut short while they are mapped.
struct OnnxModel {
  onnx::ModelProto model;
  MappedFile file;
  std::vector<MappedFile> external;
};

// Reads a model file. External tensor data are mapped from files beside it: the location must stay inside the model's folder,
// without symbolic links, and be a regular file with one name. Errors: not_found, io (the file or its data cannot be opened),
// invalid_model, unsupported (a tensor of more than kMaxRank axes, segments).
Result<OnnxModel> read_onnx(const std::filesystem::path& path);

// Reads a model from memory that outlives the result. `folder` holds the external data; empty: external data are refused.
Result<OnnxModel> parse_onnx(std::span<const std::byte> bytes, const std::filesystem::path& folder = {});

// A model in two pieces of memory: its large tensors are external, in a file of this name.
inline constexpr std::string_view kWeightsLocation = "weights";
Result<OnnxModel> parse_split_onnx(std::span<const std::byte> bytes, std::span<const std::byte> weights);

namespace onnx {

// A tensor's elements, dense, row-major, little-endian; 4-bit types two to a byte, low half first; BOOL as bytes 0 and 1.
// `bytes` points into the file where it can (then without any alignment), else into `owned`. Moves, never copies.
struct TensorBytes {
  TensorBytes() = default;
  TensorBytes(TensorBytes&&) = default;
  TensorBytes& operator=(TensorBytes&&) = default;

  std::span<const std::byte> bytes;
  std::vector<std::byte> owned;
};

// Errors: unsupported for STRING (see tensor_strings). The sizes were checked when the file was read.
Result<TensorBytes> tensor_bytes(const TensorProto& tensor);

// The elements of a STRING tensor. Error: unsupported for any other type.
Result<std::vector<std::string_view>> tensor_strings(const TensorProto& tensor);

}  // namespace onnx
}  // namespace oxplow
