#include "oxplow/graph/artifact.h"

#include <algorithm>

#include "oxplow/base/topology.h"
#include "oxplow/formats/artifact.h"
#include "oxplow/formats/onnx_split.h"
#include "oxplow/graph/import/onnx.h"
#include "oxplow/kernels/measured_rate.h"

namespace oxplow {
namespace {

const char* name_of(Precision precision) { return precision == Precision::bf16 ? "bf16" : "fp32"; }

// An artifact in memory. Tensors and packs point into it and keep it.
struct MappedArtifact {
  MappedFile file;
  ArtifactContents contents;
  OnnxModel onnx;
};

Result<std::shared_ptr<MappedArtifact>> map_artifact(const std::filesystem::path& path) {
  auto mapped = std::make_shared<MappedArtifact>();
  OXPLOW_ASSIGN(mapped->file, MappedFile::open(path));
  OXPLOW_ASSIGN(mapped->contents, parse_artifact(mapped->file.bytes()));
  OXPLOW_ASSIGN(mapped->onnx, parse_split_onnx(mapped->contents.model, mapped->contents.weights));
  return mapped;
}

// A model split into what the artifact will hold, and read again from there.
struct SplitModel {
  SplitOnnx parts;
  OnnxModel onnx;
};

Result<std::shared_ptr<SplitModel>> split(const OnnxModel& model, std::span<const std::byte> bytes) {
  auto result = std::make_shared<SplitModel>();
  OXPLOW_ASSIGN(result->parts, split_onnx(model, bytes));
  OXPLOW_ASSIGN(result->onnx, parse_split_onnx(std::as_bytes(std::span(result->parts.model)), result->parts.weights));
  return result;
}

Result<std::shared_ptr<SplitModel>> read_source(const std::filesystem::path& path) {
  if (is_artifact(path)) {
    OXPLOW_ASSIGN(const auto mapped, map_artifact(path));
    return split(mapped->onnx, mapped->contents.model);
  }
  OXPLOW_ASSIGN(const OnnxModel model, read_onnx(path));
  return split(model, model.file.bytes());
}

// A pack of the file as the cache holds packs.
std::shared_ptr<const Buffer> borrowed(const ArtifactPack& pack, std::shared_ptr<const MappedArtifact> owner) {
  struct Borrowed {
    std::shared_ptr<const MappedArtifact> owner;
    Buffer buffer;
  };
  auto result = std::make_shared<const Borrowed>(Borrowed{std::move(owner), Buffer::borrow(pack.bytes)});
  return {result, &result->buffer};
}

// Takes over what fits this machine; says what does not.
std::string take_over(const std::shared_ptr<const MappedArtifact>& mapped, Model& model) {
  const ArtifactContents& contents = mapped->contents;
  const std::string tier(name_of(model.options().isa)), precision = name_of(model.options().passes.precision);
  if (contents.isa != tier)
    return "compiled for " + contents.isa + "; this run uses " + tier + " and packs the weights for itself";
  std::vector<KeptPack> packs;
  for (const ArtifactPack& pack : contents.packs) packs.push_back({pack.key, pack.source, borrowed(pack, mapped)});
  model.packs().keep(contents.weights, std::move(packs));
  if (contents.precision != precision)
    return "compiled for " + contents.precision + "; this run computes in " + precision + " and packs the weights for itself";
  if (contents.cpu != Topology::detect().cpu_name)
    return "compiled on " + contents.cpu + "; weights are packed again where another kernel is faster here";
  std::map<std::string, double> rates;
  for (const ArtifactRate& rate : contents.rates) {
    if (rate.gflops > 0) rates[rate.kernel] = rate.gflops;
  }
  note_gflops(rates);
  return {};
}

}  // namespace

Result<CompileReport> compile_artifact(const std::filesystem::path& source, const std::filesystem::path& target,
                                       const CompileOptions& options, std::shared_ptr<ThreadPool> pool) {
  OXPLOW_ASSIGN(const auto parts, read_source(source));
  OXPLOW_ASSIGN(Graph graph, import_onnx(std::shared_ptr<const OnnxModel>(parts, &parts->onnx)));
  ModelOptions model_options = options.model;
  model_options.max_plans = std::max(model_options.max_plans, options.batches.size());
  model_options.max_plan_bytes = SIZE_MAX;
  OXPLOW_ASSIGN(const auto model, Model::from_graph(std::move(graph), model_options, std::move(pool)));
  model->packs().keep(parts->parts.weights, {});
  for (const int64_t batch : options.batches) {
    OXPLOW_ASSIGN(const TensorTypes types, model->input_types(batch, options.extents));
    OXPLOW_TRY([&]() -> Status {
      auto execution = model->prepare(types);
      if (!execution.ok()) return execution.error();
      return {};
    }());
  }
  auto packs = model->packs().entries();
  std::sort(packs.begin(), packs.end(),
            [](const KeptPack& a, const KeptPack& b) { return std::tie(a.source, a.key) < std::tie(b.source, b.key); });
  ArtifactContents contents{.cpu = Topology::detect().cpu_name,
                            .isa = std::string(name_of(model_options.isa)),
                            .precision = name_of(model_options.passes.precision),
                            .model = std::as_bytes(std::span(parts->parts.model)),
                            .weights = parts->parts.weights,
                            .packs = {},
                            .rates = {}};
  CompileReport report{.packs = packs.size()};
  for (const KeptPack& pack : packs) {
    contents.packs.push_back({pack.key, pack.source, {pack.packed->data(), pack.packed->size()}});
    report.packed_bytes += pack.packed->size();
  }
  for (const auto& [kernel, gflops] : known_gflops()) contents.rates.push_back({kernel, gflops});
  OXPLOW_TRY(write_artifact(target, contents));
  std::error_code unknown;
  report.file_bytes = static_cast<size_t>(std::filesystem::file_size(target, unknown));
  return report;
}

Result<std::unique_ptr<Model>> load_artifact(const std::filesystem::path& path, const ModelOptions& options,
                                             std::shared_ptr<ThreadPool> pool) {
  OXPLOW_ASSIGN(const auto mapped, map_artifact(path));
  OXPLOW_ASSIGN(Graph graph, import_onnx(std::shared_ptr<const OnnxModel>(mapped, &mapped->onnx)));
  OXPLOW_ASSIGN(auto model, Model::from_graph(std::move(graph), options, std::move(pool)));
  model->set_note(take_over(mapped, *model));
  return model;
}

Result<Precision> artifact_precision(const std::filesystem::path& path) {
  OXPLOW_ASSIGN(const MappedFile file, MappedFile::open(path));
  OXPLOW_ASSIGN(const ArtifactContents contents, parse_artifact(file.bytes()));
  return contents.precision == "bf16" ? Precision::bf16 : Precision::f32;
}

}  // namespace oxplow
