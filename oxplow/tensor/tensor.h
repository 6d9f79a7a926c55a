#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "oxplow/base/dtype.h"
#include "oxplow/base/result.h"
#include "oxplow/base/shape.h"

namespace oxplow {

// An element type and extents: what a shape rule maps to what.
struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  int64_t elements() const { return elements_of(shape); }
  size_t bytes() const { return bytes_of(dtype, static_cast<size_t>(elements())); }
  bool operator==(const TensorType&) const = default;
};

// Whether a tensor of this type could be: no extent is negative, and strides, elements and bits fit 64 bits.
bool is_possible(const TensorType& type);

// "f32[1, 3, 224, 224]".
std::string to_string(const TensorType& type);

// A dense row-major array. Copies share the storage, which is never written once it is shared.
class Tensor {
 public:
  Tensor() = default;

  // Zeroed memory of its own. An error when the extents overflow or the memory cannot be had.
  static Result<Tensor> allocate(const TensorType& type);
  // Borrows bytes that `owner` keeps alive (null: the caller does).
  static Tensor borrow(const TensorType& type, const void* data, std::shared_ptr<const void> owner = nullptr);
  // A copy of `values`, of extents `shape` (default: one axis).
  template <typename T>
  static Tensor of(std::span<const T> values, const Shape& shape);
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>(std::span<const T>(&value, 1), Shape{});
  }

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  int64_t elements() const { return type_.elements(); }
  size_t bytes() const { return type_.bytes(); }
  bool defined() const { return data_ != nullptr; }

  const void* data() const { return data_; }
  void* mutable_data() { return const_cast<void*>(data_); }
  template <typename T>
  std::span<const T> values() const {
    OXPLOW_CHECK(dtype_of<T>() == dtype());
    return {static_cast<const T*>(data_), static_cast<size_t>(elements())};
  }
  template <typename T>
  std::span<T> mutable_values() {
    OXPLOW_CHECK(dtype_of<T>() == dtype());
    return {static_cast<T*>(mutable_data()), static_cast<size_t>(elements())};
  }

  // Same bytes, other extents of the same count.
  Tensor reshaped(const Shape& shape) const;
  // What keeps the bytes alive: equal for copies of one tensor.
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  TensorType type_;
  const void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

// Elements as int64 (from an integer or boolean type of 8 bits or more), for shapes, axes and the like.
std::vector<int64_t> to_int64s(const Tensor& tensor);
// The f32 form of a floating tensor (itself when it is f32 already).
Result<Tensor> to_f32(const Tensor& tensor);

template <typename T>
Tensor Tensor::of(std::span<const T> values, const Shape& shape) {
  OXPLOW_CHECK(static_cast<int64_t>(values.size()) == elements_of(shape));
  auto tensor = allocate({dtype_of<T>(), shape});
  OXPLOW_CHECK(tensor.ok());
  for (size_t i = 0; i < values.size(); ++i) static_cast<T*>(tensor->mutable_data())[i] = values[i];
  return tensor.take();
}

}  // namespace oxplow
