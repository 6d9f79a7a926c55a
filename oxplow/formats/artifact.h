#pragma once
// The .oxp file: a model with its weights already packed for a kind of machine, to be mapped and run. Little-endian:
//   0   8 bytes  magic "\x89OXP\r\n\x1a\n"
//   8   u32      version (1)
//   12  u32      zero
//   16  u64      size of the file
//   24  u64 u64  where the index begins, and its size
//   40  u64      FNV-1a of the index
//   48  u64      FNV-1a of the model section
//   56  u64      zero
// Sections begin at multiples of 64 bytes, those of 2 MiB or more at multiples of 2 MiB. In the index, a text is u32 length and
// bytes, a section u64 offset and u64 size:
//   text cpu, text isa, text precision, section model, section weights,
//   u32 packs, each: text key, u64 source, section; u32 rates, each: text kernel, f64 GFLOP/s

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "oxplow/base/mapped_file.h"
#include "oxplow/base/result.h"

namespace oxplow {

// Weights in the form that a kernel reads them in.
struct ArtifactPack {
  std::string key;      // kernel and geometry
  uint64_t source = 0;  // names the weights that were packed
  std::span<const std::byte> bytes;
};

// How fast a kernel was where the file was made.
struct ArtifactRate {
  std::string kernel;
  double gflops = 0;
};

struct ArtifactContents {
  std::string cpu;                   // the processor's name
  std::string isa;                   // the tier whose kernels the packs are for
  std::string precision;             // "fp32" or "bf16"
  std::span<const std::byte> model;  // an ONNX model whose large tensors are external, at offsets in `weights`
  std::span<const std::byte> weights;
  std::vector<ArtifactPack> packs;
  std::vector<ArtifactRate> rates;
};

// Whether bytes begin as an artifact does.
bool is_artifact(std::span<const std::byte> bytes);
bool is_artifact(const std::filesystem::path& path);

// Reads the index of a file in memory; everything points into `bytes`. Offsets, sizes and alignment are checked, and the sums of index
// and model; what weights and packs hold is not read. Errors: invalid_model (where and why), unsupported (another version).
Result<ArtifactContents> parse_artifact(std::span<const std::byte> bytes);

// Writes a file, first under another name beside it: `path` is either the whole artifact or as before. Error: io.
Status write_artifact(const std::filesystem::path& path, const ArtifactContents& contents);

}  // namespace oxplow
