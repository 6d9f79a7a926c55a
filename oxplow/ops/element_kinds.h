#pragma once
// Element types in three lights: how wide they are (ops that only move), as floating point numbers (ops that interpolate, pool,
// transform), and as integers of a list of indices.

#include "oxplow/ops/op.h"

namespace oxplow {

// Calls f with an unsigned integer as wide as an element of `dtype`; `what` (the op) is for the error where there is none.
template <typename F>
Result<std::unique_ptr<Step>> visit_width(DType dtype, std::string_view what, F&& f) {
  switch (bits_of(dtype)) {
    case 8: return f(uint8_t{});
    case 16: return f(uint16_t{});
    case 32: return f(uint32_t{});
    case 64: return f(uint64_t{});
    default:
      return Error{ErrorCode::unsupported,
                   std::string(what) + " of " + std::string(name_of(dtype)) + " elements; cast them first"};
  }
}

// Calls f with a value of dtype's C++ type where there is arithmetic for it.
template <typename F>
Result<std::unique_ptr<Step>> visit_arithmetic(DType dtype, std::string_view what, F&& f) {
  if (is_arithmetic(dtype)) return visit(dtype, f);
  return Error{ErrorCode::unsupported, std::string(what) + " of " + std::string(name_of(dtype)) + " elements; cast them first"};
}

// Bytes of an element, or why an op that moves whole bytes cannot take this type.
inline Result<int64_t> element_bytes(DType dtype, std::string_view what) {
  if (bits_of(dtype) >= 8) return int64_t{bits_of(dtype) / 8};
  return Error{ErrorCode::unsupported, std::string(what) + " of " + std::string(name_of(dtype)) + " elements; cast them first"};
}

// Calls f with a value of dtype's C++ type where it is a floating one.
template <typename F>
Result<std::unique_ptr<Step>> visit_floating(DType dtype, std::string_view what, F&& f) {
  switch (dtype) {
    case DType::f64: return f(double{});
    case DType::f32: return f(float{});
    case DType::f16: return f(Float16{});
    case DType::bf16: return f(BFloat16{});
    default:
      return Error{ErrorCode::unsupported,
                   std::string(what) + " of " + std::string(name_of(dtype)) + " elements; it is for floating point"};
  }
}

// What elements of type T are computed in.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The value of input i, of any type that has arithmetic; an error when it is not known before the run.
Result<std::vector<double>> known_numbers(const InferContext& c, int i, std::string_view what);

// Indices of 32 or 64 bits.
struct IndexList {
  const void* data;
  bool wide;
  int64_t operator[](int64_t i) const {
    return wide ? static_cast<const int64_t*>(data)[i] : static_cast<const int32_t*>(data)[i];
  }
};
inline bool is_index(DType dtype) { return dtype == DType::i64 || dtype == DType::i32; }

// Whether input i is indices, and, where they are known before the run, that each is in [-extent, extent).
Status check_indices(const InferContext& c, int i, int64_t extent);

// A negative index counts from the end. What is still outside is clamped: in a run indices are data, and a run must not fail nor
// touch memory elsewhere. extent > 0.
inline int64_t index_within(int64_t index, int64_t extent) {
  if (index < 0) index += extent;
  return index < 0 ? 0 : index >= extent ? extent - 1 : index;
}

}  // namespace oxplow
