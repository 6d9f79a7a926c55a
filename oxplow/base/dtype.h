#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "oxplow/base/check.h"
#include "oxplow/base/float16.h"

namespace oxplow {

enum class DType : uint8_t {
#define OXPLOW_DTYPE(name, bits, type) name,
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
};

constexpr int bits_of(DType dtype) {
  constexpr int kBits[] = {
#define OXPLOW_DTYPE(name, bits, type) bits,
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
  };
  return kBits[static_cast<int>(dtype)];
}

constexpr std::string_view name_of(DType dtype) {
  constexpr std::string_view kNames[] = {
#define OXPLOW_DTYPE(name, bits, type) #name,
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
  };
  return kNames[static_cast<int>(dtype)];
}

std::optional<DType> dtype_named(std::string_view name);

constexpr bool is_float(DType dtype) { return dtype <= DType::bf16; }

// Bytes that `count` elements take; 4-bit types share bytes.
constexpr size_t bytes_of(DType dtype, size_t count) { return (count * bits_of(dtype) + 7) / 8; }

template <typename T>
constexpr DType dtype_of();
template <> constexpr DType dtype_of<double>() { return DType::f64; }
template <> constexpr DType dtype_of<float>() { return DType::f32; }
template <> constexpr DType dtype_of<Float16>() { return DType::f16; }
template <> constexpr DType dtype_of<BFloat16>() { return DType::bf16; }
template <> constexpr DType dtype_of<int64_t>() { return DType::i64; }
template <> constexpr DType dtype_of<int32_t>() { return DType::i32; }
template <> constexpr DType dtype_of<int16_t>() { return DType::i16; }
template <> constexpr DType dtype_of<int8_t>() { return DType::i8; }
template <> constexpr DType dtype_of<uint64_t>() { return DType::u64; }
template <> constexpr DType dtype_of<uint32_t>() { return DType::u32; }
template <> constexpr DType dtype_of<uint16_t>() { return DType::u16; }
template <> constexpr DType dtype_of<uint8_t>() { return DType::u8; }
template <> constexpr DType dtype_of<bool>() { return DType::boolean; }

// Calls f with a value of dtype's C++ type: visit(d, [&](auto t) { using T = decltype(t); ... }).
// Types of 4 bits have no C++ type of their own: unpack them first.
template <typename F>
decltype(auto) visit(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64: return f(double{});
    case DType::f32: return f(float{});
    case DType::f16: return f(Float16{});
    case DType::bf16: return f(BFloat16{});
    case DType::i64: return f(int64_t{});
    case DType::i32: return f(int32_t{});
    case DType::i16: return f(int16_t{});
    case DType::i8: return f(int8_t{});
    case DType::u64: return f(uint64_t{});
    case DType::u32: return f(uint32_t{});
    case DType::u16: return f(uint16_t{});
    case DType::u8: return f(uint8_t{});
    case DType::boolean: return f(bool{});
    case DType::i4:
    case DType::u4: break;
  }
  OXPLOW_CHECK(false && "a 4-bit type has no C++ type");
  __builtin_unreachable();
}

}  // namespace oxplow
