#include "oxplow/base/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

namespace oxplow {
namespace {

size_t page_size() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// The tail behind the last whole huge page is either rounded up to one (when that wastes at most an eighth) or left on small
// pages.
size_t mapped_size(size_t bytes) {
  if (bytes < kHugePage) return round_up(bytes, page_size());
  const size_t huge = round_up(bytes, kHugePage);
  return huge - bytes <= bytes / 8 ? huge : round_up(bytes, page_size());
}

// Cuts an address range of size + kHugePage down to `size` bytes that begin on a huge page.
std::byte* trim_to_huge_page(std::byte* base, size_t size) {
  const size_t lead = round_up(reinterpret_cast<uintptr_t>(base), kHugePage) - reinterpret_cast<uintptr_t>(base);
  if (lead > 0) munmap(base, lead);
  if (lead < kHugePage) munmap(base + lead + size, kHugePage - lead);
  return base + lead;
}

// The first `capacity - 1` bytes of a small file of /proc; empty when it cannot be read. Allocates nothing: it is called between
// measured runs.
std::string_view read_proc(const char* path, char* text, size_t capacity) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t got = read(fd, text, capacity - 1);
  close(fd);
  const size_t length = got > 0 ? static_cast<size_t>(got) : 0;
  text[length] = '\0';
  return {text, length};
}

}  // namespace

Buffer::~Buffer() {
  if (mapped_ != 0) munmap(data_, mapped_);
}

Buffer Buffer::borrow(std::span<const std::byte> bytes) {
  Buffer buffer;
  buffer.data_ = const_cast<std::byte*>(bytes.data());
  buffer.size_ = bytes.size();
  return buffer;
}

Result<Buffer> Buffer::allocate(size_t bytes) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  const bool huge = bytes >= kHugePage;
  const bool representable = bytes < std::numeric_limits<size_t>::max() / 2;
  const size_t size = representable ? mapped_size(bytes) : 0;
  void* base = MAP_FAILED;
  if (representable) {
    base = mmap(nullptr, huge ? size + kHugePage : size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (base == MAP_FAILED) {
    return Error{ErrorCode::out_of_memory, "the system refuses " + std::to_string(bytes) + " bytes of memory"};
  }
  buffer.data_ = static_cast<std::byte*>(base);
  if (huge) {
    buffer.data_ = trim_to_huge_page(buffer.data_, size);
    madvise(buffer.data_, size, MADV_HUGEPAGE);  // a wish: without huge pages the buffer is merely slower
  }
  buffer.size_ = bytes;
  buffer.mapped_ = size;
  return buffer;
}

size_t resident_bytes() {
  char text[256];
  const std::string_view statm = read_proc("/proc/self/statm", text, sizeof text);
  const size_t second = statm.find(' ');
  return second == std::string_view::npos ? 0 : std::strtoull(text + second, nullptr, 10) * page_size();
}

// VmHWM and not getrusage's ru_maxrss: that one starts at the peak of the program that called exec.
size_t peak_resident_bytes() {
  char text[4096];
  const std::string_view status = read_proc("/proc/self/status", text, sizeof text);
  const size_t at = status.find("VmHWM:");
  return at == std::string_view::npos ? 0 : std::strtoull(text + at + std::strlen("VmHWM:"), nullptr, 10) * 1024;
}

}  // namespace oxplow
