#include <cstddef>
#include <cstdint>

#include "oxplow/formats/onnx_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto model = oxplow::parse_onnx({reinterpret_cast<const std::byte*>(data), size});
  if (!model.ok()) return 0;
  oxplow::onnx::ModelWalk walk;
  walk.add(model->model);
  return 0;
}
