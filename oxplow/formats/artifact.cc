#include "oxplow/formats/artifact.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "oxplow/base/memory.h"
#include "oxplow/formats/byte_reader.h"

namespace oxplow {
namespace {

constexpr std::string_view kMagic = "\x89OXP\r\n\x1a\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;

uint64_t fnv1a(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (std::byte b : bytes) hash = (hash ^ static_cast<uint64_t>(b)) * 0x100000001b3;
  return hash;
}

// Reads the index; after the first thing that does not fit, everything reads as empty and failed() says where.
class IndexReader {
 public:
  IndexReader(std::span<const std::byte> file, std::span<const std::byte> index, uint64_t origin)
      : file_(file), reader_(index, origin), budget_(Budget::for_file(file.size())) {}

  std::string text() {
    const uint64_t at = reader_.offset();
    const auto length = reader_.little<uint32_t>();
    const auto bytes = length ? reader_.take(*length) : std::nullopt;
    if (!bytes || !budget_.spend_bytes(bytes->size(), 1)) return fail(at, "a text runs past the end of the index"), "";
    return std::string(text_of(*bytes));
  }

  std::span<const std::byte> section(const char* what) {
    const uint64_t at = reader_.offset();
    const auto offset = reader_.little<uint64_t>(), size = reader_.little<uint64_t>();
    const auto end = offset && size ? checked_add(*offset, *size) : std::nullopt;
    if (!end || *end > file_.size() || *offset % kCacheLine != 0)
      return fail(at, std::string(what) + " lies outside of the file or between cache lines"), std::span<const std::byte>();
    return file_.subspan(static_cast<size_t>(*offset), static_cast<size_t>(*size));
  }

  // How many entries follow, each of at least `least` bytes of index and `heap` bytes in memory.
  size_t count(size_t least, size_t heap) {
    const uint64_t at = reader_.offset();
    const auto n = reader_.little<uint32_t>();
    if (!n || *n > reader_.remaining() / least || !budget_.spend_bytes(*n, heap))
      return fail(at, "more entries than the index has room for"), 0;
    return *n;
  }

  template <typename T>
  T number() {
    const uint64_t at = reader_.offset();
    const auto value = reader_.little<T>();
    if (!value) fail(at, "the index ends too early");
    return value.value_or(T{});
  }

  void expect_end() {
    if (!reader_.at_end()) fail(reader_.offset(), "bytes behind the last entry");
  }
  const std::optional<Error>& failed() const { return failed_; }

 private:
  void fail(uint64_t at, const std::string& why) {
    if (!failed_) failed_ = Error{ErrorCode::invalid_model, "oxp: at byte " + std::to_string(at) + ": " + why};
  }

  std::span<const std::byte> file_;
  ByteReader reader_;
  Budget budget_;
  std::optional<Error> failed_;
};

Error broken(uint64_t at, const std::string& why) {
  return {ErrorCode::invalid_model, "oxp: at byte " + std::to_string(at) + ": " + why + "; compile the model again"};
}

// Appends numbers and texts as the index has them.
class IndexWriter {
 public:
  template <typename T>
  void number(T value) {
    static_assert(std::endian::native == std::endian::little);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    bytes_.append(value);
  }
  void section(uint64_t offset, uint64_t size) {
    number(offset);
    number(size);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// A file that is written from front to back, with gaps of zeros.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path)
      : file_(std::fopen(path.c_str(), "wb"), std::fclose), error_(file_ ? 0 : errno) {}

  // errno of what failed first, or 0.
  int error() const { return error_; }
  void put(uint64_t offset, std::span<const std::byte> bytes) {
    static constexpr std::byte kZeros[4096] = {};
    while (error_ == 0 && at_ < offset) write({kZeros, static_cast<size_t>(std::min<uint64_t>(offset - at_, sizeof(kZeros)))});
    write(bytes);
  }
  // Afterwards everything is on the disk, or error() tells.
  void close() {
    if (!file_) return;
    note(std::fflush(file_.get()) == 0 && fsync(fileno(file_.get())) == 0);
    note(std::fclose(file_.release()) == 0);
  }

 private:
  void note(bool good) {
    if (!good && error_ == 0) error_ = errno != 0 ? errno : EIO;
  }
  void write(std::span<const std::byte> bytes) {
    if (error_ == 0) note(std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size());
    at_ += bytes.size();
  }

  std::unique_ptr<FILE, int (*)(FILE*)> file_;
  int error_ = 0;
  uint64_t at_ = 0;
};

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

bool is_artifact(std::span<const std::byte> bytes) { return text_of(bytes).starts_with(kMagic); }

bool is_artifact(const std::filesystem::path& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                   [](FILE* f) { return f ? std::fclose(f) : 0; });
  char start[kMagic.size()];
  return file && std::fread(start, 1, sizeof(start), file.get()) == sizeof(start) &&
         std::string_view(start, sizeof(start)) == kMagic;
}

Result<ArtifactContents> parse_artifact(std::span<const std::byte> bytes) {
  if (!is_artifact(bytes)) return broken(0, "no artifact of oxplow compile");
  if (bytes.size() < kHeaderBytes) return broken(bytes.size(), "the file ends in its header");
  ByteReader header(bytes.subspan(kMagic.size(), kHeaderBytes - kMagic.size()), kMagic.size());
  const uint32_t version = *header.little<uint32_t>();
  if (version != kVersion)
    return Error{ErrorCode::unsupported, "oxp: version " + std::to_string(version) + "; this oxplow reads version " +
                                             std::to_string(kVersion) + ": compile the model again"};
  (void)header.little<uint32_t>();
  const uint64_t size = *header.little<uint64_t>(), index_at = *header.little<uint64_t>(),
                 index_size = *header.little<uint64_t>();
  if (size != bytes.size())
    return broken(16,
                  "the file has " + std::to_string(bytes.size()) + " bytes and says " + std::to_string(size) + ": cut short?");
  const auto index_end = checked_add(index_at, index_size);
  if (!index_end || *index_end > size) return broken(24, "the index lies outside of the file");
  const auto index = bytes.subspan(static_cast<size_t>(index_at), static_cast<size_t>(index_size));
  if (fnv1a(index) != *header.little<uint64_t>()) return broken(index_at, "the index is damaged");
  const uint64_t model_sum = *header.little<uint64_t>();

  IndexReader reader(bytes, index, index_at);
  ArtifactContents contents;
  contents.cpu = reader.text();
  contents.isa = reader.text();
  contents.precision = reader.text();
  contents.model = reader.section("the model");
  contents.weights = reader.section("the weights");
  for (size_t n = reader.count(28, sizeof(ArtifactPack)); n > 0 && !reader.failed(); --n) {
    ArtifactPack pack{.key = reader.text(), .source = reader.number<uint64_t>(), .bytes = {}};
    pack.bytes = reader.section("a pack");
    contents.packs.push_back(std::move(pack));
  }
  for (size_t n = reader.count(12, sizeof(ArtifactRate)); n > 0 && !reader.failed(); --n) {
    ArtifactRate rate{.kernel = reader.text(), .gflops = 0};
    rate.gflops = reader.number<double>();
    contents.rates.push_back(std::move(rate));
  }
  reader.expect_end();
  if (reader.failed()) return *reader.failed();
  if (fnv1a(contents.model) != model_sum) return broken(48, "the model section is damaged");
  return contents;
}

Status write_artifact(const std::filesystem::path& path, const ArtifactContents& contents) {
  uint64_t at = kHeaderBytes;
  const auto place = [&](std::span<const std::byte> bytes) {
    at = round_up(at, bytes.size() < kHugePage ? kCacheLine : kHugePage);
    const uint64_t offset = at;
    at += bytes.size();
    return offset;
  };
  IndexWriter index;
  index.text(contents.cpu);
  index.text(contents.isa);
  index.text(contents.precision);
  const uint64_t model_at = place(contents.model), weights_at = place(contents.weights);
  index.section(model_at, contents.model.size());
  index.section(weights_at, contents.weights.size());
  index.number(static_cast<uint32_t>(contents.packs.size()));
  std::vector<uint64_t> pack_at;
  for (const ArtifactPack& pack : contents.packs) {
    pack_at.push_back(place(pack.bytes));
    index.text(pack.key);
    index.number(pack.source);
    index.section(pack_at.back(), pack.bytes.size());
  }
  index.number(static_cast<uint32_t>(contents.rates.size()));
  for (const ArtifactRate& rate : contents.rates) {
    index.text(rate.kernel);
    index.number(rate.gflops);
  }
  const uint64_t index_at = place(bytes_of(index.bytes()));

  IndexWriter header;
  header.number(kVersion);
  header.number(uint32_t{0});
  header.number(at);
  header.section(index_at, index.bytes().size());
  header.number(fnv1a(bytes_of(index.bytes())));
  header.number(fnv1a(contents.model));
  header.number(uint64_t{0});

  std::filesystem::path partial = path;
  partial += ".partial";
  OutputFile out(partial);
  out.put(0, bytes_of(std::string(kMagic) + header.bytes()));
  out.put(model_at, contents.model);
  out.put(weights_at, contents.weights);
  for (size_t i = 0; i < pack_at.size(); ++i) out.put(pack_at[i], contents.packs[i].bytes);
  out.put(index_at, bytes_of(index.bytes()));
  out.close();
  std::error_code error(out.error(), std::generic_category());
  if (!error) std::filesystem::rename(partial, path, error);
  if (!error) return {};
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  return Error{ErrorCode::io, "cannot write " + path.string() + ": " + error.message()};
}

}  // namespace oxplow
