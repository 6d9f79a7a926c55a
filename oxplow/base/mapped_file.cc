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

Error error_at(const std::filesystem::path& path, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  return {missing ? ErrorCode::not_found : ErrorCode::io, path.string() + ": " + std::generic_category().message(error)};
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

Result<std::span<const std::byte>> map(int fd, const std::filesystem::path& path) {
  struct stat status{};
  if (fstat(fd, &status) != 0) return error_at(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorCode::io, path.string() + ": is " + kind_of(status.st_mode) + "; a regular file is needed"};
  }
  const size_t size = static_cast<size_t>(status.st_size);
  if (size == 0) return std::span<const std::byte>();
  void* base = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (base == MAP_FAILED) return error_at(path, errno);
  return std::span<const std::byte>(static_cast<const std::byte*>(base), size);
}

}  // namespace

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO or a line device must not wait for its other end; fstat then refuses it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return error_at(path, errno);
  auto bytes = map(fd, path);
  ::close(fd);
  if (!bytes) return bytes.error();
  MappedFile file;
  file.bytes_ = *bytes;
  return file;
}

}  // namespace oxplow
