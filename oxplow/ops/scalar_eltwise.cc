#include "oxplow/ops/scalar_eltwise.h"

#include <optional>

#include "oxplow/kernels/eltwise/reference.h"
#include "oxplow/ops/wide_eltwise.h"

namespace oxplow {
namespace {

// Arithmetic of two's complement, in which overflow wraps. Int is int64_t or uint64_t.
template <typename Int>
Int negated(Int a) {
  return static_cast<Int>(0 - static_cast<uint64_t>(a));
}
template <typename Int>
Int divide(Int a, Int b) {
  if (b == 0) return 0;
  return std::is_signed_v<Int> && b == static_cast<Int>(-1) ? negated(a) : static_cast<Int>(a / b);
}
template <typename Int>
Int remainder(Int a, Int b) {
  return b == 0 || (std::is_signed_v<Int> && b == static_cast<Int>(-1)) ? Int{0} : static_cast<Int>(a % b);
}
template <typename Int>
Int floor_remainder(Int a, Int b) {
  const Int r = remainder(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
template <typename Int>
Int power(Int base, Int exponent) {
  if (exponent < 0) return base == 1 ? Int{1} : base == static_cast<Int>(-1) ? static_cast<Int>(exponent % 2 ? -1 : 1) : Int{0};
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (; exponent; exponent >>= 1, square *= square) {
    if (exponent & 1) result *= square;
  }
  return static_cast<Int>(result);
}
// Limits beyond the integers are the integers' own; a limit that is no number does not bind.
template <typename Int>
Int clip(Int a, float low, float high) {
  if (low == low) a = std::max(a, saturated<Int>(static_cast<double>(low)));
  if (high == high) a = std::min(a, saturated<Int>(static_cast<double>(high)));
  return a;
}

// The functions that integers have.
template <typename Int>
std::optional<Int> integer_function(const ChainStep& f, Int a, Int b, Int c) {
  const auto wrapped = [](uint64_t v) { return static_cast<Int>(v); };
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  switch (f.op) {
    case EltwiseOp::identity: return a;
    case EltwiseOp::add: return wrapped(x + y);
    case EltwiseOp::sub: return wrapped(x - y);
    case EltwiseOp::mul: return wrapped(x * y);
    case EltwiseOp::div: return divide(a, b);
    case EltwiseOp::min: return std::min(a, b);
    case EltwiseOp::max: return std::max(a, b);
    case EltwiseOp::pow: return power(a, b);
    case EltwiseOp::fmod: return remainder(a, b);
    case EltwiseOp::floor_mod: return floor_remainder(a, b);
    case EltwiseOp::prelu: return a < 0 ? wrapped(x * y) : a;
    case EltwiseOp::select: return a ? b : c;
    case EltwiseOp::neg: return negated(a);
    case EltwiseOp::abs: return a < 0 ? negated(a) : a;
    case EltwiseOp::sign: return static_cast<Int>((a > 0) - (a < 0));
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

using FloatFunction = void (*)(const ChainStep& f, const double* const* in, double* out, int64_t n);

template <EltwiseOp kOp, int kArity>
void float_function(const ChainStep& f, const double* const* in, double* out, int64_t n) {
  const auto alpha = static_cast<double>(f.alpha), beta = static_cast<double>(f.beta);
  for (int64_t i = 0; i < n; ++i) {
    const double a = kArity > 0 ? in[0][i] : 0, b = kArity > 1 ? in[1][i] : 0, c = kArity > 2 ? in[2][i] : 0;
    out[i] = eltwise_reference::evaluate<kOp, double>(a, b, c, alpha, beta);
  }
}

// Every function of the kernels' list by its formula.
constexpr FloatFunction kFloatFunctions[] = {
#define OXPLOW_ELTWISE_OP(name, arity, formula) float_function<EltwiseOp::name, arity>,
#include "oxplow/kernels/eltwise/eltwise_ops.inc"
#undef OXPLOW_ELTWISE_OP
};

template <typename Int>
std::unique_ptr<Step> integer_step(const PrepareContext& context, std::string name, const ChainStep& f) {
  return wide_eltwise<Int>(context, std::move(name), [f, arity = arity_of(f.op)](const Int* const* in, Int* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
      out[i] = *integer_function<Int>(f, in[0][i], arity > 1 ? in[1][i] : Int{0}, arity > 2 ? in[2][i] : Int{0});
  });
}

}  // namespace

Result<std::unique_ptr<Step>> prepare_scalar(const PrepareContext& context, const ChainStep& function) {
  bool floating = false;
  for (const Operand& input : context.inputs) {
    if (!is_arithmetic(input.type.dtype))
      return Error{ErrorCode::unsupported, "arithmetic on " + std::string(name_of(input.type.dtype))};
    floating = floating || is_float(input.type.dtype);
  }
  const std::string name = "scalar " + std::string(name_of(function.op));
  if (floating) {
    return wide_eltwise<double>(context, name, [function](const double* const* in, double* out, int64_t n) {
      kFloatFunctions[static_cast<size_t>(function.op)](function, in, out, n);
    });
  }
  const Operand& number = context.in(function.op == EltwiseOp::select ? 1 : 0);
  if (!integer_function<int64_t>(function, 1, 1, 1))
    return Error{ErrorCode::unsupported, std::string(name_of(function.op)) + " of " + std::string(name_of(number.type.dtype))};
  return number.type.dtype == DType::u64 ? integer_step<uint64_t>(context, name, function)
                                         : integer_step<int64_t>(context, name, function);
}

}  // namespace oxplow
