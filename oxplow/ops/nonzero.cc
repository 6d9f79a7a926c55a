// NonZero: the indices of the elements that are not zero (or false, or ""), one column each, in row-major order: i64[rank, count].

#include <algorithm>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

std::vector<bool> not_zero(const Tensor& x) {
  std::vector<bool> marks(static_cast<size_t>(x.elements()));
  const auto mark = [&](auto values, auto zero) {
    for (size_t i = 0; i < values.size(); ++i) marks[i] = values[i] != zero;
  };
  if (x.dtype() == DType::string) {
    mark(x.values<std::string_view>(), std::string_view());
    return marks;
  }
  visit(x.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
      const auto values = x.values<T>();
      for (size_t i = 0; i < values.size(); ++i) marks[i] = static_cast<float>(values[i]) != 0;
    } else {
      mark(x.values<T>(), T{});
    }
  });
  return marks;
}

Result<std::vector<Datum>> compute_nonzero(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor x, c.tensor(0, "the input"));
  if (x.dtype() != DType::string && !is_arithmetic(x.dtype()))
    return Error{ErrorCode::unsupported, "NonZero of " + std::string(name_of(x.dtype()))};
  const std::vector<bool> marks = not_zero(x);
  const int64_t count = std::count(marks.begin(), marks.end(), true);
  const int rank = x.shape().rank();
  OXPLOW_ASSIGN(Tensor result, Tensor::allocate({DType::i64, Shape{rank, count}}));
  const auto indices = result.mutable_values<int64_t>();
  int64_t column = 0;
  for (size_t i = 0; i < marks.size(); ++i) {
    if (!marks[i]) continue;
    auto rest = static_cast<int64_t>(i);
    for (int axis = rank - 1; axis >= 0; --axis) {
      indices[static_cast<size_t>(axis * count + column)] = rest % x.shape()[axis];
      rest /= x.shape()[axis];
    }
    ++column;
  }
  return std::vector<Datum>{std::move(result)};
}

}  // namespace

namespace ops {
constinit const OpSpec NonZero{.name = "NonZero", .compute = compute_nonzero};
}  // namespace ops
}  // namespace oxplow
