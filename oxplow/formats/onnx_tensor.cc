#include "oxplow/formats/onnx_tensor.h"

#include <algorithm>
#include <cstring>

#include "oxplow/formats/byte_reader.h"
#include "oxplow/formats/protobuf.h"

namespace oxplow::onnx {
namespace {

// Field numbers of TensorProto.
enum : uint32_t {
  no_data = 0,
  float_data = 4,
  int32_data = 5,
  string_data = 6,
  int64_data = 7,
  raw_data = 9,
  double_data = 10,
  uint64_data = 11,
};

constexpr uint32_t typed_field_of(ElementType type) {
  switch (static_cast<int32_t>(type)) {
#define ONNX_ELEMENT(number, name, bits, dtype, field) \
  case number: return field;
#include "oxplow/formats/onnx_elements.inc"
#undef ONNX_ELEMENT
    default: return no_data;
  }
}

constexpr bool is_complex(ElementType type) { return type == ElementType::COMPLEX64 || type == ElementType::COMPLEX128; }

// How many entries of its typed field hold `elements` elements. Types below 6 bits share an entry's low byte.
uint64_t typed_entries(ElementType type, uint64_t elements) {
  if (is_complex(type)) return 2 * elements;
  switch (bits_of(type)) {
    case 2: return elements / 4 + (elements % 4 != 0);
    case 4: return elements / 2 + elements % 2;
    default: return elements;
  }
}

struct Range {
  int64_t least;
  int64_t most;
};

// What one entry of int32_data may be. Bit patterns (small floats, packed integers) are written signed or unsigned by one
// exporter or another; integers mean what they say.
constexpr Range range_of(ElementType type) {
  switch (type) {
    case ElementType::INT8: return {INT8_MIN, INT8_MAX};
    case ElementType::UINT8: return {0, UINT8_MAX};
    case ElementType::INT16: return {INT16_MIN, INT16_MAX};
    case ElementType::UINT16: return {0, UINT16_MAX};
    case ElementType::INT32: return {INT32_MIN, INT32_MAX};
    case ElementType::FLOAT16:
    case ElementType::BFLOAT16: return {INT16_MIN, UINT16_MAX};
    default: return {INT8_MIN, UINT8_MAX};
  }
}

bool fits(ElementType type, uint32_t field, uint64_t entry) {
  if (field == int32_data) {
    const Range range = range_of(type);
    const auto value = static_cast<int64_t>(entry);
    return value >= range.least && value <= range.most;
  }
  return type != ElementType::UINT32 || entry <= UINT32_MAX;
}

// Calls visit(bits) for every entry of a numeric typed field, packed or not. False when visit returned false or the bytes are
// malformed.
template <typename Visit>
bool for_each_entry(const TensorProto& tensor, uint32_t field, Visit&& visit) {
  WireReader message(tensor.message);
  WireField found;
  while (message.next(found)) {
    if (found.number != field) continue;
    if (found.type != WireType::bytes) {
      if (!visit(found.scalar)) return false;
      continue;
    }
    ByteReader packed(found.bytes);
    while (!packed.at_end()) {
      std::optional<uint64_t> entry;
      if (field == float_data) {
        entry = packed.little<uint32_t>();
      } else if (field == double_data) {
        entry = packed.little<uint64_t>();
      } else {
        entry = read_varint(packed);
      }
      if (!entry || !visit(*entry)) return false;
    }
  }
  return !message.failure();
}

// The content of a typed field that is one packed run of fixed-width numbers: these are raw bytes already.
bool find_packed_run(TensorProto& tensor, uint32_t field, uint64_t bytes) {
  if ((field != float_data && field != double_data) || std::endian::native != std::endian::little) return false;
  WireReader message(tensor.message);
  WireField found;
  while (message.next(found)) {
    if (found.number != field || found.type != WireType::bytes || found.bytes.empty()) continue;
    if (found.bytes.size() != bytes) return false;
    tensor.raw = found.bytes;
    return true;
  }
  return false;
}

const char* field_name(uint32_t field) { return kTensorFields[field].name; }

std::string settle_typed(TensorProto& tensor, uint32_t field, uint64_t count) {
  if (field != typed_field_of(tensor.type)) {
    return std::string(field_name(field)) + " in a tensor of " + name_of(tensor.type) + " elements";
  }
  const uint64_t wanted = typed_entries(tensor.type, static_cast<uint64_t>(tensor.elements()));
  if (count != wanted) {
    return std::string(field_name(field)) + " has " + std::to_string(count) + " entries, extents " + to_string(tensor.dims) +
           " need " + std::to_string(wanted);
  }
  if (field == string_data) return "";
  const auto bytes = bytes_in_place(tensor.type, static_cast<uint64_t>(tensor.elements()));
  if (bytes && find_packed_run(tensor, field, *bytes)) {
    tensor.in_place = true;
    return "";
  }
  const bool sound = for_each_entry(tensor, field, [&](uint64_t entry) { return fits(tensor.type, field, entry); });
  return sound ? "" : std::string(field_name(field)) + " has an entry that is malformed or out of its type's range";
}

void append_little(std::vector<std::byte>& out, uint64_t bits, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(bits >> (8 * i)));
}

}  // namespace

std::optional<uint64_t> bytes_in_place(ElementType type, uint64_t elements) {
  const auto bits = checked_multiply(elements, static_cast<uint64_t>(bits_of(type)));
  if (!bits || *bits > UINT64_MAX - 7) return std::nullopt;
  return (*bits + 7) / 8;
}

std::string settle_data(TensorProto& tensor, const FieldCounts& counts) {
  uint32_t used = no_data;
  for (uint32_t field : {float_data, int32_data, string_data, int64_data, double_data, uint64_data, raw_data}) {
    if (counts[field] == 0) continue;
    if (used != no_data) return std::string("both ") + field_name(used) + " and " + field_name(field);
    used = field;
  }
  if (tensor.external) {
    if (used != no_data) return std::string("both external_data and ") + field_name(used);
    if (tensor.type == ElementType::STRING) return "external_data in a tensor of strings";
    return "";
  }
  if (used == no_data) used = tensor.type == ElementType::STRING ? uint32_t{string_data} : uint32_t{raw_data};
  if (used != raw_data) return settle_typed(tensor, used, counts[used]);
  if (tensor.type == ElementType::STRING) return "raw_data in a tensor of strings";
  const auto bytes = bytes_in_place(tensor.type, static_cast<uint64_t>(tensor.elements()));
  if (!bytes || *bytes != tensor.raw.size()) {
    return "raw_data has " + std::to_string(tensor.raw.size()) + " bytes, " + name_of(tensor.type) + " of extents " +
           to_string(tensor.dims) + (bytes ? " needs " + std::to_string(*bytes) : " overflows");
  }
  tensor.in_place = true;
  return "";
}

bool indices_within(const TensorProto& indices, const Shape& dims) {
  const bool linear = indices.dims.rank() == 1;
  const int columns = linear ? 1 : dims.rank();
  const int64_t elements = elements_of(dims);
  int column = 0;
  const auto within = [&](uint64_t entry) {
    const int64_t limit = linear ? elements : dims[column];
    column = column + 1 == columns ? 0 : column + 1;
    return entry < static_cast<uint64_t>(limit);
  };
  if (!indices.in_place) return for_each_entry(indices, int64_data, within);
  ByteReader reader(indices.raw);
  while (!reader.at_end()) {
    const auto entry = reader.little<uint64_t>();
    if (!entry || !within(*entry)) return false;
  }
  return true;
}

Result<TensorBytes> tensor_bytes(const TensorProto& tensor) {
  const int bits = bits_of(tensor.type);
  if (bits == 0 || (bits == 6 && !tensor.in_place)) {
    return Error{ErrorCode::unsupported, "tensor " + in_quotes(tensor.name) + " of " + name_of(tensor.type) + " elements"};
  }
  TensorBytes result;
  if (tensor.in_place) {
    result.bytes = tensor.raw;
    const auto odd = [](std::byte b) { return b > std::byte{1}; };
    if (tensor.type == ElementType::BOOL && std::any_of(tensor.raw.begin(), tensor.raw.end(), odd)) {
      result.owned.resize(tensor.raw.size());
      std::transform(tensor.raw.begin(), tensor.raw.end(), result.owned.begin(),
                     [](std::byte b) { return b == std::byte{0} ? std::byte{0} : std::byte{1}; });
      result.bytes = result.owned;
    }
    return result;
  }
  const int parts = is_complex(tensor.type) ? 2 : 1;
  const int width = std::max(1, bits / 8 / parts);
  const uint32_t field = typed_field_of(tensor.type);
  result.owned.reserve(static_cast<size_t>(typed_entries(tensor.type, static_cast<uint64_t>(tensor.elements()))) *
                       static_cast<size_t>(width));
  const bool sound = for_each_entry(tensor, field, [&](uint64_t entry) {
    if (tensor.type == ElementType::BOOL) entry = entry != 0;
    append_little(result.owned, entry, width);
    return true;
  });
  if (!sound) return Error{ErrorCode::invalid_model, "tensor " + in_quotes(tensor.name) + ": the file changed while it was read"};
  result.bytes = result.owned;
  return result;
}

Result<std::vector<std::string_view>> tensor_strings(const TensorProto& tensor) {
  if (tensor.type != ElementType::STRING) {
    return Error{ErrorCode::unsupported,
                 "tensor " + in_quotes(tensor.name) + " of " + name_of(tensor.type) + " elements as strings"};
  }
  std::vector<std::string_view> strings;
  strings.reserve(static_cast<size_t>(tensor.elements()));
  WireReader message(tensor.message);
  WireField found;
  while (message.next(found)) {
    if (found.number == string_data) strings.push_back(text_of(found.bytes));
  }
  return strings;
}

}  // namespace oxplow::onnx
