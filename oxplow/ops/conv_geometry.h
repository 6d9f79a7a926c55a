#pragma once

#include "oxplow/kernels/conv/conv.h"
#include "oxplow/ops/op.h"

namespace oxplow {

// Windows over an NHWC image: what convolution and pooling share. From attributes kernel_shape, strides, dilations, pads (top, left,
// bottom, right), auto_pad and ceil_mode.
struct Window {
  int64_t in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  // The zeros that taps outside of the image read.
  Border border() const;
};

Result<Window> window_of(const Attributes& attributes, const Shape& image, int64_t kernel_h, int64_t kernel_w);

// Activation, alpha and beta that a fusion pass noted on a node.
Epilogue epilogue_of(const Attributes& attributes);
void set_activation(Attributes& attributes, Activation activation, float alpha, float beta);

}  // namespace oxplow
