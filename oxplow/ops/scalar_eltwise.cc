#include "oxplow/ops/scalar_eltwise.h"

#include <cmath>
#include <limits>
#include <optional>

#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// v without its fraction, or the nearest number that T has; NaN gives 0.
template <typename T>
T saturated(double v) {
  constexpr T kLow = std::numeric_limits<T>::lowest(), kHigh = std::numeric_limits<T>::max();
  return v != v ? T{0} : v <= static_cast<double>(kLow) ? kLow : v >= static_cast<double>(kHigh) ? kHigh : static_cast<T>(v);
}

int64_t wrap(uint64_t v) { return static_cast<int64_t>(v); }
uint64_t bits(int64_t v) { return static_cast<uint64_t>(v); }

int64_t divide(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? wrap(0 - bits(a)) : a / b; }
int64_t remainder(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

int64_t floor_remainder(int64_t a, int64_t b) {
  const int64_t r = remainder(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

int64_t power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, square = bits(base);
  for (; exponent; exponent >>= 1, square *= square) {
    if (exponent & 1) result *= square;
  }
  return wrap(result);
}

// Limits beyond the integers are the integers' own; a limit that is no number does not bind.
int64_t clip(int64_t a, float low, float high) {
  if (low == low) a = std::max(a, saturated<int64_t>(static_cast<double>(low)));
  if (high == high) a = std::min(a, saturated<int64_t>(static_cast<double>(high)));
  return a;
}

std::optional<int64_t> apply(const ChainStep& f, int64_t a, int64_t b, int64_t c) {
  switch (f.op) {
    case EltwiseOp::identity: return a;
    case EltwiseOp::add: return wrap(bits(a) + bits(b));
    case EltwiseOp::sub: return wrap(bits(a) - bits(b));
    case EltwiseOp::mul: return wrap(bits(a) * bits(b));
    case EltwiseOp::div: return divide(a, b);
    case EltwiseOp::min: return std::min(a, b);
    case EltwiseOp::max: return std::max(a, b);
    case EltwiseOp::pow: return power(a, b);
    case EltwiseOp::fmod: return remainder(a, b);
    case EltwiseOp::floor_mod: return floor_remainder(a, b);
    case EltwiseOp::select: return a ? b : c;
    case EltwiseOp::neg: return wrap(0 - bits(a));
    case EltwiseOp::abs: return a < 0 ? wrap(0 - bits(a)) : a;
    case EltwiseOp::sign: return (a > 0) - (a < 0);
    case EltwiseOp::clip: return clip(a, f.alpha, f.beta);
    case EltwiseOp::less: return a < b;
    case EltwiseOp::less_equal: return a <= b;
    case EltwiseOp::greater: return a > b;
    case EltwiseOp::greater_equal: return a >= b;
    case EltwiseOp::equal: return a == b;
    case EltwiseOp::not_equal: return a != b;
    case EltwiseOp::logical_and: return a && b;
    case EltwiseOp::logical_or: return a || b;
    case EltwiseOp::logical_xor: return !a != !b;
    case EltwiseOp::logical_not: return !a;
    default: return std::nullopt;
  }
}

std::optional<double> apply(const ChainStep& f, double a, double b, double c) {
  switch (f.op) {
    case EltwiseOp::identity: return a;
    case EltwiseOp::add: return a + b;
    case EltwiseOp::sub: return a - b;
    case EltwiseOp::mul: return a * b;
    case EltwiseOp::div: return a / b;
    case EltwiseOp::min: return a != a || a < b ? a : b;
    case EltwiseOp::max: return a != a || a > b ? a : b;
    case EltwiseOp::pow: return std::pow(a, b);
    case EltwiseOp::fmod: return std::fmod(a, b);
    case EltwiseOp::select: return a != 0 ? b : c;
    case EltwiseOp::neg: return -a;
    case EltwiseOp::abs: return std::fabs(a);
    case EltwiseOp::sign: return a != a ? a : (a > 0) - (a < 0);
    case EltwiseOp::sqrt: return std::sqrt(a);
    case EltwiseOp::reciprocal: return 1 / a;
    case EltwiseOp::floor: return std::floor(a);
    case EltwiseOp::ceil: return std::ceil(a);
    case EltwiseOp::round: return std::nearbyint(a);
    case EltwiseOp::exp: return std::exp(a);
    case EltwiseOp::log: return std::log(a);
    case EltwiseOp::erf: return std::erf(a);
    case EltwiseOp::tanh: return std::tanh(a);
    case EltwiseOp::sin: return std::sin(a);
    case EltwiseOp::cos: return std::cos(a);
    case EltwiseOp::sigmoid: return 1 / (1 + std::exp(-a));
    case EltwiseOp::clip: return a != a ? a : std::fmin(std::fmax(a, static_cast<double>(f.alpha)), static_cast<double>(f.beta));
    case EltwiseOp::less: return a < b;
    case EltwiseOp::less_equal: return a <= b;
    case EltwiseOp::greater: return a > b;
    case EltwiseOp::greater_equal: return a >= b;
    case EltwiseOp::equal: return a == b;
    case EltwiseOp::not_equal: return a != b;
    case EltwiseOp::is_nan: return a != a;
    default: return std::nullopt;
  }
}

template <typename Number>
Number load(const void* data, DType dtype, int64_t index) {
  return visit(dtype, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
      return static_cast<Number>(static_cast<float>(static_cast<const T*>(data)[index]));
    } else {
      return static_cast<Number>(static_cast<const T*>(data)[index]);
    }
  });
}

template <typename Number>
void store(void* data, DType dtype, int64_t index, Number value) {
  visit(dtype, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
      static_cast<T*>(data)[index] = T(static_cast<float>(value));
    } else if constexpr (std::is_same_v<T, bool>) {
      static_cast<T*>(data)[index] = value != 0;
    } else if constexpr (std::is_floating_point_v<Number> && std::is_integral_v<T>) {
      static_cast<T*>(data)[index] = saturated<T>(value);
    } else {
      static_cast<T*>(data)[index] = static_cast<T>(value);
    }
  });
}

template <typename Number>
std::unique_ptr<Step> scalar_step(const PrepareContext& context, const ChainStep& function) {
  const Shape shape = context.out().type.shape;
  std::vector<Dims> strides;
  std::vector<DType> types;
  for (const Operand& input : context.inputs) {
    strides.push_back(broadcast_strides(input, shape));
    types.push_back(input.type.dtype);
  }
  strides.push_back(context.out().strides);
  const DType result = context.out().type.dtype;
  return make_step("scalar " + std::string(name_of(function.op)), 1, [=](const Buffers& b, int, int) {
    const int64_t elements = elements_of(shape);
    Dims index = Dims::filled(shape.rank(), 0);
    for (int64_t e = 0; e < elements; ++e) {
      int64_t at[4] = {};  // of each input, then of the output
      for (size_t i = 0; i < strides.size(); ++i) {
        for (int d = 0; d < shape.rank(); ++d) at[i] += index[d] * strides[i][d];
      }
      Number v[3] = {};
      for (size_t i = 0; i < types.size(); ++i) v[i] = load<Number>(b.inputs[i], types[i], at[i]);
      store<Number>(b.outputs[0], result, at[types.size()], *apply(function, v[0], v[1], v[2]));
      for (int d = shape.rank() - 1; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
    }
  });
}

}  // namespace

Result<std::unique_ptr<Step>> prepare_scalar(const PrepareContext& context, const ChainStep& function) {
  bool floating = false;
  for (const Operand& input : context.inputs) {
    if (bits_of(input.type.dtype) < 8) return Error{ErrorCode::unsupported, "arithmetic on 4-bit elements"};
    floating = floating || is_float(input.type.dtype);
  }
  const bool known =
      floating ? apply(function, 1.0, 1.0, 1.0).has_value() : apply(function, int64_t{1}, int64_t{1}, int64_t{1}).has_value();
  if (!known)
    return Error{ErrorCode::unsupported,
                 std::string(name_of(function.op)) + " of " + std::string(name_of(context.in(0).type.dtype))};
  return floating ? scalar_step<double>(context, function) : scalar_step<int64_t>(context, function);
}

}  // namespace oxplow
