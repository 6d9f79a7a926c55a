#pragma once
// For tests of kernels: memory between guard values, filled with numbers.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "oxplow/base/dtype.h"

namespace oxplow {

// `count` elements, `misalignment` elements past a 64-byte boundary, with guard bytes on both sides.
template <typename T>
class Guarded {
 public:
  explicit Guarded(int64_t count, int64_t misalignment = 0)
      : count_(static_cast<size_t>(count)),
        bytes_(kGuard * 2 + 64 + (count_ + static_cast<size_t>(misalignment)) * sizeof(T), kByte) {
    size_t at = kGuard;
    at += (64 - reinterpret_cast<uintptr_t>(bytes_.data() + at) % 64) % 64;
    begin_ = at + static_cast<size_t>(misalignment) * sizeof(T);
    std::memset(bytes_.data() + begin_, 0, count_ * sizeof(T));
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data() + begin_); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + begin_); }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  int64_t size() const { return static_cast<int64_t>(count_); }

  // Numbers from a uniform distribution over [low, high).
  Guarded& fill_random(uint32_t seed, float low = -1, float high = 1) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> distribution(low, high);
    for (int64_t i = 0; i < size(); ++i) (*this)[i] = T(distribution(generator));
    return *this;
  }
  Guarded& fill(T value) {
    for (int64_t i = 0; i < size(); ++i) (*this)[i] = value;
    return *this;
  }

  // Whether no guard byte has changed.
  bool intact() const {
    for (size_t i = 0; i < bytes_.size(); ++i) {
      const bool inside = i >= begin_ && i < begin_ + count_ * sizeof(T);
      if (!inside && bytes_[i] != kByte) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kByte = 0xa5;
  size_t count_;
  std::vector<unsigned char> bytes_;
  size_t begin_ = 0;
};

// The relative rounding error of one conversion to T.
template <typename T>
constexpr double rounding_of();
template <>
constexpr double rounding_of<float>() {
  return 0x1p-24;
}
template <>
constexpr double rounding_of<BFloat16>() {
  return 0x1p-8;
}

}  // namespace oxplow
