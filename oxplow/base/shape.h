#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "oxplow/base/check.h"

namespace oxplow {

inline constexpr int kMaxRank = 10;

// Up to kMaxRank numbers, in place: a tensor's extents or strides, outermost first.
class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> values) : Dims(std::span<const int64_t>(values.begin(), values.size())) {}
  explicit Dims(std::span<const int64_t> values) {
    for (int64_t v : values) push_back(v);
  }
  static Dims filled(int rank, int64_t value) {
    Dims dims;
    for (int i = 0; i < rank; ++i) dims.push_back(value);
    return dims;
  }

  int rank() const { return rank_; }
  size_t size() const { return static_cast<size_t>(rank_); }
  bool empty() const { return rank_ == 0; }
  int64_t& operator[](int i) { return OXPLOW_DCHECK(i >= 0 && i < rank_), values_[static_cast<size_t>(i)]; }
  int64_t operator[](int i) const { return OXPLOW_DCHECK(i >= 0 && i < rank_), values_[static_cast<size_t>(i)]; }
  int64_t back() const { return (*this)[rank_ - 1]; }
  const int64_t* begin() const { return values_.data(); }
  const int64_t* end() const { return values_.data() + rank_; }
  int64_t* begin() { return values_.data(); }
  int64_t* end() { return values_.data() + rank_; }

  void push_back(int64_t value) {
    OXPLOW_CHECK(rank_ < kMaxRank);
    values_[static_cast<size_t>(rank_++)] = value;
  }
  void insert(int at, int64_t value) {
    push_back(value);
    for (int i = rank_ - 1; i > at; --i) std::swap((*this)[i], (*this)[i - 1]);
  }
  void erase(int at) {
    for (int i = at; i + 1 < rank_; ++i) (*this)[i] = (*this)[i + 1];
    --rank_;
  }
  bool operator==(const Dims& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

 private:
  std::array<int64_t, kMaxRank> values_{};
  int rank_ = 0;
};

using Shape = Dims;

// The product of the extents: 1 for a scalar.
int64_t elements_of(const Shape& shape);
// The product of extents [first, last).
int64_t product(const Shape& shape, int first, int last);
// Row-major strides, in elements.
Dims dense_strides(const Shape& shape);
// "[2, 3, 224]".
std::string to_string(const Dims& dims);

}  // namespace oxplow
