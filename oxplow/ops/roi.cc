// Pooling over regions of interest.
//   RoiAlign:   x [N, C, H, W], rois [R, 4] (x1, y1, x2, y2), batch_indices [R] -> [R, C, h, w]: each bin the average (or largest) of
//               bilinear samples.
//   MaxRoiPool: rois [R, 5] (batch, x1, y1, x2, y2), rounded to pixels -> the largest pixel of each bin, 0 for an empty one.

#include <algorithm>
#include <cmath>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

struct Roi {
  double top = 0, left = 0, bin_h = 0, bin_w = 0;
  int64_t samples_h = 0, samples_w = 0;  // of a bin
};

struct RoiGeometry {
  int64_t channels = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0, sampling_ratio = 0;
  double scale = 1;
  bool half_pixel = true, average = true;
};

Result<TensorTypes> infer_rois(const InferContext& c, int columns, int64_t out_h, int64_t out_w) {
  const Shape &x = c.shape(0), &rois = c.shape(1);
  constexpr int64_t kLimit = int64_t{1} << 20;
  const bool fits = x.rank() == 4 && rois.rank() == 2 && rois[1] == columns && out_h > 0 && out_w > 0 && out_h < kLimit &&
                    out_w < kLimit && c.type(1).dtype == c.type(0).dtype && (elements_of(x) > 0 || rois[0] == 0);
  if (!fits) return Error{ErrorCode::invalid_model, "regions " + to_string(c.type(1)) + " of " + to_string(c.type(0))};
  return TensorTypes{{c.type(0).dtype, Shape{rois[0], x[1], out_h, out_w}}};
}

Result<TensorTypes> infer_roi_align(const InferContext& c) {
  const Attributes& a = c.attributes;
  const std::string mode = a.text("mode", "avg");
  if (mode != "avg" && mode != "max") return Error{ErrorCode::unsupported, "the mode '" + mode + "'"};
  if (!is_index(c.type(2).dtype) || c.shape(2).rank() != 1 || c.shape(2)[0] != c.shape(1)[0])
    return Error{ErrorCode::invalid_model, "batch indices " + to_string(c.type(2))};
  if (a.integer("sampling_ratio", 0) < 0 || a.integer("sampling_ratio", 0) > 1 << 16)
    return Error{ErrorCode::invalid_model, "impossible sampling ratio"};
  return infer_rois(c, 4, a.integer("output_height", 1), a.integer("output_width", 1));
}

template <typename T>
Roi roi_of(const RoiGeometry& g, const T* corners) {
  const double offset = g.half_pixel ? 0.5 : 0;
  double at[4];
  for (int i = 0; i < 4; ++i) {
    at[i] = static_cast<double>(static_cast<Wide<T>>(corners[i])) * g.scale - offset;
    if (!(std::fabs(at[i]) < 1e6)) at[i] = 0;  // data of no place
  }
  Roi roi{at[1], at[0], at[3] - at[1], at[2] - at[0]};
  if (!g.half_pixel) {
    roi.bin_h = std::max(roi.bin_h, 1.0);
    roi.bin_w = std::max(roi.bin_w, 1.0);
  }
  roi.bin_h /= static_cast<double>(g.out_h);
  roi.bin_w /= static_cast<double>(g.out_w);
  roi.samples_h = g.sampling_ratio > 0 ? g.sampling_ratio : static_cast<int64_t>(std::ceil(roi.bin_h));
  roi.samples_w = g.sampling_ratio > 0 ? g.sampling_ratio : static_cast<int64_t>(std::ceil(roi.bin_w));
  return roi;
}

// The four pixels around (y, x) with their weights; all weights 0 outside of the image.
struct Corners {
  int64_t at[4] = {};
  double weight[4] = {};
};

Corners corners_at(const RoiGeometry& g, double y, double x) {
  Corners corners;
  if (y < -1 || y > static_cast<double>(g.in_h) || x < -1 || x > static_cast<double>(g.in_w)) return corners;
  const auto split = [](double v, int64_t extent, int64_t& low, int64_t& high) {
    v = std::max(v, 0.0);
    low = static_cast<int64_t>(v);
    if (low >= extent - 1) {
      low = high = extent - 1;
      return 0.0;
    }
    high = low + 1;
    return v - static_cast<double>(low);
  };
  int64_t top, bottom, left, right;
  const double down = split(y, g.in_h, top, bottom), across = split(x, g.in_w, left, right);
  const int64_t rows[] = {top, bottom}, columns[] = {left, right};
  const double row_weights[] = {1 - down, down}, column_weights[] = {1 - across, across};
  for (int i = 0; i < 4; ++i) {
    corners.at[i] = rows[i / 2] * g.in_w + columns[i % 2];
    corners.weight[i] = row_weights[i / 2] * column_weights[i % 2];
  }
  return corners;
}

template <typename T>
double bin_value(const RoiGeometry& g, const Roi& roi, const T* plane, int64_t ph, int64_t pw) {
  double sum = 0, largest = 0;
  bool first = true;
  for (int64_t i = 0; i < roi.samples_h; ++i) {
    const double y =
        roi.top + (static_cast<double>(ph) + (static_cast<double>(i) + 0.5) / static_cast<double>(roi.samples_h)) * roi.bin_h;
    for (int64_t j = 0; j < roi.samples_w; ++j) {
      const double x =
          roi.left + (static_cast<double>(pw) + (static_cast<double>(j) + 0.5) / static_cast<double>(roi.samples_w)) * roi.bin_w;
      const Corners corners = corners_at(g, y, x);
      for (int k = 0; k < 4; ++k) {
        const double v = corners.weight[k] * static_cast<double>(static_cast<Wide<T>>(plane[corners.at[k]]));
        sum += v;
        largest = first ? v : std::max(largest, v);
        first = false;
      }
    }
  }
  return g.average ? sum / static_cast<double>(std::max<int64_t>(roi.samples_h * roi.samples_w, 1)) : largest;
}

template <typename T>
std::unique_ptr<Step> roi_align(const PrepareContext& c) {
  const Shape &x = c.in(0).type.shape, &y = c.out().type.shape;
  const RoiGeometry g{.channels = x[1],
                      .in_h = x[2],
                      .in_w = x[3],
                      .out_h = y[2],
                      .out_w = y[3],
                      .sampling_ratio = c.attributes.integer("sampling_ratio", 0),
                      .scale = static_cast<double>(c.attributes.number("spatial_scale", 1)),
                      .half_pixel = c.attributes.text("coordinate_transformation_mode", "half_pixel") == "half_pixel",
                      .average = c.attributes.text("mode", "avg") == "avg"};
  const int64_t units = y[0] * y[1], images = x[0];
  const bool wide = c.in(2).type.dtype == DType::i64;
  const int tasks = task_count(units, static_cast<double>(g.out_h * g.out_w) * 50, c.threads());
  return make_step("roi_align", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      const int64_t r = u / g.channels, ch = u % g.channels;
      const int64_t image = index_within(IndexList{b.inputs[2], wide}[r], images);
      const Roi roi = roi_of(g, b.in<T>(1) + r * 4);
      const T* plane = b.in<T>(0) + (image * g.channels + ch) * g.in_h * g.in_w;
      for (int64_t i = 0; i < g.out_h; ++i) {
        for (int64_t j = 0; j < g.out_w; ++j)
          b.out<T>()[(u * g.out_h + i) * g.out_w + j] = T(static_cast<Wide<T>>(bin_value(g, roi, plane, i, j)));
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_roi_align(const PrepareContext& c) {
  return visit_floating(c.in(0).type.dtype, "RoiAlign",
                        [&](auto t) -> Result<std::unique_ptr<Step>> { return roi_align<decltype(t)>(c); });
}

Result<TensorTypes> infer_max_roi_pool(const InferContext& c) {
  const auto pooled = c.attributes.integers("pooled_shape");
  if (pooled.size() != 2) return Error{ErrorCode::invalid_model, "MaxRoiPool wants a pooled_shape of two extents"};
  return infer_rois(c, 5, pooled[0], pooled[1]);
}

// Rows (or columns) of bin i of `bins` over [begin, begin + length), inside of the image.
Range bin_range(int64_t i, int64_t bins, int64_t begin, int64_t length, int64_t extent) {
  const double bin = static_cast<double>(length) / static_cast<double>(bins);
  const auto first = begin + static_cast<int64_t>(std::floor(static_cast<double>(i) * bin));
  const auto last = begin + static_cast<int64_t>(std::ceil(static_cast<double>(i + 1) * bin));
  return {std::clamp<int64_t>(first, 0, extent), std::clamp<int64_t>(last, 0, extent)};
}

template <typename T>
std::unique_ptr<Step> max_roi_pool(const PrepareContext& c) {
  const Shape x = c.in(0).type.shape, y = c.out().type.shape;
  const double scale = static_cast<double>(c.attributes.number("spatial_scale", 1));
  const int64_t units = y[0] * y[1];
  const int tasks = task_count(units, static_cast<double>(y[2] * y[3]) * 30, c.threads());
  return make_step("max_roi_pool", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(units, tasks, task);
    for (int64_t u = range.begin; u < range.end; ++u) {
      const int64_t ch = u % y[1];
      int64_t at[5];
      for (int i = 0; i < 5; ++i) {
        const double v = static_cast<double>(static_cast<Wide<T>>(b.in<T>(1)[u / y[1] * 5 + i])) * (i == 0 ? 1 : scale);
        at[i] = std::fabs(v) < 1e9 ? static_cast<int64_t>(std::round(v)) : 0;
      }
      const int64_t image = std::clamp<int64_t>(at[0], 0, x[0] - 1);
      const int64_t height = std::max<int64_t>(at[4] - at[2] + 1, 1), width = std::max<int64_t>(at[3] - at[1] + 1, 1);
      const T* plane = b.in<T>(0) + (image * x[1] + ch) * x[2] * x[3];
      for (int64_t i = 0; i < y[2]; ++i) {
        const Range rows = bin_range(i, y[2], at[2], height, x[2]);
        for (int64_t j = 0; j < y[3]; ++j) {
          const Range columns = bin_range(j, y[3], at[1], width, x[3]);
          T largest(0);
          bool first = true;
          for (int64_t r = rows.begin; r < rows.end; ++r) {
            for (int64_t s = columns.begin; s < columns.end; ++s) {
              const T v = plane[r * x[3] + s];
              if (first || static_cast<Wide<T>>(v) > static_cast<Wide<T>>(largest)) largest = v;
              first = false;
            }
          }
          b.out<T>()[(u * y[2] + i) * y[3] + j] = largest;
        }
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_max_roi_pool(const PrepareContext& c) {
  return visit_floating(c.in(0).type.dtype, "MaxRoiPool",
                        [&](auto t) -> Result<std::unique_ptr<Step>> { return max_roi_pool<decltype(t)>(c); });
}

}  // namespace

namespace ops {
constinit const OpSpec RoiAlign{.name = "RoiAlign", .infer = infer_roi_align, .prepare = prepare_roi_align, .required_inputs = 3};
constinit const OpSpec MaxRoiPool{
    .name = "MaxRoiPool", .infer = infer_max_roi_pool, .prepare = prepare_max_roi_pool, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
