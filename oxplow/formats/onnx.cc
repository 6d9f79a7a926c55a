#include "oxplow/formats/onnx.h"

#include "oxplow/formats/byte_reader.h"
#include "oxplow/formats/onnx_parser.h"

namespace oxplow {
namespace onnx {

std::string name_of(ElementType type) {
  switch (static_cast<int32_t>(type)) {
#define ONNX_ELEMENT(number, name, bits, dtype, field) \
  case number: return #name;
#include "oxplow/formats/onnx_elements.inc"
#undef ONNX_ELEMENT
    default: return "type " + std::to_string(static_cast<int32_t>(type));
  }
}

std::optional<DType> dtype_of(ElementType type) {
  constexpr std::string_view kNames[] = {
#define ONNX_ELEMENT(number, name, bits, dtype, field) #dtype,
#include "oxplow/formats/onnx_elements.inc"
#undef ONNX_ELEMENT
  };
  const auto number = static_cast<int32_t>(type);
  if (number < 0 || std::cmp_greater_equal(number, std::size(kNames))) return std::nullopt;
  return dtype_named(kNames[number]);
}

int bits_of(ElementType type) {
  switch (static_cast<int32_t>(type)) {
#define ONNX_ELEMENT(number, name, bits, dtype, field) \
  case number: return bits;
#include "oxplow/formats/onnx_elements.inc"
#undef ONNX_ELEMENT
    default: return 0;
  }
}

const char* name_of(AttributeType type) {
  constexpr const char* kNames[] = {"UNDEFINED",      "FLOAT",      "INT",        "STRING",  "TENSOR", "GRAPH",
                                    "FLOATS",         "INTS",       "STRINGS",    "TENSORS", "GRAPHS", "SPARSE_TENSOR",
                                    "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"};
  const auto number = static_cast<int32_t>(type);
  return number < 0 || std::cmp_greater_equal(number, std::size(kNames)) ? "unknown" : kNames[number];
}

}  // namespace onnx

Result<OnnxModel> parse_onnx(std::span<const std::byte> bytes, const std::filesystem::path& folder) {
  Budget budget = Budget::for_file(bytes.size());
  onnx::ExternalFiles files(folder);
  OnnxModel result;
  OXPLOW_ASSIGN(result.model, onnx::Parser(budget, files).parse(bytes));
  result.external = files.take();
  return result;
}

Result<OnnxModel> read_onnx(const std::filesystem::path& path) {
  OXPLOW_ASSIGN(MappedFile file, MappedFile::open(path));
  const std::filesystem::path folder = path.parent_path();
  OXPLOW_ASSIGN(OnnxModel result, parse_onnx(file.bytes(), folder.empty() ? std::filesystem::path(".") : folder));
  result.file = std::move(file);
  return result;
}

}  // namespace oxplow
