#pragma once
// NumPy's .npy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1 to 3.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "oxplow/base/dtype.h"
#include "oxplow/base/mapped_file.h"
#include "oxplow/base/result.h"
#include "oxplow/base/shape.h"

namespace oxplow {

// A dense row-major little-endian array. `bytes` points into the mapped file (64-byte aligned there, as NumPy writes it; other
// writers may differ) or into `owned`. Moves, never copies; wherever it is moved to, `bytes` stays good.
struct NpyArray {
  NpyArray() = default;
  NpyArray(NpyArray&&) = default;
  NpyArray& operator=(NpyArray&&) = default;

  DType dtype = DType::f32;
  Shape shape;
  std::span<const std::byte> bytes;
  std::vector<std::byte> owned;
  MappedFile file;
};

// Reads an array of bool, int8..64, uint8..64 or float16..64. Fortran order is turned into row-major; booleans become 0 and 1.
// Errors: not_found, io; invalid_argument, naming the byte, for what is not an .npy file, is cut short or has bytes left over;
// unsupported for other element types (big-endian, complex, text, structured, objects) and more than kMaxRank axes.
Result<NpyArray> read_npy(const std::filesystem::path& path);

// The same from memory that outlives the result.
Result<NpyArray> parse_npy(std::span<const std::byte> bytes);

// Writes a dense row-major array (version 1.0), replacing the file. NumPy has no bf16 and no 4-bit types: these are written as
// float32, int8 and uint8. `bytes` must be bytes_of(dtype, elements). Error: io.
Status write_npy(const std::filesystem::path& path, DType dtype, const Shape& shape, std::span<const std::byte> bytes);

}  // namespace oxplow
