#include <cstddef>
#include <cstdint>

#include "oxplow/formats/artifact.h"
#include "oxplow/formats/onnx_walk.h"

// Reads the index and, where it is sound, the model in it with the weights it points to; touches every byte of every pack.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto contents = oxplow::parse_artifact({reinterpret_cast<const std::byte*>(data), size});
  if (!contents.ok()) return 0;
  volatile unsigned char sum = 0;
  for (const auto& pack : contents->packs) {
    for (const std::byte b : pack.bytes) sum = static_cast<unsigned char>(sum ^ static_cast<unsigned char>(b));
  }
  const auto model = oxplow::parse_split_onnx(contents->model, contents->weights);
  if (!model.ok()) return 0;
  oxplow::onnx::ModelWalk walk;
  walk.add(model->model);
  return 0;
}
