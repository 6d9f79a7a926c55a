#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "oxplow/base/check.h"
#include "oxplow/base/float16.h"
#include "oxplow/base/small_float.h"

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

// The types that `name`d elements there are: DType is less than this.
inline constexpr int kDTypes = 0
#define OXPLOW_DTYPE(name, bits, type) +1
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
    ;

// f64, f32, f16, bf16.
constexpr bool is_float(DType dtype) { return dtype <= DType::bf16; }
// Floats of 8 and 4 bits.
constexpr bool is_small_float(DType dtype) { return dtype >= DType::f8e4m3fn && dtype <= DType::f4e2m1; }
constexpr bool is_unsigned(DType dtype) { return (dtype >= DType::u64 && dtype <= DType::u4) || dtype == DType::u2; }
// Integers of any width; not booleans.
constexpr bool is_integer(DType dtype) {
  return (dtype >= DType::i64 && dtype <= DType::u4) || dtype == DType::i2 || dtype == DType::u2;
}
// Whether the type has a C++ type that visit() gives: not the packed and small ones, which are for storage.
constexpr bool is_arithmetic(DType dtype) { return dtype <= DType::boolean && bits_of(dtype) >= 8; }

// Bytes that `count` elements take; types below 8 bits share bytes.
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
template <> constexpr DType dtype_of<std::string_view>() { return DType::string; }

// Calls f with a value of dtype's C++ type: visit(d, [&](auto t) { using T = decltype(t); ... }).
// Only for is_arithmetic() types.
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
    default: break;
  }
  OXPLOW_CHECK(false && "a type for storage has no arithmetic");
  __builtin_unreachable();
}

}  // namespace oxplow
