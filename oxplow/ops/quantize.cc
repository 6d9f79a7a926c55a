// QuantizeLinear: y = x / scale + zero point, rounded to nearest even and held within y's type. DequantizeLinear: y = (x - zero point) scale.
// Scale and zero point (input 2, may be absent: 0) are one number; or one along attribute axis; or, with attribute block_size, one for
// each run of so many elements along that axis. Attributes: output_dtype (else the zero point's type or u8, or the scale's type); for
// QuantizeLinear saturate (of small floats) and precision (the type of the division, else the scale's).

#include <algorithm>
#include <cmath>

#include "oxplow/base/elements.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// A dense tensor in pieces that lie together, and what scale each has.
struct Pieces {
  int64_t count = 0, length = 0;
  int64_t axis = 1, block = 0, blocks = 1;  // block 0: as many scales as the axis has elements
  int64_t inner = 1;
  bool one_scale = false;

  int64_t per_row() const { return block > 0 && inner == 1 ? blocks : axis; }
  struct Piece {
    int64_t first, length, scale;
  };
  Piece at(int64_t p) const {
    if (one_scale) return {p * length, std::min(length, axis - p * length), 0};
    if (block == 0) return {p * inner, inner, p % axis};
    if (inner > 1) return {p * inner, inner, (p / axis * blocks + p % axis / block) * inner};
    const int64_t begin = p % blocks * block;
    return {p / blocks * axis + begin, std::min(block, axis - begin), p};
  }
  // From an element's scale to its neighbour's.
  int64_t scale_stride() const { return block > 0 && inner > 1 ? 1 : 0; }
};

Result<Pieces> pieces_of(const Attributes& attributes, const Shape& x, const Shape& scale) {
  Pieces pieces;
  const int64_t elements = elements_of(x);
  if (elements_of(scale) == 1 && scale.rank() <= 1) {
    pieces.one_scale = true;
    pieces.axis = elements;
    pieces.length = 16 * kRunBlock;
    pieces.count = (elements + pieces.length - 1) / pieces.length;
    return pieces;
  }
  OXPLOW_ASSIGN(const int axis, normalized_axis(attributes.integer("axis", 1), x.rank()));
  pieces.axis = x[axis];
  pieces.inner = product(x, axis + 1, x.rank());
  pieces.block = attributes.integer("block_size", 0);
  if (pieces.block < 0) return Error{ErrorCode::invalid_model, "block_size must not be negative"};
  Shape wanted{x[axis]};
  if (pieces.block > 0) {
    pieces.blocks = x[axis] / pieces.block + (x[axis] % pieces.block != 0);
    wanted = x;
    wanted[axis] = pieces.blocks;
  }
  if (scale != wanted)
    return Error{ErrorCode::invalid_model,
                 "scales of " + to_string(scale) + " for " + to_string(x) + "; " + to_string(wanted) + " would do"};
  pieces.count = product(x, 0, axis) * pieces.per_row();
  pieces.length = pieces.inner * std::max<int64_t>(pieces.block, 1);
  return pieces;
}

// The type that attribute `name` says, if it does.
Result<std::optional<DType>> dtype_attribute(const InferContext& c, const char* name) {
  const int64_t code = c.attributes.integer(name, -1);
  if (code >= kDTypes) return Error{ErrorCode::invalid_model, std::string(name) + " is no element type"};
  if (code < 0) return std::optional<DType>();
  return std::optional<DType>(static_cast<DType>(code));
}

Status check_scales(const InferContext& c) {
  if (!is_float(c.type(1).dtype) && !is_small_float(c.type(1).dtype))
    return Error{ErrorCode::invalid_model, "a scale of type " + std::string(name_of(c.type(1).dtype))};
  if (c.has(2) && elements_of(c.shape(2)) != elements_of(c.shape(1)))
    return Error{ErrorCode::invalid_model, "scales and zero points differ in number"};
  OXPLOW_TRY([&]() -> Status {
    OXPLOW_ASSIGN([[maybe_unused]] const Pieces pieces, pieces_of(c.attributes, c.shape(0), c.shape(1)));
    return {};
  }());
  return {};
}

Result<TensorTypes> infer_quantize(const InferContext& c) {
  OXPLOW_TRY(check_scales(c));
  OXPLOW_ASSIGN(const auto stated, dtype_attribute(c, "output_dtype"));
  const DType to = c.has(2) ? c.type(2).dtype : stated.value_or(DType::u8);
  if (!is_integer(to) && !is_small_float(to)) return Error{ErrorCode::invalid_model, "quantizing to " + std::string(name_of(to))};
  return TensorTypes{{to, c.shape(0)}};
}

Result<TensorTypes> infer_dequantize(const InferContext& c) {
  OXPLOW_TRY(check_scales(c));
  OXPLOW_ASSIGN(const auto stated, dtype_attribute(c, "output_dtype"));
  const DType to = stated.value_or(c.type(1).dtype);
  if (!is_float(to)) return Error{ErrorCode::invalid_model, "dequantizing to " + std::string(name_of(to))};
  return TensorTypes{{to, c.shape(0)}};
}

// Runs function(x, scales, zero points, y, n) over blocks of the pieces of one task.
template <typename Function>
std::unique_ptr<Step> step_of_pieces(const PrepareContext& c, std::string kernel, Function function) {
  const Pieces pieces = *pieces_of(c.attributes, c.in(0).type.shape, c.in(1).type.shape);
  const DType x_type = c.in(0).type.dtype, scale_type = c.in(1).type.dtype, y_type = c.out().type.dtype;
  const bool has_zero = c.has(2);
  const DType zero_type = has_zero ? c.in(2).type.dtype : DType::u8;
  const SmallFloatRounding rounding{.saturate = c.attributes.integer("saturate", 1) != 0, .power = PowerRounding::up};
  const bool divisible = bits_of(y_type) >= 8 || pieces.one_scale;  // else neighbours share bytes
  const int tasks = divisible ? task_count(pieces.count, static_cast<double>(pieces.length) * 5, c.threads()) : 1;
  return make_step(std::move(kernel), tasks, [=](const Buffers& b, int task, int) {
    double x[kRunBlock], scale[kRunBlock], zero[kRunBlock] = {}, y[kRunBlock];
    const Range range = task_range(pieces.count, tasks, task);
    for (int64_t p = range.begin; p < range.end; ++p) {
      const auto piece = pieces.at(p);
      for (int64_t i = 0; i < piece.length; i += kRunBlock) {
        const int64_t n = std::min(kRunBlock, piece.length - i), stride = pieces.scale_stride();
        load_elements(x_type, b.inputs[0], piece.first + i, 1, n, x);
        load_elements(scale_type, b.inputs[1], piece.scale + i * stride, stride, n, scale);
        if (has_zero) load_elements(zero_type, b.inputs[2], piece.scale + i * stride, stride, n, zero);
        function(x, scale, zero, y, n);
        store_elements(y_type, b.outputs[0], piece.first + i, 1, n, y, rounding);
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_quantize(const PrepareContext& c) {
  const DType to = c.out().type.dtype;
  OXPLOW_ASSIGN(const auto stated, dtype_attribute(c.infer(), "precision"));
  const DType precision = stated.value_or(is_float(c.in(1).type.dtype) ? c.in(1).type.dtype : DType::f32);
  const bool rounds = is_integer(to);
  const auto low = rounds ? static_cast<double>(least_of<int64_t>(to)) : 0;
  const auto high = rounds ? static_cast<double>(greatest_of<int64_t>(to)) : 0;
  return step_of_pieces(c, "quantize", [=](const double* x, const double* scale, const double* zero, double* y, int64_t n) {
    alignas(8) std::byte quotients[kRunBlock * sizeof(double)];
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] / scale[i];
    store_elements(precision, quotients, 0, 1, n, y);
    load_elements(precision, quotients, 0, 1, n, y);
    for (int64_t i = 0; i < n; ++i) y[i] = rounds ? std::clamp(std::nearbyint(y[i]) + zero[i], low, high) : y[i] + zero[i];
  });
}

Result<std::unique_ptr<Step>> prepare_dequantize(const PrepareContext& c) {
  return step_of_pieces(c, "dequantize", [](const double* x, const double* scale, const double* zero, double* y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - zero[i]) * scale[i];
  });
}

}  // namespace

namespace ops {
constinit const OpSpec QuantizeLinear{
    .name = "QuantizeLinear", .infer = infer_quantize, .prepare = prepare_quantize, .required_inputs = 2};
constinit const OpSpec DequantizeLinear{
    .name = "DequantizeLinear", .infer = infer_dequantize, .prepare = prepare_dequantize, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
