#pragma once
// For tests of kernels: memory of any element type, read and written as float.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "oxplow/base/dtype.h"

namespace oxplow {

struct TestMemory {
  DType type;
  std::vector<std::byte> bytes;

  TestMemory(DType dtype, int64_t n) : type(dtype), bytes(bytes_of(dtype, static_cast<size_t>(n))) {}
  int64_t size() const { return static_cast<int64_t>(bytes.size()) * 8 / bits_of(type); }
  float get(int64_t i) const {
    return visit(type, [&](auto x) {
      std::memcpy(static_cast<void*>(&x), bytes.data() + i * static_cast<int64_t>(sizeof(x)), sizeof(x));
      return static_cast<float>(x);
    });
  }
  void set(int64_t i, float value) {
    visit(type, [&](auto x) {
      x = decltype(x)(value);
      std::memcpy(bytes.data() + i * static_cast<int64_t>(sizeof(x)), &x, sizeof(x));
    });
  }
  void fill(float value) {
    for (int64_t i = 0; i < size(); ++i) set(i, value);
  }
  void fill_normal(std::mt19937& rng, float mean, float spread) {
    std::normal_distribution<float> normal(mean, spread);
    for (int64_t i = 0; i < size(); ++i) set(i, normal(rng));
  }
};

}  // namespace oxplow
