// Import of quantization. Products of quantized matrices are said as products of i32 between shifts by the zero points and a scaling.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

ValueId cast(Builder& b, ValueId x, DType to) {
  Attributes attributes;
  attributes.set("to", static_cast<int64_t>(to));
  return b.add1("Cast", {x}, std::move(attributes));
}

// Types that ONNX numbers in attributes, where given.
Results with_dtypes(Builder& b) {
  OXPLOW_ASSIGN(Attributes attributes, attributes_with_dtype(b, "output_dtype"));
  OXPLOW_ASSIGN(const Attributes other, attributes_with_dtype(b, "precision"));
  // 0 stands for "not given".
  if (b.node.attributes.integer("output_dtype", 0) == 0) attributes.erase("output_dtype");
  attributes.erase("precision");
  if (b.node.attributes.integer("precision", 0) != 0) attributes.set("precision", other.integer("precision", 0));
  return b.add(b.node.op, b.node.inputs, std::move(attributes));
}

// One number a row of the left matrix, as a column that is broadcast along them.
ValueId as_column(Builder& b, ValueId value) {
  const Tensor* known = value == kNoValue ? nullptr : b.graph.constant(value);
  const bool one_a_row = known && known->shape().rank() == 1 && known->elements() > 1;
  return one_a_row ? b.add1("Unsqueeze", {value, b.integers({1})}) : value;
}

// x - zero point in i32.
ValueId shifted(Builder& b, ValueId x, ValueId zero) {
  const ValueId wide = cast(b, x, DType::i32);
  return zero == kNoValue ? wide : b.add1("Sub", {wide, cast(b, zero, DType::i32)});
}

Results matmul_integer(Builder& b) {
  const OnnxNode& n = b.node;
  if (n.input(0) == kNoValue || n.input(1) == kNoValue) return missing("a matrix");
  return b.add("MatMul", {shifted(b, n.input(0), as_column(b, n.input(2))), shifted(b, n.input(1), n.input(3))});
}

// Inputs: a, its scale and zero point, b, its scale and zero point, y's scale and zero point.
Results qlinear_matmul(Builder& b) {
  const OnnxNode& n = b.node;
  if (n.inputs.size() < 8) return missing("a matrix, a scale or a zero point");
  const ValueId product =
      b.add1("MatMul", {shifted(b, n.input(0), as_column(b, n.input(2))), shifted(b, n.input(3), n.input(5))});
  const ValueId scale = b.add1("Mul", {cast(b, as_column(b, n.input(1)), DType::f32), cast(b, n.input(4), DType::f32)});
  const ValueId y = b.add1("Mul", {cast(b, product, DType::f32), scale});
  return b.add("QuantizeLinear", {y, cast(b, n.input(6), DType::f32), n.input(7)});
}

// y, scale and zero point of u8 that cover x and 0.
Results dynamic_quantize(Builder& b) {
  const ValueId x = b.node.input(0);
  if (x == kNoValue) return missing("the input");
  Attributes all, bytes;
  all.set("keepdims", int64_t{0});
  bytes.set("alpha", 0.0f);
  bytes.set("beta", 255.0f);
  const ValueId zero = b.number(0);
  const ValueId least = b.add1("Minimum", {b.add1("ReduceMin", {x}, all), zero});
  const ValueId most = b.add1("Maximum", {b.add1("ReduceMax", {x}, all), zero});
  const ValueId scale = b.add1("Div", {b.add1("Sub", {most, least}), b.number(255)});
  const ValueId exact = b.add1("Sub", {zero, b.add1("Div", {least, scale})});
  const ValueId zero_point = cast(b, b.add1("ClipTo", {b.add1("Round", {exact})}, bytes), DType::u8);
  return std::vector<ValueId>{b.add1("QuantizeLinear", {x, scale, zero_point}), scale, zero_point};
}

constexpr NamedRule kRules[] = {
    {"DequantizeLinear", with_dtypes}, {"DynamicQuantizeLinear", dynamic_quantize},
    {"MatMulInteger", matmul_integer}, {"QLinearMatMul", qlinear_matmul},
    {"QuantizeLinear", with_dtypes},
};

}  // namespace

std::span<const NamedRule> quantization_rules() { return kRules; }

}  // namespace oxplow
