#include "oxplow/base/dtype.h"

namespace oxplow {

std::optional<DType> dtype_named(std::string_view name) {
#define OXPLOW_DTYPE(dtype, bits, type) \
  if (name == #dtype) return DType::dtype;
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
  return std::nullopt;
}

}  // namespace oxplow
