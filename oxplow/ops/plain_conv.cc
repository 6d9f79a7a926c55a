#include "oxplow/ops/plain_conv.h"

#include <algorithm>

#include "oxplow/ops/conv_geometry.h"

namespace oxplow {
namespace {

struct Plain {
  ConvArgs args;
  int64_t groups;
  int64_t first_tap;  // elements from pixel (0, 0) back to the pixel under tap (0, 0)
  bool has_bias;
};

const float* under_tap(const Plain& p, const float* x, int64_t n, int64_t i, int64_t j) {
  const ConvArgs& a = p.args;
  return x - p.first_tap + n * a.x_image + i * a.stride_h * a.x_row + j * a.stride_w * a.x_pixel;
}

float one_sum(const Plain& p, const float* x, const float* w, int64_t m) {
  const ConvArgs& a = p.args;
  float sum = 0;
  for (int64_t c = 0; c < a.in_channels; ++c) {
    for (int64_t r = 0; r < a.kernel_h; ++r) {
      for (int64_t s = 0; s < a.kernel_w; ++s) {
        sum += x[r * a.dilation_h * a.x_row + s * a.dilation_w * a.x_pixel + c] *
               w[((m * a.in_channels + c) * a.kernel_h + r) * a.kernel_w + s];
      }
    }
  }
  return sum;
}

void row_sum_by_sum(const Plain& p, const Buffers& b, int64_t n, int64_t i) {
  const ConvArgs& a = p.args;
  float* y = b.out<float>() + n * a.y_image + i * a.y_row;
  for (int64_t m = 0; m < p.groups * a.out_channels; ++m) {
    for (int64_t j = 0; j < a.out_w; ++j) {
      const float* x = under_tap(p, b.in<float>(0), n, i, j) + m / a.out_channels * a.in_channels;
      y[j * a.y_pixel + m] = one_sum(p, x, b.in<float>(1), m) + (p.has_bias ? b.in<float>(2)[m] : 0);
    }
  }
}

// Weights are [r][s][c][m] here.
void row_all_filters(const Plain& p, const Buffers& b, const float* w, int64_t n, int64_t i) {
  const ConvArgs& a = p.args;
  for (int64_t j = 0; j < a.out_w; ++j) {
    float* y = b.out<float>() + n * a.y_image + i * a.y_row + j * a.y_pixel;
    for (int64_t m = 0; m < a.out_channels; ++m) y[m] = p.has_bias ? b.in<float>(2)[m] : 0;
    const float* x = under_tap(p, b.in<float>(0), n, i, j);
    const float* weights = w;
    for (int64_t r = 0; r < a.kernel_h; ++r) {
      for (int64_t s = 0; s < a.kernel_w; ++s) {
        const float* pixel = x + r * a.dilation_h * a.x_row + s * a.dilation_w * a.x_pixel;
        for (int64_t c = 0; c < a.in_channels; ++c, weights += a.out_channels) {
          for (int64_t m = 0; m < a.out_channels; ++m) y[m] += pixel[c] * weights[m];
        }
      }
    }
  }
}

Result<std::shared_ptr<const Buffer>> regrouped(const PrepareContext& context, const ConvArgs& a) {
  const Tensor& w = *context.in(1).constant;
  return context.packs.get(w, "plain_channels_last", w.bytes(), [&](void* packed) {
    auto* to = static_cast<float*>(packed);
    const auto from = w.values<float>();
    const int64_t taps = a.kernel_h * a.kernel_w;
    for (int64_t m = 0; m < a.out_channels; ++m) {
      for (int64_t c = 0; c < a.in_channels; ++c) {
        for (int64_t t = 0; t < taps; ++t)
          to[(t * a.in_channels + c) * a.out_channels + m] = from[static_cast<size_t>((m * a.in_channels + c) * taps + t)];
      }
    }
  });
}

}  // namespace

Result<std::unique_ptr<Step>> plain_conv(const ConvArgs& args, const PrepareContext& context, bool channels_last) {
  const Operand& x = context.in(0);
  OXPLOW_ASSIGN(const Window window, window_of(context.attributes, x.type.shape, args.kernel_h, args.kernel_w));
  const Plain p{args, x.type.shape[3] / args.in_channels, window.pad_top * x.strides[1] + window.pad_left * x.strides[2],
                context.has(2)};
  const int rows = static_cast<int>(args.batch * args.out_h);
  std::unique_ptr<Step> step;
  if (channels_last && p.groups == 1 && context.in(1).constant) {
    OXPLOW_ASSIGN(auto weights, regrouped(context, args));
    step = make_step("conv_plain_channels_last", rows, [p, weights](const Buffers& b, int row, int) {
      row_all_filters(p, b, reinterpret_cast<const float*>(weights->data()), row / p.args.out_h, row % p.args.out_h);
    });
  } else {
    step = make_step("conv_plain_loops", rows,
                     [p](const Buffers& b, int row, int) { row_sum_by_sum(p, b, row / p.args.out_h, row % p.args.out_h); });
  }
  step->why = "asked for";
  return step;
}

}  // namespace oxplow
