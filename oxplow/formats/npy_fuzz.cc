#include <cstddef>
#include <cstdint>

#include "oxplow/formats/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto array = oxplow::parse_npy({reinterpret_cast<const std::byte*>(data), size});
  if (!array.ok()) return 0;
  size_t sum = 0;
  for (std::byte b : array->bytes) sum += std::to_integer<size_t>(b);
  asm volatile("" : : "r"(sum));  // keeps the reads
  OXPLOW_CHECK(array->bytes.size() == oxplow::bytes_of(array->dtype, static_cast<size_t>(oxplow::elements_of(array->shape))));
  return 0;
}
