#include "oxplow/ops/conv_geometry.h"

#include <algorithm>

namespace oxplow {
namespace {

struct AxisWindow {
  int64_t out = 0, pad_begin = 0, pad_end = 0;
};

Result<AxisWindow> axis_window(const std::string& auto_pad, bool ceil_mode, int64_t in, int64_t kernel, int64_t stride,
                               int64_t dilation, int64_t pad_begin, int64_t pad_end) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  const auto sane = [](int64_t v, int64_t low) { return v >= low && v < kLimit; };
  if (!sane(kernel, 1) || !sane(stride, 1) || !sane(dilation, 1) || !sane(pad_begin, 0) || !sane(pad_end, 0)) {
    return Error{ErrorCode::invalid_model, "kernel, strides, dilations or pads are out of range"};
  }
  const int64_t reach = (kernel - 1) * dilation + 1;
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const int64_t out = (in + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * stride + reach - in);
    const int64_t small = total / 2;
    return auto_pad == "SAME_UPPER" ? AxisWindow{out, small, total - small} : AxisWindow{out, total - small, small};
  }
  if (auto_pad == "VALID") pad_begin = pad_end = 0;
  const int64_t room = in + pad_begin + pad_end - reach;
  if (room < 0)
    return Error{ErrorCode::invalid_model,
                 "a window of " + std::to_string(reach) + " does not fit into an image of " + std::to_string(in)};
  int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  // A last window must begin inside the image or its leading padding.
  if (ceil_mode && (out - 1) * stride >= in + pad_begin) --out;
  return AxisWindow{out, pad_begin, pad_end};
}

}  // namespace

Border Window::border() const {
  const int64_t below = (out_h - 1) * stride_h + (kernel_h - 1) * dilation_h + 1 - in_h - pad_top;
  const int64_t right = (out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1 - in_w - pad_left;
  return {pad_top, pad_left, std::max<int64_t>(below, 0), std::max<int64_t>(right, 0)};
}

Result<Window> window_of(const Attributes& attributes, const Shape& image, int64_t kernel_h, int64_t kernel_w) {
  const auto pair = [&](const char* name, std::vector<int64_t> otherwise) {
    return attributes.has(name) ? attributes.integers(name) : otherwise;
  };
  const auto strides = pair("strides", {1, 1}), dilations = pair("dilations", {1, 1}), pads = pair("pads", {0, 0, 0, 0});
  if (strides.size() != 2 || dilations.size() != 2 || pads.size() != 4) {
    return Error{ErrorCode::invalid_model, "strides, dilations or pads do not fit an image of two axes"};
  }
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  const bool ceil_mode = attributes.integer("ceil_mode", 0) != 0;
  OXPLOW_ASSIGN(const AxisWindow h,
                axis_window(auto_pad, ceil_mode, image[1], kernel_h, strides[0], dilations[0], pads[0], pads[2]));
  OXPLOW_ASSIGN(const AxisWindow w,
                axis_window(auto_pad, ceil_mode, image[2], kernel_w, strides[1], dilations[1], pads[1], pads[3]));
  return Window{image[1],   image[2],     h.out,        w.out,       kernel_h,    kernel_w,  strides[0],
                strides[1], dilations[0], dilations[1], h.pad_begin, w.pad_begin, h.pad_end, w.pad_end};
}

Epilogue epilogue_of(const Attributes& attributes) {
  Epilogue epilogue;
  epilogue.activation = static_cast<Activation>(attributes.integer("activation", 0));
  epilogue.alpha = attributes.number("activation_alpha", 0);
  epilogue.beta = attributes.number("activation_beta", 0);
  return epilogue;
}

void set_activation(Attributes& attributes, Activation activation, float alpha, float beta) {
  attributes.set("activation", static_cast<int64_t>(activation));
  attributes.set("activation_alpha", alpha);
  attributes.set("activation_beta", beta);
}

}  // namespace oxplow
