#include "oxplow/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace oxplow {
namespace {

Error error_at(const std::string& name, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  return {missing ? ErrorCode::not_found : ErrorCode::io, name + ": " + std::generic_category().message(error)};
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

}  // namespace

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO or a line device must not wait for its other end; fstat then refuses it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return error_at(path.string(), errno);
  auto file = map(fd, path.string());
  ::close(fd);
  return file;
}

Result<MappedFile> MappedFile::map(int descriptor, const std::string& name) {
  struct stat status{};
  if (fstat(descriptor, &status) != 0) return error_at(name, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::io, name + ": is " + kind_of(status.st_mode) + "; a regular file is needed"};
  }
  const size_t size = static_cast<size_t>(status.st_size);
  MappedFile file;
  if (size == 0) return file;
  void* base = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (base == MAP_FAILED) return error_at(name, errno);
  file.bytes_ = {static_cast<const std::byte*>(base), size};
  return file;
}

}  // namespace oxplow
