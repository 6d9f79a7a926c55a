// BitCast: the same bits as elements of another type of the same width (attribute to).

#include <cstring>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_bit_cast(const InferContext& c) {
  const int64_t code = c.attributes.integer("to", -1);
  if (code < 0 || code >= kDTypes || bits_of(static_cast<DType>(code)) != bits_of(c.type(0).dtype))
    return Error{ErrorCode::invalid_model, "the bits of " + std::string(name_of(c.type(0).dtype)) + " as another width"};
  return TensorTypes{{static_cast<DType>(code), c.shape(0)}};
}

Result<std::unique_ptr<Step>> prepare_bit_cast(const PrepareContext& c) {
  const size_t bytes = c.in(0).type.bytes();
  // Any bits may come in, but a boolean is 0 or 1.
  if (c.out().type.dtype == DType::boolean && c.in(0).type.dtype != DType::boolean) {
    return make_step("bit_cast", 1, [bytes](const Buffers& b, int, int) {
      for (size_t i = 0; i < bytes; ++i) b.out<uint8_t>()[i] = b.in<uint8_t>(0)[i] != 0;
    });
  }
  return make_step("bit_cast", 1, [bytes](const Buffers& b, int, int) { std::memcpy(b.outputs[0], b.inputs[0], bytes); });
}

}  // namespace

namespace ops {
constinit const OpSpec BitCast{.name = "BitCast", .infer = infer_bit_cast, .prepare = prepare_bit_cast};
}  // namespace ops
}  // namespace oxplow
