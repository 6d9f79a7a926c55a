#pragma once
// Windows that slide over any number of axes: the geometry of convolution and pooling, of their transposes, and of Col2Im.

#include <array>

#include "oxplow/ops/op.h"

namespace oxplow {

inline constexpr int kMostSpatialAxes = kMaxRank - 2;

// Along one axis: tap k of the window at o lies over element o * stride - pad_begin + k * dilation, of which there are `in`.
struct AxisWindow {
  int64_t in = 0, out = 0, kernel = 1, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;

  int64_t first(int64_t o) const { return o * stride - pad_begin; }
  // The taps of the window at o that lie over elements [0, limit).
  Range taps_inside(int64_t o, int64_t limit) const {
    const int64_t at = first(o);
    const int64_t begin = at >= 0 ? 0 : (-at + dilation - 1) / dilation;
    const int64_t end = at >= limit ? 0 : (limit - 1 - at) / dilation + 1;
    return {begin < kernel ? begin : kernel, end < kernel ? end : kernel};
  }
};

struct Windows {
  int rank = 0;
  std::array<AxisWindow, kMostSpatialAxes> axes;

  Shape in() const {
    return extents([](const AxisWindow& a) { return a.in; });
  }
  Shape out() const {
    return extents([](const AxisWindow& a) { return a.out; });
  }
  Shape kernel() const {
    return extents([](const AxisWindow& a) { return a.kernel; });
  }

 private:
  template <typename F>
  Shape extents(F f) const {
    Shape shape;
    for (int d = 0; d < rank; ++d) shape.push_back(f(axes[static_cast<size_t>(d)]));
    return shape;
  }
};

// Strides of an image whose channels are axis 1 or the last; the spatial axes in order.
struct ImageStrides {
  int64_t batch = 0, channel = 0;
  Dims spatial;
};
ImageStrides image_strides(const Operand& image, int channel_axis);

// From attributes strides, dilations, pads (all begins, then all ends), auto_pad and ceil_mode, for `in` elements under windows of
// `kernel` taps.
Result<Windows> windows_of(const Attributes& attributes, const Shape& in, const Shape& kernel);

// The attribute of that name, one positive number an axis (default 1).
Result<std::vector<int64_t>> axis_numbers(const Attributes& attributes, const char* name, int rank);

// The index `flat` of row-major `extents`, axis by axis.
inline Dims unravel(int64_t flat, const Shape& extents) {
  Dims index = extents;
  for (int d = extents.rank() - 1; d >= 0; --d) {
    index[d] = flat % extents[d];
    flat /= extents[d];
  }
  return index;
}

// Calls f(offset, tap) for each tap of the window at `position` that lies over an element, taps ascending: the element's offset by
// `strides`, and the tap's place in the row-major window.
template <typename F>
void for_each_tap(const Windows& windows, const Dims& position, const Dims& strides, F&& f, int axis = 0, int64_t offset = 0,
                  int64_t tap = 0) {
  if (axis == windows.rank) return f(offset, tap);
  const AxisWindow& a = windows.axes[static_cast<size_t>(axis)];
  const Range inside = a.taps_inside(position[axis], a.in);
  for (int64_t k = inside.begin; k < inside.end; ++k)
    for_each_tap(windows, position, strides, f, axis + 1, offset + (a.first(position[axis]) + k * a.dilation) * strides[axis],
                 tap * a.kernel + k);
}

// The transpose: calls f(window, tap) for each window, by its row-major number, whose tap lies over the element `position`.
template <typename F>
void for_each_window(const Windows& windows, const Dims& position, F&& f, int axis = 0, int64_t window = 0, int64_t tap = 0) {
  if (axis == windows.rank) return f(window, tap);
  const AxisWindow& a = windows.axes[static_cast<size_t>(axis)];
  const int64_t at = position[axis] + a.pad_begin;
  const int64_t last = at < 0 ? -1 : at / a.dilation;
  for (int64_t k = 0; k < a.kernel && k <= last; ++k) {
    const int64_t rest = at - k * a.dilation, o = rest / a.stride;
    if (rest % a.stride == 0 && o < a.out)
      for_each_window(windows, position, f, axis + 1, window * a.out + o, tap * a.kernel + k);
  }
}

}  // namespace oxplow
