#include "oxplow/formats/npy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

#include "oxplow/base/elements.h"
#include "oxplow/formats/byte_reader.h"

namespace oxplow {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 64 << 10;

// NumPy's name of an element type, without its byte order.
struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr TypeName kTypeNames[] = {
    {"b1", DType::boolean}, {"i1", DType::i8},  {"i2", DType::i16}, {"i4", DType::i32}, {"i8", DType::i64}, {"u1", DType::u8},
    {"u2", DType::u16},     {"u4", DType::u32}, {"u8", DType::u64}, {"f2", DType::f16}, {"f4", DType::f32}, {"f8", DType::f64},
};

Error npy_error(uint64_t offset, const std::string& what, ErrorCode code = ErrorCode::invalid_argument) {
  return {code, "npy: at byte " + std::to_string(offset) + ": " + what};
}

Result<DType> dtype_of_descr(std::string_view descr, uint64_t offset) {
  const char order = descr.empty() ? '\0' : descr.front();
  for (const auto& [name, dtype] : kTypeNames) {
    if (descr.substr(std::min<size_t>(1, descr.size())) != name) continue;
    if (order == '<' || order == '=' || (order == '|' && bits_of(dtype) == 8)) return dtype;
  }
  return npy_error(offset,
                   "element type " + in_quotes(descr) + " is not supported; convert it to little-endian numbers of 1 to 8 bytes",
                   ErrorCode::unsupported);
}

// The header's dictionary: a Python literal of exactly descr, fortran_order and shape.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, uint64_t origin) : text_(text), origin_(origin) {}

  Status read(NpyArray& array, bool& fortran_order) {
    bool seen[3] = {};
    if (!accept('{')) return expected("{");
    while (!accept('}')) {
      OXPLOW_ASSIGN(const std::string_view key, quoted_text());
      if (!accept(':')) return expected(":");
      const int which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (which < 0 || seen[which]) return expected("descr, fortran_order and shape, once each");
      seen[which] = true;
      if (which == 0) OXPLOW_TRY(read_descr(array.dtype));
      if (which == 1) OXPLOW_TRY(read_flag(fortran_order));
      if (which == 2) OXPLOW_TRY(read_shape(array.shape));
      if (!accept(',') && peek() != '}') return expected("}");
    }
    if (!(seen[0] && seen[1] && seen[2])) return expected("descr, fortran_order and shape");
    skip_space();
    return at_ == text_.size() ? Status() : expected("nothing after the header's }");
  }

 private:
  Error expected(const char* what) const {
    return npy_error(origin_ + at_, std::string("the header is damaged: expected ") + what);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  Result<std::string_view> quoted_text() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return expected("a quoted name");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == text_.npos) return expected("a closing quote");
    const std::string_view text = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return text;
  }
  Status read_descr(DType& dtype) {
    const uint64_t offset = origin_ + at_;
    if (peek() == '[' || peek() == '(') return npy_error(offset, "structured arrays are not supported", ErrorCode::unsupported);
    OXPLOW_ASSIGN(const std::string_view descr, quoted_text());
    OXPLOW_ASSIGN(dtype, dtype_of_descr(descr, offset));
    return {};
  }
  Status read_flag(bool& flag) {
    flag = accept_word("True");
    return flag || accept_word("False") ? Status() : expected("True or False");
  }
  Status read_shape(Shape& shape) {
    if (!accept('(')) return expected("(");
    while (!accept(')')) {
      skip_space();
      int64_t extent = -1;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0) return expected("an extent");
      at_ = static_cast<size_t>(end - text_.data());
      accept('L');  // Python 2's long
      if (shape.rank() == kMaxRank) {
        return npy_error(origin_ + at_, "more than " + std::to_string(kMaxRank) + " axes are not supported",
                         ErrorCode::unsupported);
      }
      shape.push_back(extent);
      if (!accept(',') && peek() != ')') return expected(")");
    }
    return {};
  }

  std::string_view text_;
  uint64_t origin_;
  size_t at_ = 0;
};

// Reads magic, version and header; leaves the reader at the data.
Result<std::span<const std::byte>> take_header(ByteReader& reader) {
  const auto magic = reader.take(kMagic.size());
  if (!magic || text_of(*magic) != kMagic) return npy_error(0, "this is not an .npy file");
  const auto major = reader.take_byte();
  const auto minor = reader.take_byte();
  if (!major || !minor || *major < 1 || *major > 3 || *minor != 0) return npy_error(6, "unknown version", ErrorCode::unsupported);
  std::optional<uint32_t> size;
  if (*major == 1) {
    size = reader.little<uint16_t>();
  } else {
    size = reader.little<uint32_t>();
  }
  if (!size || *size > kMaxHeader) return npy_error(8, "the header's length is damaged");
  const auto header = reader.take(*size);
  if (!header) return npy_error(reader.offset(), "the header is cut short");
  return *header;
}

// Copies a column-major array into row-major order: the last axis is the slowest in `from`. Walks an odometer over row-major
// positions; `at` follows in `from`.
void copy_fortran(const Shape& shape, size_t element, const std::byte* from, std::byte* to) {
  Dims strides = Dims::filled(shape.rank(), 1);
  for (int i = 1; i < shape.rank(); ++i) strides[i] = strides[i - 1] * shape[i - 1];
  Dims index = Dims::filled(shape.rank(), 0);
  int64_t at = 0;
  for (int64_t n = elements_of(shape); n > 0; --n, to += element) {
    std::memcpy(to, from + static_cast<size_t>(at) * element, element);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

// What NumPy has no type for, in the smallest type that holds its values: f32 for floats, 8 bits for integers.
DType stored_as(DType dtype) {
  if (dtype == DType::bf16 || is_small_float(dtype)) return DType::f32;
  return bits_of(dtype) >= 8 ? dtype : is_unsigned(dtype) ? DType::u8 : DType::i8;
}

std::vector<std::byte> converted_elements(std::span<const std::byte> bytes, DType from, DType to, size_t count) {
  constexpr size_t kBlock = 256;
  double block[kBlock];
  std::vector<std::byte> out(bytes_of(to, count));
  for (size_t i = 0; i < count; i += kBlock) {
    const auto n = static_cast<int64_t>(std::min(kBlock, count - i)), first = static_cast<int64_t>(i);
    load_elements(from, bytes.data(), first, 1, n, block);
    store_elements(to, out.data(), first, 1, n, block);
  }
  return out;
}

std::string header_text(DType dtype, const Shape& shape) {
  const auto* type =
      std::find_if(std::begin(kTypeNames), std::end(kTypeNames), [&](const TypeName& t) { return t.dtype == dtype; });
  OXPLOW_CHECK(type != std::end(kTypeNames));
  std::string text = "{'descr': '" + std::string(bits_of(dtype) == 8 ? "|" : "<") + std::string(type->name) +
                     "', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < shape.rank(); ++i)
    text += std::to_string(shape[i]) + (shape.rank() == 1 ? "," : i + 1 < shape.rank() ? ", " : "");
  text += "), }";
  constexpr size_t kBefore = 10;  // magic, version, length; with the header a multiple of 64, so that the data are aligned
  text.append((64 - (kBefore + text.size() + 1) % 64) % 64, ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  std::string header(kMagic);
  header += {'\1', '\0', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  return header + text;
}

Status write_all(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error{ErrorCode::io, std::generic_category().message(errno)};
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<NpyArray> parse_npy(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  NpyArray array;
  OXPLOW_ASSIGN(const auto header, take_header(reader));
  bool fortran_order = false;
  OXPLOW_TRY(HeaderReader(text_of(header), reader.offset() - header.size()).read(array, fortran_order));
  const size_t element = static_cast<size_t>(bits_of(array.dtype)) / 8;
  const auto elements = checked_elements(array.shape);
  const auto size = elements ? checked_multiply(*elements, element) : std::nullopt;
  if (!size) return npy_error(reader.offset(), "the shape " + to_string(array.shape) + " overflows");
  if (*size != reader.remaining()) {
    return npy_error(reader.offset(), std::string(name_of(array.dtype)) + to_string(array.shape) + " takes " +
                                          std::to_string(*size) + " bytes, the file has " + std::to_string(reader.remaining()));
  }
  array.bytes = *reader.take(*size);
  if (fortran_order && array.shape.rank() > 1) {
    array.owned.resize(array.bytes.size());
    copy_fortran(array.shape, element, array.bytes.data(), array.owned.data());
    array.bytes = array.owned;
  }
  if (array.dtype == DType::boolean &&
      std::any_of(array.bytes.begin(), array.bytes.end(), [](std::byte b) { return b > std::byte{1}; })) {
    if (array.owned.empty()) array.owned.assign(array.bytes.begin(), array.bytes.end());
    for (std::byte& b : array.owned) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
    array.bytes = array.owned;
  }
  return array;
}

Result<NpyArray> read_npy(const std::filesystem::path& path) {
  OXPLOW_ASSIGN(MappedFile file, MappedFile::open(path));
  auto array = parse_npy(file.bytes());
  if (!array.ok()) return in_context(path.string(), array.error());
  array->file = std::move(file);
  return array;
}

Status write_npy(const std::filesystem::path& path, DType dtype, const Shape& shape, std::span<const std::byte> bytes) {
  if (dtype == DType::string) return Error{ErrorCode::unsupported, "npy: strings cannot be written"};
  const size_t count = static_cast<size_t>(elements_of(shape));
  OXPLOW_CHECK(bytes.size() == bytes_of(dtype, count));
  std::vector<std::byte> converted;
  if (const DType stored = stored_as(dtype); stored != dtype) {
    converted = converted_elements(bytes, dtype, stored, count);
    dtype = stored;
  }
  if (!converted.empty()) bytes = converted;
  const std::string header = header_text(dtype, shape);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) return Error{ErrorCode::io, path.string() + ": " + std::generic_category().message(errno)};
  Status status = write_all(descriptor, std::as_bytes(std::span(header)));
  if (status.ok()) status = write_all(descriptor, bytes);
  if (::close(descriptor) != 0 && status.ok()) status = Error{ErrorCode::io, std::generic_category().message(errno)};
  return status.ok() ? status : in_context(path.string(), status.error());
}

}  // namespace oxplow
