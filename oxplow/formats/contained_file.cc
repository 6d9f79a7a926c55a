#include "oxplow/formats/contained_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "oxplow/formats/byte_reader.h"

namespace oxplow {
namespace {

constexpr size_t kMaxLocation = 4096;

Error refused(std::string_view location, const char* why) {
  return {ErrorCode::invalid_model, "external file " + in_quotes(location) + " " + why};
}

Error system_error(std::string_view location, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return {ErrorCode::not_found, "external file " + in_quotes(location) + " is missing; put it beside the model"};
  }
  return {ErrorCode::io, "external file " + in_quotes(location) + ": " + std::generic_category().message(error)};
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(-1); }
  int get() const { return value_; }
  void reset(int value) {
    if (value_ >= 0) ::close(value_);
    value_ = value;
  }

 private:
  int value_;
};

// Null when `status` is of a file that may be read.
const char* why_unfit(const struct stat& status) {
  if (S_ISLNK(status.st_mode)) return "is a symbolic link; copy the file there instead";
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  if (status.st_nlink != 1) return "has more than one hard link; copy the file there instead";
  return nullptr;
}

}  // namespace

Result<std::string> normal_location(std::string_view location) {
  if (location.empty()) return refused(location, "names no file");
  if (location.size() > kMaxLocation) return refused(location, "has too long a name");
  if (location.find('\0') != location.npos) return refused(location, "has a NUL in its name");
  if (location.find('\\') != location.npos) return refused(location, "has a backslash in its name");
  if (location.front() == '/') return refused(location, "is an absolute path");
  std::string normal;
  for (size_t begin = 0; begin <= location.size();) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string_view component = location.substr(begin, end - begin);
    begin = end + 1;
    if (component == "..") return refused(location, "leaves the model's folder");
    if (component.empty() || component == ".") continue;
    if (!normal.empty()) normal += '/';
    normal += component;
  }
  if (normal.empty()) return refused(location, "names no file");
  return normal;
}

ContainedFolder::~ContainedFolder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<ContainedFolder> ContainedFolder::open(const std::filesystem::path& folder) {
  ContainedFolder opened;
  opened.descriptor_ = ::open(folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (opened.descriptor_ < 0) {
    const int error = errno;
    return Error{error == ENOENT || error == ENOTDIR ? ErrorCode::not_found : ErrorCode::io,
                 "the model's folder: " + std::generic_category().message(error)};
  }
  return opened;
}

Result<MappedFile> ContainedFolder::map(std::string_view location) const {
  OXPLOW_ASSIGN(const std::string path, normal_location(location));
  Descriptor folder(-1);
  size_t begin = 0;
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', begin)) {
    const std::string component = path.substr(begin, slash - begin);
    const int parent = begin == 0 ? descriptor_ : folder.get();
    struct stat status{};
    if (::fstatat(parent, component.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return system_error(location, errno);
    if (S_ISLNK(status.st_mode)) return refused(location, "goes through a symbolic link; copy the folder there instead");
    const int next = ::openat(parent, component.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) return system_error(location, errno);
    folder.reset(next);
    begin = slash + 1;
  }
  const int parent = begin == 0 ? descriptor_ : folder.get();
  const std::string name = path.substr(begin);
  // Looked at before it is opened, for opening a device can do something; and again after, for it may have been exchanged.
  struct stat status{};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return system_error(location, errno);
  if (const char* why = why_unfit(status)) return refused(location, why);
  const Descriptor file(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) return system_error(location, errno);
  if (::fstat(file.get(), &status) != 0) return system_error(location, errno);
  if (const char* why = why_unfit(status)) return refused(location, why);
  return MappedFile::map(file.get(), "external file " + in_quotes(location));
}

}  // namespace oxplow
