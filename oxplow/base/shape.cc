#include "oxplow/base/shape.h"

namespace oxplow {

int64_t product(const Shape& shape, int first, int last) {
  int64_t n = 1;
  for (int i = first; i < last; ++i) n *= shape[i];
  return n;
}

int64_t elements_of(const Shape& shape) { return product(shape, 0, shape.rank()); }

Dims dense_strides(const Shape& shape) {
  Dims strides = Dims::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (int64_t d : dims) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(d);
  }
  return text + "]";
}

}  // namespace oxplow
