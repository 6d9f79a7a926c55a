#include "oxplow/ops/conv_geometry.h"

#include <algorithm>

#include "oxplow/ops/windows.h"

namespace oxplow {
Border Window::border() const {
  const int64_t below = (out_h - 1) * stride_h + (kernel_h - 1) * dilation_h + 1 - in_h - pad_top;
  const int64_t right = (out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1 - in_w - pad_left;
  return {pad_top, pad_left, std::max<int64_t>(below, 0), std::max<int64_t>(right, 0)};
}

Result<Window> window_of(const Attributes& attributes, const Shape& image, int64_t kernel_h, int64_t kernel_w) {
  OXPLOW_ASSIGN(const Windows windows, windows_of(attributes, Shape{image[1], image[2]}, Shape{kernel_h, kernel_w}));
  const AxisWindow &h = windows.axes[0], &w = windows.axes[1];
  return Window{h.in,     w.in,       h.out,      w.out,       h.kernel,    w.kernel,  h.stride,
                w.stride, h.dilation, w.dilation, h.pad_begin, w.pad_begin, h.pad_end, w.pad_end};
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
