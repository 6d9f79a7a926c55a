#pragma once
// Along one axis, which input elements an output element is made of: what Resize knows of an axis before it sees data.

#include <cstdint>
#include <string>
#include <vector>

#include "oxplow/base/result.h"

namespace oxplow {

struct ResizeMode {
  enum class Kind { nearest, linear, cubic };
  Kind kind = Kind::nearest;
  std::string coordinates = "half_pixel";       // ONNX's coordinate_transformation_mode
  std::string rounding = "round_prefer_floor";  // ONNX's nearest_mode
  float cubic_a = -0.75f;
  bool antialias = false, exclude_outside = false;
};

struct ResizeAxis {
  int64_t in = 0, out = 0;
  double scale = 1, roi_begin = 0, roi_end = 1;
  bool identity() const { return in == out && scale == 1 && roi_begin == 0 && roi_end == 1; }
};

// Output element j is the sum of weights[t] * input[indices[t]] over t in [begin[j], begin[j + 1]); nothing where j is outside of the
// input (tf_crop_and_resize).
struct Taps {
  std::vector<int64_t> begin, indices;
  std::vector<double> weights;
  std::vector<char> outside;
};

// Where output element j lies among the inputs; an error for coordinates of an unknown name.
Result<double> source_coordinate(const ResizeMode& mode, const ResizeAxis& axis, int64_t j);

// axis.in > 0. Indices past the ends are the ends'.
Result<Taps> resize_taps(const ResizeMode& mode, const ResizeAxis& axis);

}  // namespace oxplow
