#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace oxplow {

// For tests: an array whose end touches a page that faults when read or written, so that one byte too far kills the test. It starts
// zeroed, aligned for T alone.
template <typename T>
class PageGuarded {
 public:
  explicit PageGuarded(size_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_bytes_ = (count * sizeof(T) + page - 1) / page * page + page;
    void* memory = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    base_ = static_cast<char*>(memory);
    char* guard = base_ + mapped_bytes_ - page;
    mprotect(guard, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(guard - count * sizeof(T));
  }
  PageGuarded(const PageGuarded&) = delete;
  PageGuarded& operator=(const PageGuarded&) = delete;
  ~PageGuarded() { munmap(base_, mapped_bytes_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }

 private:
  size_t count_;
  size_t mapped_bytes_;
  char* base_;
  T* data_;
};

}  // namespace oxplow
