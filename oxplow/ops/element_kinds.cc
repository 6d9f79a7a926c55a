#include "oxplow/ops/element_kinds.h"

namespace oxplow {

Status check_indices(const InferContext& c, int i, int64_t extent) {
  if (!is_index(c.type(i).dtype)) return Error{ErrorCode::invalid_model, "indices must be i32 or i64"};
  const Tensor* known = c.constant(i);
  if (known == nullptr) return {};
  for (int64_t index : to_int64s(*known)) {
    if (index < -extent || index >= extent)
      return Error{ErrorCode::invalid_model,
                   "index " + std::to_string(index) + " is outside of an axis of " + std::to_string(extent)};
  }
  return {};
}

Result<std::vector<double>> known_numbers(const InferContext& c, int i, std::string_view what) {
  const Tensor* value = c.constant(i);
  // The error is that of integers: what runs graphs whose shapes depend on data knows it.
  if (value == nullptr) return c.integers(i, what).error();
  if (!is_arithmetic(value->dtype())) return Error{ErrorCode::unsupported, std::string(what) + " of " + to_string(value->type())};
  std::vector<double> numbers;
  visit(value->dtype(), [&](auto t) {
    using T = decltype(t);
    for (T v : value->values<T>()) {
      if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
        numbers.push_back(static_cast<double>(static_cast<float>(v)));
      } else {
        numbers.push_back(static_cast<double>(v));
      }
    }
  });
  return numbers;
}

}  // namespace oxplow
