#include "oxplow/base/elements.h"

#include <type_traits>

namespace oxplow {
namespace {

template <typename T>
constexpr bool kIsSmall = std::is_class_v<T>;  // Float16, BFloat16 and SmallFloats: through f32

// v in f32, inexact results with an odd last bit, so that rounding again to a narrower type rounds as if once.
float to_odd(double v) {
  const auto f = static_cast<float>(v);
  const auto back = static_cast<double>(f);
  const auto bits = std::bit_cast<uint32_t>(f);
  if (back == v || v != v || (bits & 1)) return f;
  const bool away = std::fabs(back) > std::fabs(v);
  return std::bit_cast<float>(away ? bits - 1 : bits + 1);
}

template <typename T>
T rounded(double v, const SmallFloatRounding& rounding) {
  if constexpr (std::is_same_v<T, Float8E8M0>) {
    return T(to_odd(v), rounding.saturate, rounding.power);
  } else if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return T(to_odd(v));
  } else {
    return T(to_odd(v), rounding.saturate);
  }
}

template <typename To, typename From>
To converted(From v, const SmallFloatRounding& rounding) {
  if constexpr (kIsSmall<From>) {
    return converted<To>(static_cast<float>(v), rounding);
  } else if constexpr (kIsSmall<To>) {
    return rounded<To>(static_cast<double>(v), rounding);
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return saturated<To>(static_cast<double>(v));
  } else {
    return static_cast<To>(v);
  }
}

// Where and how elements are: whole bytes.
template <typename T>
struct Whole {
  template <typename Wide>
  static Wide get(const void* data, int64_t i) {
    return converted<Wide>(static_cast<const T*>(data)[i], {});
  }
  template <typename Wide>
  static void set(void* data, int64_t i, Wide v, const SmallFloatRounding& rounding) {
    static_cast<T*>(data)[i] = converted<T>(v, rounding);
  }
};

template <int kBits>
struct Packed {
  static constexpr int kPerByte = 8 / kBits;
  static constexpr unsigned kMask = (1u << kBits) - 1;
  static int shift(int64_t i) { return static_cast<int>(i % kPerByte) * kBits; }
  static unsigned code(const void* data, int64_t i) {
    return static_cast<unsigned>(static_cast<const uint8_t*>(data)[i / kPerByte]) >> shift(i) & kMask;
  }
  static void put(void* data, int64_t i, unsigned code) {
    uint8_t& byte = static_cast<uint8_t*>(data)[i / kPerByte];
    byte = static_cast<uint8_t>((byte & ~(kMask << shift(i))) | (code & kMask) << shift(i));
  }
};

template <int kBits, bool kSigned>
struct PackedInteger : Packed<kBits> {
  template <typename Wide>
  static Wide get(const void* data, int64_t i) {
    const auto code = static_cast<int>(Packed<kBits>::code(data, i));
    constexpr int kHalf = 1 << (kBits - 1);
    return static_cast<Wide>(kSigned ? (code ^ kHalf) - kHalf : code);
  }
  template <typename Wide>
  static void set(void* data, int64_t i, Wide v, const SmallFloatRounding& rounding) {
    Packed<kBits>::put(data, i, static_cast<unsigned>(converted<int64_t>(v, rounding)));
  }
};

struct PackedFloat : Packed<4> {
  template <typename Wide>
  static Wide get(const void* data, int64_t i) {
    Float4E2M1 value;
    value.bits = static_cast<uint8_t>(code(data, i));
    return converted<Wide>(value, {});
  }
  template <typename Wide>
  static void set(void* data, int64_t i, Wide v, const SmallFloatRounding& rounding) {
    put(data, i, converted<Float4E2M1>(v, rounding).bits);
  }
};

template <typename F>
void visit_place(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f8e4m3fn: return f(Whole<Float8E4M3FN>{});
    case DType::f8e4m3fnuz: return f(Whole<Float8E4M3FNUZ>{});
    case DType::f8e5m2: return f(Whole<Float8E5M2>{});
    case DType::f8e5m2fnuz: return f(Whole<Float8E5M2FNUZ>{});
    case DType::f8e8m0: return f(Whole<Float8E8M0>{});
    case DType::f4e2m1: return f(PackedFloat{});
    case DType::i4: return f(PackedInteger<4, true>{});
    case DType::u4: return f(PackedInteger<4, false>{});
    case DType::i2: return f(PackedInteger<2, true>{});
    case DType::u2: return f(PackedInteger<2, false>{});
    default: return visit(dtype, [&](auto t) { f(Whole<decltype(t)>{}); });
  }
}

}  // namespace

template <typename Wide>
void load_elements(DType dtype, const void* data, int64_t first, int64_t stride, int64_t n, Wide* to) {
  visit_place(dtype, [&](auto place) {
    for (int64_t i = 0; i < n; ++i) to[i] = place.template get<Wide>(data, first + i * stride);
  });
}

template <typename Wide>
void store_elements(DType dtype, void* data, int64_t first, int64_t stride, int64_t n, const Wide* from,
                    const SmallFloatRounding& rounding) {
  visit_place(dtype, [&](auto place) {
    for (int64_t i = 0; i < n; ++i) place.set(data, first + i * stride, from[i], rounding);
  });
}

#define OXPLOW_WIDE(Wide)                                                                  \
  template void load_elements<Wide>(DType, const void*, int64_t, int64_t, int64_t, Wide*); \
  template void store_elements<Wide>(DType, void*, int64_t, int64_t, int64_t, const Wide*, const SmallFloatRounding&);
OXPLOW_WIDE(double)
OXPLOW_WIDE(int64_t)
OXPLOW_WIDE(uint64_t)
#undef OXPLOW_WIDE

}  // namespace oxplow
