#include "oxplow/ops/plain_pool.h"

#include <cmath>
#include <limits>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

struct Pool {
  Windows windows;
  Shape in, out;
  ImageStrides x, y;
  int64_t channels, places;  // places: outputs of a channel
  bool has_indices = false, column_major = false, count_padding = false;
  float p = 2;
};

// An element to compare, f16 and bf16 as f32.
template <typename T>
auto comparable(T v) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return static_cast<float>(v);
  } else {
    return v;
  }
}

template <typename T>
T lowest() {
  if constexpr (std::is_integral_v<T>) {
    return std::numeric_limits<T>::lowest();
  } else {
    return T(-std::numeric_limits<Wide<T>>::infinity());
  }
}

// The number of an element in its channel when the first axis runs fastest.
int64_t column_major(int64_t flat, const Shape& in) {
  const Dims index = unravel(flat, in);
  int64_t result = 0;
  for (int d = in.rank() - 1; d >= 0; --d) result = result * in[d] + index[d];
  return result;
}

template <typename T>
void pool_max(const Pool& p, const Buffers& b, int64_t image, const Dims& at, int64_t place, const T* x, T* y) {
  const Dims dense = dense_strides(p.in);
  T best = lowest<T>();
  bool found = false;
  for_each_tap(p.windows, at, p.x.spatial, [&](int64_t offset, int64_t) {
    const T v = x[offset];
    if (!(found ? comparable(v) > comparable(best) : comparable(v) == comparable(v))) return;
    best = v;
    found = true;
  });
  *y = best;
  if (!p.has_indices) return;
  int64_t index = 0;
  bool seen = false;
  for_each_tap(p.windows, at, dense, [&](int64_t offset, int64_t) {
    int64_t strided = 0;
    const Dims element = unravel(offset, p.in);
    for (int d = 0; d < element.rank(); ++d) strided += element[d] * p.x.spatial[d];
    if (!seen && comparable(x[strided]) == comparable(best)) {
      index = offset;
      seen = true;
    }
  });
  const int64_t in_channel = elements_of(p.in);
  b.out<int64_t>(1)[image * p.places + place] = image * in_channel + (p.column_major ? column_major(index, p.in) : index);
}

// Taps that count for an average: those over elements, or over padding too.
int64_t counted(const Pool& p, const Dims& at) {
  int64_t count = 1;
  for (int d = 0; d < p.windows.rank; ++d) {
    const AxisWindow& a = p.windows.axes[static_cast<size_t>(d)];
    const Range inside = a.taps_inside(at[d], p.count_padding ? a.in + a.pad_end : a.in);
    count *= p.count_padding ? inside.end : inside.end - inside.begin;
  }
  return count;
}

template <typename T>
void pool_average(const Pool& p, const Dims& at, const T* x, T* y) {
  Wide<T> sum = 0;
  for_each_tap(p.windows, at, p.x.spatial, [&](int64_t offset, int64_t) { sum += static_cast<Wide<T>>(x[offset]); });
  const int64_t count = counted(p, at);
  *y = T(count > 0 ? sum / static_cast<Wide<T>>(count) : Wide<T>{0});
}

template <typename T>
void pool_lp(const Pool& p, const Dims& at, const T* x, T* y) {
  using C = Wide<T>;
  C sum = 0;
  for_each_tap(p.windows, at, p.x.spatial,
               [&](int64_t offset, int64_t) { sum += std::pow(std::fabs(static_cast<C>(x[offset])), static_cast<C>(p.p)); });
  *y = T(std::pow(sum, 1 / static_cast<C>(p.p)));
}

template <typename T>
std::unique_ptr<Step> pool_step(const PrepareContext& c, const Pool& p, Pooling pooling) {
  const int64_t units = c.in(0).type.shape[0] * p.channels * p.places;
  const int tasks = task_count(units, 5 + static_cast<double>(elements_of(p.windows.kernel())) * 2, c.threads());
  auto step = make_step("pool_plain_loops", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      const int64_t image = u / p.places, place = u % p.places, n = image / p.channels, ch = image % p.channels;
      const Dims at = unravel(place, p.out);
      const T* x = b.in<T>(0) + n * p.x.batch + ch * p.x.channel;
      T* y = b.out<T>() + n * p.y.batch + ch * p.y.channel;
      for (int d = 0; d < at.rank(); ++d) y += at[d] * p.y.spatial[d];
      if (pooling == Pooling::max) {
        pool_max(p, b, image, at, place, x, y);
      } else if constexpr (!std::is_integral_v<T>) {
        pooling == Pooling::average ? pool_average(p, at, x, y) : pool_lp(p, at, x, y);
      }
    }
  });
  step->why = "window by window, as the definition reads";
  return step;
}

}  // namespace

Result<std::unique_ptr<Step>> plain_pool(const PrepareContext& c, const Windows& windows, Pooling pooling, int channel_axis) {
  const Operand &x = c.in(0), &y = c.out();
  Pool p{windows,
         windows.in(),
         windows.out(),
         image_strides(x, channel_axis),
         image_strides(y, channel_axis),
         x.type.shape[channel_axis],
         elements_of(windows.out())};
  p.has_indices = c.outputs.size() > 1 && c.out(1).present;
  p.column_major = c.attributes.integer("storage_order", 0) != 0;
  p.count_padding = c.attributes.integer("count_include_pad", 0) != 0;
  p.p = static_cast<float>(c.attributes.integer("p", 2));
  if (pooling == Pooling::max && !is_float(x.type.dtype)) {
    return visit_arithmetic(x.type.dtype, "pooling",
                            [&](auto t) -> Result<std::unique_ptr<Step>> { return pool_step<decltype(t)>(c, p, pooling); });
  }
  return visit_floating(x.type.dtype, "pooling",
                        [&](auto t) -> Result<std::unique_ptr<Step>> { return pool_step<decltype(t)>(c, p, pooling); });
}

}  // namespace oxplow
