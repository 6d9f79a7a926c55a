// Functions of the bits of integers: BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot, and BitShift by the bits that input 1 says, LEFT or
// RIGHT (attribute direction). Shifts by the width or more, or by less than 0, leave 0, or to the right of a negative number -1.

#include "oxplow/ops/wide_eltwise.h"

namespace oxplow {
namespace {

template <int kInputs>
Result<TensorTypes> infer_bitwise(const InferContext& c) {
  Shape shape = c.shape(0);
  if (!is_integer(c.type(0).dtype) || !is_arithmetic(c.type(0).dtype))
    return Error{ErrorCode::unsupported, "bits of " + std::string(name_of(c.type(0).dtype))};
  if (kInputs > 1) {
    if (c.type(1).dtype != c.type(0).dtype) return Error{ErrorCode::invalid_model, "inputs of two types"};
    OXPLOW_ASSIGN(shape, broadcast(shape, c.shape(1)));
  }
  return TensorTypes{{c.type(0).dtype, shape}};
}

// A step that gives f(a, b) for each pair of elements; for one input, b is that too.
template <typename Function>
std::unique_ptr<Step> bitwise_step(const PrepareContext& context, std::string name, Function f) {
  const size_t second = context.inputs.size() - 1;
  return wide_eltwise<int64_t>(context, std::move(name), [=](const int64_t* const* in, int64_t* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = f(in[0][i], in[second][i]);
  });
}

Result<std::unique_ptr<Step>> prepare_and(const PrepareContext& c) {
  return bitwise_step(c, "bitwise_and", [](int64_t a, int64_t b) { return a & b; });
}
Result<std::unique_ptr<Step>> prepare_or(const PrepareContext& c) {
  return bitwise_step(c, "bitwise_or", [](int64_t a, int64_t b) { return a | b; });
}
Result<std::unique_ptr<Step>> prepare_xor(const PrepareContext& c) {
  return bitwise_step(c, "bitwise_xor", [](int64_t a, int64_t b) { return a ^ b; });
}
Result<std::unique_ptr<Step>> prepare_not(const PrepareContext& c) {
  return bitwise_step(c, "bitwise_not", [](int64_t a, int64_t) { return ~a; });
}

template <typename Int>
Int shifted_left(Int a, Int by, int bits) {
  return by < 0 || by >= static_cast<Int>(bits) ? Int{0} : static_cast<Int>(static_cast<uint64_t>(a) << by);
}
template <typename Int>
Int shifted_right(Int a, Int by, int bits) {
  return by < 0 || by >= static_cast<Int>(bits) ? static_cast<Int>(a < 0 ? -1 : 0) : static_cast<Int>(a >> by);
}

Result<std::unique_ptr<Step>> prepare_shift(const PrepareContext& c) {
  const std::string direction = c.attributes.text("direction", "");
  const bool left = direction == "LEFT";
  if (!left && direction != "RIGHT") return Error{ErrorCode::invalid_model, "direction must be LEFT or RIGHT"};
  const int bits = bits_of(c.in(0).type.dtype);
  return visit_wide(c.in(0).type.dtype, [&](auto wide) -> Result<std::unique_ptr<Step>> {
    using Wide = decltype(wide);
    if constexpr (std::is_integral_v<Wide>) {
      return wide_eltwise<Wide>(c, left ? "shift_left" : "shift_right", [=](const Wide* const* in, Wide* out, int64_t n) {
        for (int64_t i = 0; i < n; ++i)
          out[i] = left ? shifted_left(in[0][i], in[1][i], bits) : shifted_right(in[0][i], in[1][i], bits);
      });
    }
    return Error{ErrorCode::internal, "bits of a float"};
  });
}

}  // namespace

namespace ops {
#define OXPLOW_BITWISE(op, inputs, prepare_op)              \
  constinit const OpSpec op{.name = #op,                    \
                            .infer = infer_bitwise<inputs>, \
                            .prepare = prepare_op,          \
                            .accepts_input = accepts_any,   \
                            .accepts_output = writes_any,   \
                            .required_inputs = inputs};
OXPLOW_BITWISE(BitwiseAnd, 2, prepare_and)
OXPLOW_BITWISE(BitwiseOr, 2, prepare_or)
OXPLOW_BITWISE(BitwiseXor, 2, prepare_xor)
OXPLOW_BITWISE(BitwiseNot, 1, prepare_not)
OXPLOW_BITWISE(BitShift, 2, prepare_shift)
#undef OXPLOW_BITWISE
}  // namespace ops
}  // namespace oxplow
