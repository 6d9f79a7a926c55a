// Ops whose results are about shapes: Shape, Size, ConstantOfShape, Range. They are folded before the run.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

// The axes [start, end) that Shape reports.
Range reported_axes(const InferContext& c) {
  const int64_t rank = c.shape(0).rank();
  const auto place = [&](int64_t axis) { return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank); };
  const int64_t begin = place(c.attributes.integer("start", 0));
  return {begin, std::max(begin, place(c.attributes.integer("end", rank)))};
}

Result<TensorTypes> infer_shape(const InferContext& c) {
  const Range axes = reported_axes(c);
  return TensorTypes{{DType::i64, Shape{axes.end - axes.begin}}};
}

std::optional<Tensor> known_shape(const InferContext& c) {
  const Range axes = reported_axes(c);
  return Tensor::of<int64_t>(std::span(c.shape(0).begin() + axes.begin, c.shape(0).begin() + axes.end),
                             Shape{axes.end - axes.begin});
}

Result<TensorTypes> infer_size(const InferContext&) { return TensorTypes{{DType::i64, Shape{}}}; }
std::optional<Tensor> known_size(const InferContext& c) { return Tensor::scalar<int64_t>(c.type(0).elements()); }

Result<TensorTypes> infer_constant_of_shape(const InferContext& c) {
  OXPLOW_ASSIGN(auto extents, c.integers(0, "the shape"));
  const Tensor* value = c.attributes.tensor("value");
  if (extents.size() > static_cast<size_t>(kMaxRank)) return Error{ErrorCode::unsupported, "more than 10 axes"};
  if (value && (value->elements() != 1 || bits_of(value->dtype()) < 8))
    return Error{ErrorCode::unsupported, "a value of " + to_string(value->type()) + "; one element of 8 bits or more can be"};
  TensorType type{value ? value->dtype() : DType::f32, Shape(std::span<const int64_t>(extents))};
  int64_t bits = bits_of(type.dtype);
  for (int64_t extent : extents) {
    if (extent < 0 || __builtin_mul_overflow(bits, extent, &bits))
      return Error{ErrorCode::invalid_model, "impossible shape " + to_string(type.shape)};
  }
  if (bits > int64_t{8} << 34)
    return Error{ErrorCode::invalid_model, "a constant of shape " + to_string(type.shape) + " would take more than 16 GiB"};
  return TensorTypes{type};
}

Result<std::unique_ptr<Step>> prepare_constant_of_shape(const PrepareContext& c) {
  const TensorType type = c.out().type;
  const Tensor* given = c.attributes.tensor("value");
  const Tensor value = given ? *given : Tensor::scalar<float>(0);
  return make_step("fill", 1, [type, value](const Buffers& b, int, int) {
    const size_t element = static_cast<size_t>(bits_of(type.dtype)) / 8;
    for (int64_t i = 0; i < type.elements(); ++i)
      std::memcpy(b.out<std::byte>() + static_cast<size_t>(i) * element, value.data(), element);
  });
}

Result<double> scalar_of(const InferContext& c, int i) {
  const Tensor* value = c.constant(i);
  if (value != nullptr && value->elements() != 1) return Error{ErrorCode::invalid_model, "a Range whose bounds are no scalars"};
  if (value == nullptr) return Error{ErrorCode::needs_values, "a Range whose bounds depend on data"};
  if (!is_arithmetic(value->dtype())) return Error{ErrorCode::unsupported, "a Range of " + std::string(name_of(value->dtype()))};
  return visit(value->dtype(), [&](auto t) -> double {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
      return static_cast<double>(static_cast<float>(value->values<T>()[0]));
    } else {
      return static_cast<double>(value->values<T>()[0]);
    }
  });
}

Result<TensorTypes> infer_range(const InferContext& c) {
  OXPLOW_ASSIGN(const double start, scalar_of(c, 0));
  OXPLOW_ASSIGN(const double limit, scalar_of(c, 1));
  OXPLOW_ASSIGN(const double delta, scalar_of(c, 2));
  if (c.type(1).dtype != c.type(0).dtype || c.type(2).dtype != c.type(0).dtype)
    return Error{ErrorCode::invalid_model, "the bounds of a Range differ in their types"};
  if (delta == 0) return Error{ErrorCode::invalid_model, "a Range of step 0"};
  const double count = std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count < 1e10)) return Error{ErrorCode::invalid_model, "a Range of more than 1e10 elements"};
  return TensorTypes{{c.type(0).dtype, Shape{static_cast<int64_t>(count)}}};
}

Result<std::unique_ptr<Step>> prepare_range(const PrepareContext& c) {
  const TensorType type = c.out().type;
  return visit(type.dtype, [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, bool>) {
      return Error{ErrorCode::unsupported, "a Range of " + std::string(name_of(type.dtype))};
    } else {
      // Half precision counts in f32.
      using C = std::conditional_t<std::is_class_v<T>, float, T>;
      return make_step("range", 1, [type](const Buffers& b, int, int) {
        const C start = static_cast<C>(b.in<T>(0)[0]), delta = static_cast<C>(b.in<T>(2)[0]);
        for (int64_t i = 0; i < type.elements(); ++i) b.out<T>()[i] = T(static_cast<C>(start + static_cast<C>(i) * delta));
      });
    }
  });
}

}  // namespace

namespace ops {
constinit const OpSpec ShapeOf{.name = "Shape", .infer = infer_shape, .known = known_shape, .strings = true};
constinit const OpSpec Size{.name = "Size", .infer = infer_size, .known = known_size, .strings = true};
constinit const OpSpec ConstantOfShape{
    .name = "ConstantOfShape", .infer = infer_constant_of_shape, .prepare = prepare_constant_of_shape};
constinit const OpSpec RangeOp{.name = "Range", .infer = infer_range, .prepare = prepare_range, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
