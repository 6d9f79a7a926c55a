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

namespace {

// What a file that is no ONNX model, as `message` says, seems to be instead; "" when it cannot be told.
const char* seems_to_be(std::string_view text, std::string_view message) {
  constexpr struct {
    std::string_view start;
    const char* hint;
  } kStarts[] = {
      {"version https://git-lfs", "; it is a Git LFS pointer: fetch the file itself with `git lfs pull`"},
      {"PK\x03\x04", "; it is a zip archive (PyTorch .pt, .pt2 or Keras?)"},
      {"GGUF", "; it is a GGUF file"},
      {"{", "; it is JSON"},
      {"<", "; it is HTML or XML, perhaps a failed download"},
  };
  for (const auto& [start, hint] : kStarts) {
    if (text.starts_with(start)) return hint;
  }
  return message.ends_with("past the end") ? "; the file is cut short or damaged: get it again" : "";
}

}  // namespace
}  // namespace onnx

namespace {

Result<OnnxModel> parse(std::span<const std::byte> bytes, onnx::ExternalFiles files) {
  Budget budget = Budget::for_file(bytes.size());
  OnnxModel result;
  auto model = onnx::Parser(budget, files).parse(bytes);
  if (!model.ok())
    return Error{model.error().code, model.error().message + onnx::seems_to_be(text_of(bytes), model.error().message)};
  result.model = model.take();
  result.external = files.take();
  return result;
}

}  // namespace

Result<OnnxModel> parse_onnx(std::span<const std::byte> bytes, const std::filesystem::path& folder) {
  return parse(bytes, onnx::ExternalFiles(folder));
}

Result<OnnxModel> parse_split_onnx(std::span<const std::byte> bytes, std::span<const std::byte> weights) {
  return parse(bytes, onnx::ExternalFiles(weights));
}

Result<OnnxModel> read_onnx(const std::filesystem::path& path) {
  OXPLOW_ASSIGN(MappedFile file, MappedFile::open(path));
  const std::filesystem::path folder = path.parent_path();
  OXPLOW_ASSIGN(OnnxModel result, parse_onnx(file.bytes(), folder.empty() ? std::filesystem::path(".") : folder));
  result.file = std::move(file);
  return result;
}

}  // namespace oxplow
