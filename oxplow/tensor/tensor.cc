#include "oxplow/tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "oxplow/base/memory.h"

namespace oxplow {
namespace {

// Large tensors get pages of their own, given back when the tensor goes; small ones come from the heap.
constexpr size_t kOwnPages = 256 << 10;

std::shared_ptr<const void> zeroed(size_t bytes, void** data) {
  if (bytes >= kOwnPages) {
    auto buffer = Buffer::allocate(bytes);
    if (!buffer.ok()) return nullptr;
    auto owner = std::make_shared<Buffer>(buffer.take());
    *data = owner->data();
    return owner;
  }
  const size_t size = round_up(bytes + 1, kCacheLine);
  auto* memory = static_cast<std::byte*>(::operator new(size, std::align_val_t{kCacheLine}, std::nothrow));
  if (memory == nullptr) return nullptr;
  std::memset(memory, 0, size);
  *data = memory;
  return std::shared_ptr<const void>(memory, [](void* p) { ::operator delete(p, std::align_val_t{kCacheLine}); });
}

}  // namespace

bool is_possible(const TensorType& type) {
  int64_t bits = bits_of(type.dtype);
  for (int64_t extent : type.shape) {
    if (extent < 0 || __builtin_mul_overflow(bits, std::max<int64_t>(extent, 1), &bits)) return false;
  }
  return true;
}

std::string to_string(const TensorType& type) { return std::string(name_of(type.dtype)) + to_string(type.shape); }

Result<Tensor> Tensor::allocate(const TensorType& type) {
  if (!is_possible(type)) return Error{ErrorCode::invalid_argument, "a tensor of type " + to_string(type) + " is impossible"};
  void* data = nullptr;
  auto owner = zeroed(type.bytes(), &data);
  if (!owner) {
    return Error{ErrorCode::out_of_memory,
                 "no memory for a tensor of type " + to_string(type) + ": " + std::to_string(type.bytes() >> 20) + " MiB"};
  }
  return borrow(type, data, std::move(owner));
}

Tensor Tensor::borrow(const TensorType& type, const void* data, std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.type_ = type;
  tensor.data_ = data;
  tensor.owner_ = std::move(owner);
  return tensor;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  OXPLOW_CHECK(elements_of(shape) == elements());
  return borrow({dtype(), shape}, data_, owner_);
}

std::vector<int64_t> to_int64s(const Tensor& tensor) {
  std::vector<int64_t> values;
  values.reserve(static_cast<size_t>(tensor.elements()));
  visit(tensor.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_integral_v<T>) {
      for (T v : tensor.values<T>()) values.push_back(static_cast<int64_t>(v));
    } else {
      OXPLOW_CHECK(false && "not an integer tensor");
    }
  });
  return values;
}

Result<Tensor> to_f32(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) return tensor;
  OXPLOW_ASSIGN(Tensor result, Tensor::allocate({DType::f32, tensor.shape()}));
  visit(tensor.dtype(), [&](auto t) {
    using T = decltype(t);
    auto to = result.mutable_values<float>();
    auto from = tensor.values<T>();
    for (size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(from[i]);
  });
  return result;
}

}  // namespace oxplow
