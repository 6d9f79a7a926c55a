#include "oxplow/ops/windows.h"

#include <algorithm>

namespace oxplow {
namespace {

constexpr int64_t kLimit = int64_t{1} << 31;

// Fills in the extent of the result, and the padding where it is automatic.
Status slide(AxisWindow& a, const std::string& auto_pad, bool ceil_mode) {
  const auto sane = [](int64_t v, int64_t low) { return v >= low && v < kLimit; };
  if (!sane(a.kernel, 1) || !sane(a.stride, 1) || !sane(a.dilation, 1) || !sane(a.pad_begin, 0) || !sane(a.pad_end, 0)) {
    return Error{ErrorCode::invalid_model, "kernel, strides, dilations or pads are out of range"};
  }
  const int64_t reach = (a.kernel - 1) * a.dilation + 1;
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    a.out = (a.in + a.stride - 1) / a.stride;
    const int64_t total = std::max<int64_t>(0, (a.out - 1) * a.stride + reach - a.in);
    const int64_t small = total / 2;
    a.pad_begin = auto_pad == "SAME_UPPER" ? small : total - small;
    a.pad_end = total - a.pad_begin;
    return {};
  }
  if (auto_pad == "VALID") a.pad_begin = a.pad_end = 0;
  const int64_t room = a.in + a.pad_begin + a.pad_end - reach;
  if (room < 0)
    return Error{ErrorCode::invalid_model,
                 "a window of " + std::to_string(reach) + " does not fit into an image of " + std::to_string(a.in)};
  a.out = (room + (ceil_mode ? a.stride - 1 : 0)) / a.stride + 1;
  // A last window must begin inside the image or its leading padding.
  if (ceil_mode && (a.out - 1) * a.stride >= a.in + a.pad_begin) --a.out;
  return {};
}

}  // namespace

ImageStrides image_strides(const Operand& image, int channel_axis) {
  ImageStrides s{image.strides[0], image.strides[channel_axis], {}};
  for (int d = 1; d < image.strides.rank(); ++d) {
    if (d != channel_axis) s.spatial.push_back(image.strides[d]);
  }
  return s;
}

Result<std::vector<int64_t>> axis_numbers(const Attributes& attributes, const char* name, int rank) {
  std::vector<int64_t> values(static_cast<size_t>(rank), 1);
  if (attributes.has(name)) values = attributes.integers(name);
  if (values.size() != static_cast<size_t>(rank))
    return Error{ErrorCode::invalid_model, std::string(name) + " do not fit an image of " + std::to_string(rank) + " axes"};
  if (std::any_of(values.begin(), values.end(), [](int64_t v) { return v < 1 || v >= kLimit; }))
    return Error{ErrorCode::invalid_model, std::string(name) + " are out of range"};
  return values;
}

Result<Windows> windows_of(const Attributes& attributes, const Shape& in, const Shape& kernel) {
  const int rank = in.rank();
  if (rank < 1 || rank > kMostSpatialAxes || kernel.rank() != rank)
    return Error{ErrorCode::invalid_model, "a window of " + to_string(kernel) + " over an image of " + to_string(in)};
  OXPLOW_ASSIGN(const auto strides, axis_numbers(attributes, "strides", rank));
  OXPLOW_ASSIGN(const auto dilations, axis_numbers(attributes, "dilations", rank));
  std::vector<int64_t> pads(2 * in.size(), 0);
  if (attributes.has("pads")) pads = attributes.integers("pads");
  if (pads.size() != 2 * in.size())
    return Error{ErrorCode::invalid_model, "pads do not fit an image of " + std::to_string(rank) + " axes"};
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  const bool ceil_mode = attributes.integer("ceil_mode", 0) != 0;
  Windows windows{rank, {}};
  for (size_t d = 0; d < in.size(); ++d) {
    const int axis = static_cast<int>(d);
    AxisWindow& a = windows.axes[d];
    a = {in[axis], 0, kernel[axis], strides[d], dilations[d], pads[d], pads[d + in.size()]};
    OXPLOW_TRY(slide(a, auto_pad, ceil_mode));
  }
  return windows;
}

}  // namespace oxplow
