#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "oxplow/graph/model.h"

namespace oxplow {

// What to make an artifact for.
struct CompileOptions {
  ModelOptions model;
  std::vector<int64_t> batches = {1};           // the weights are packed as plans for these want them
  std::map<std::string, int64_t> extents = {};  // of other open axes
};

struct CompileReport {
  size_t file_bytes = 0;
  size_t packed_bytes = 0;
  size_t packs = 0;
};

// Writes the model at `source` (ONNX, or an artifact to be made anew for this machine) with its weights packed as one file (see
// formats/artifact.h). Errors: those of loading and planning; io.
Result<CompileReport> compile_artifact(const std::filesystem::path& source, const std::filesystem::path& target,
                                       const CompileOptions& options, std::shared_ptr<ThreadPool> pool);

// Maps an artifact: what it holds packed for this machine's tier is used where it lies, shared by all processes that map it; what it does
// not is packed from its plain weights, and the model's note() says so.
Result<std::unique_ptr<Model>> load_artifact(const std::filesystem::path& path, const ModelOptions& options,
                                             std::shared_ptr<ThreadPool> pool);

// The precision that an artifact was compiled for.
Result<Precision> artifact_precision(const std::filesystem::path& path);

}  // namespace oxplow
