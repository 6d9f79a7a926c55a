// Import of what works on images: convolution, pooling, resizing, sampling and regions of interest.

#include "oxplow/graph/import/onnx_builder.h"

namespace oxplow {
namespace {

// Signals, which have one spatial axis, are images of height 1.
Results finish_image(Builder& b, ValueId nhwc, bool signal) {
  const ValueId nchw = b.to_nchw(nhwc);
  return std::vector<ValueId>{signal ? b.add1("Squeeze", {nchw, b.integers({2})}) : nchw};
}

// Attributes of a window over a signal, as over an image of height 1.
Attributes image_attributes(Attributes attributes, bool signal) {
  if (!signal) return attributes;
  const auto widen = [&](const char* name, int64_t value) {
    if (auto v = attributes.integers(name); v.size() == 1) attributes.set(name, std::vector<int64_t>{value, v[0]});
  };
  widen("kernel_shape", 1);
  widen("strides", 1);
  widen("dilations", 1);
  if (auto v = attributes.integers("pads"); v.size() == 2) attributes.set("pads", std::vector<int64_t>{0, v[0], 0, v[1]});
  return attributes;
}

// Whether the model says that a value is of another type than f32.
bool other_type(const Builder& b, ValueId id) {
  if (const Tensor* known = b.graph.constant(id)) return known->dtype() != DType::f32;
  const auto& inputs = b.graph.inputs;
  const auto it = std::find(inputs.begin(), inputs.end(), id);
  return it != inputs.end() && b.graph.declared[static_cast<size_t>(it - inputs.begin())].dtype != DType::f32;
}

// What the kernels have is said in NHWC, the rest as it is: other than one or two axes, and weights that are not f32.
Results conv(Builder& b) {
  const ValueId w = b.node.input(1);
  if (b.node.input(0) == kNoValue || w == kNoValue) return missing("the input or the weights");
  size_t axes = b.node.attributes.integers("kernel_shape").size();
  if (const Tensor* known = b.graph.constant(w); axes == 0 && known && known->shape().rank() > 2)
    axes = known->shape().size() - 2;
  if ((axes != 1 && axes != 2) || other_type(b, w)) return renamed<"ConvNd">(b);
  const bool signal = axes == 1;
  const auto as_image = [&](ValueId v) { return signal ? b.add1("Unsqueeze", {v, b.integers({2})}) : v; };
  const ValueId x = b.to_nhwc(as_image(b.node.inputs[0]));
  std::vector<ValueId> inputs{x, as_image(w)};
  if (b.node.input(2) != kNoValue) inputs.push_back(b.node.inputs[2]);
  return finish_image(b, b.add1("Conv", std::move(inputs), image_attributes(b.node.attributes, signal)), signal);
}

// What the kernels have is said in NHWC, the rest as it is: other than one or two axes, and indices.
Results pool(Builder& b) {
  if (b.node.inputs.empty()) return missing("the input");
  const size_t axes = b.node.attributes.integers("kernel_shape").size();
  const std::string nd = std::string(b.node.op) + "Nd";
  if ((axes != 1 && axes != 2) || b.node.outputs > 1) return b.add(nd, b.node.inputs, b.node.attributes, b.node.outputs);
  const bool signal = axes == 1;
  const ValueId x = signal ? b.add1("Unsqueeze", {b.node.inputs[0], b.integers({2})}) : b.node.inputs[0];
  return finish_image(b, b.add1(b.node.op, {b.to_nhwc(x)}, image_attributes(b.node.attributes, signal)), signal);
}

template <Literal kReduction>
Results global_pool(Builder& b) {
  Attributes attributes;
  attributes.set("first_axis", int64_t{2});
  return b.add(kReduction.value, b.node.inputs, std::move(attributes));
}

// Before opset 11 coordinates were asymmetric, and the only other input was the scales.
Results resize(Builder& b) {
  if (b.node.op == "Resize" && b.node.opset >= 11) return same(b);
  if (b.node.inputs.empty()) return missing("the input");
  Attributes attributes = b.node.attributes;
  attributes.set("coordinate_transformation_mode", std::string("asymmetric"));
  attributes.set("nearest_mode", std::string("floor"));
  ValueId scales = b.node.input(1);
  if (attributes.has("scales")) {
    const auto given = attributes.numbers("scales");
    scales = b.graph.add_constant(Tensor::of<float>(given, Shape{static_cast<int64_t>(given.size())}), b.node.name + ":scales");
  }
  return b.add("Resize", {b.node.inputs[0], kNoValue, scales}, std::move(attributes));
}

// Before opset 16 coordinates were not moved by half a pixel.
Results roi_align(Builder& b) {
  Attributes attributes = b.node.attributes;
  if (b.node.opset < 16) attributes.set("coordinate_transformation_mode", std::string("output_half_pixel"));
  return b.add("RoiAlign", b.node.inputs, std::move(attributes));
}

constexpr NamedRule kRules[] = {
    {"AffineGrid", same},
    {"AveragePool", pool},
    {"Col2Im", same},
    {"Conv", conv},
    {"ConvTranspose", same},
    {"DeformConv", same},
    {"GlobalAveragePool", global_pool<"ReduceMean">},
    {"GlobalMaxPool", global_pool<"ReduceMax">},
    {"GridSample", same},
    {"LpPool", renamed<"LpPoolNd">},
    {"MaxPool", pool},
    {"MaxRoiPool", same},
    {"MaxUnpool", renamed<"MaxUnpoolNd">},
    {"Resize", resize},
    {"RoiAlign", roi_align},
    {"Upsample", resize},
};

}  // namespace

std::span<const NamedRule> image_rules() { return kRules; }

}  // namespace oxplow
