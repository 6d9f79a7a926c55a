#include "oxplow/graph/artifact.h"

#include <unistd.h>

#include <fstream>

#include "oxplow/formats/artifact.h"
#include "oxplow/graph/import/onnx_writer.h"
#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

namespace fs = std::filesystem;

// A folder with a small net in ONNX: a convolution, a pool, a product.
struct CompiledNet : testing::Test {
  void SetUp() override {
    folder = fs::temp_directory_path() / ("oxplow_compiled_" + std::to_string(getpid()));
    fs::create_directories(folder);
    OnnxWriter w;
    w.input("x", {"batch", OnnxWriter::dim(16), OnnxWriter::dim(12), OnnxWriter::dim(12)}).output("y");
    w.initializer("filters", random_f32({64, 16, 3, 3}, 1, -0.2f, 0.2f)).initializer("bias", random_f32({64}, 2));
    w.initializer("matrix", random_f32({64, 40}, 3)).initializer("small", integers({0, 64}));
    w.node("Conv", {"x", "filters", "bias"}, {"c"}, {{"pads", ints({1, 1, 1, 1})}});
    w.node("GlobalAveragePool", {"c"}, {"p"}).node("Reshape", {"p", "small"}, {"r"}).node("MatMul", {"r", "matrix"}, {"y"});
    std::ofstream(onnx(), std::ios::binary) << w.bytes();
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path onnx() const { return folder / "net.onnx"; }
  fs::path oxp() const { return folder / "net.oxp"; }
  static std::shared_ptr<ThreadPool> pool() { return std::make_shared<ThreadPool>(2); }

  std::string compile(const fs::path& from, const CompileOptions& options) {
    auto report = compile_artifact(from, oxp(), options, pool());
    return report.ok() ? "" : report.error().message;
  }
  static std::unique_ptr<Model> load(const fs::path& path, const ModelOptions& options) {
    auto model = Model::load(path, options, pool());
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    return model.ok() ? model.take() : nullptr;
  }
  static std::vector<Tensor> run(Model& model, int64_t batch) {
    const std::vector<Tensor> inputs{random_f32({batch, 16, 12, 12}, 9)};
    auto results = model.run(inputs);
    EXPECT_TRUE(results.ok()) << (results.ok() ? "" : results.error().message);
    return results.ok() ? results.take() : std::vector<Tensor>{};
  }

  fs::path folder;
};

ModelOptions options_for(Isa isa, Precision precision = Precision::f32) {
  ModelOptions options;
  options.isa = isa;
  options.passes.precision = precision;
  return options;
}

TEST_F(CompiledNet, GivesTheSameBitsAndPacksNothing) {
  const ModelOptions options = options_for(best_isa());
  ASSERT_EQ(compile(onnx(), {.model = options, .batches = {1, 3}}), "");
  const auto plain = load(onnx(), options), compiled = load(oxp(), options);
  EXPECT_EQ(compiled->note(), "");
  for (const int64_t batch : {1, 3, 2}) {
    const auto expected = run(*plain, batch), actual = run(*compiled, batch);
    ASSERT_EQ(actual.size(), 1u);
    EXPECT_TRUE(same_bits(actual[0], expected[0])) << "batch " << batch;
    if (batch != 2) EXPECT_TRUE(compiled->packs().entries().empty()) << "batch " << batch;
  }
}

TEST_F(CompiledNet, WorksOnEveryOtherTier) {
  ASSERT_EQ(compile(onnx(), {.model = options_for(best_isa())}), "");
  for (const Isa isa : available_isas()) {
    const auto plain = load(onnx(), options_for(isa)), compiled = load(oxp(), options_for(isa));
    EXPECT_TRUE(same_bits(run(*compiled, 2)[0], run(*plain, 2)[0])) << name_of(isa);
    const std::string other = "compiled for " + std::string(name_of(best_isa())) + "; this run uses " +
                              std::string(name_of(isa)) + " and packs the weights for itself";
    EXPECT_EQ(compiled->note(), isa == best_isa() ? "" : other);
  }
}

TEST_F(CompiledNet, KnowsItsPrecision) {
  ASSERT_EQ(compile(onnx(), {.model = options_for(best_isa(), Precision::bf16)}), "");
  EXPECT_EQ(*artifact_precision(oxp()), Precision::bf16);
  const auto plain = load(onnx(), options_for(best_isa())), compiled = load(oxp(), options_for(best_isa()));
  EXPECT_EQ(compiled->note(), "compiled for bf16; this run computes in fp32 and packs the weights for itself");
  EXPECT_TRUE(same_bits(run(*compiled, 1)[0], run(*plain, 1)[0]));
}

TEST_F(CompiledNet, CanBeCompiledAgain) {
  ASSERT_EQ(compile(onnx(), {.model = options_for(available_isas().front())}), "");
  ASSERT_EQ(compile(oxp(), {.model = options_for(best_isa())}), "");
  const auto plain = load(onnx(), options_for(best_isa())), compiled = load(oxp(), options_for(best_isa()));
  EXPECT_EQ(compiled->note(), "");
  EXPECT_TRUE(same_bits(run(*compiled, 1)[0], run(*plain, 1)[0]));
}

// Packs of other sizes than the kernels want, and packs that lie: never more than wrong numbers.
TEST_F(CompiledNet, PacksThatDoNotFitAreMadeAnew) {
  const ModelOptions options = options_for(best_isa());
  ASSERT_EQ(compile(onnx(), {.model = options}), "");
  const auto file = MappedFile::open(oxp()).take();
  ArtifactContents contents = parse_artifact(file.bytes()).take();
  ASSERT_FALSE(contents.packs.empty());
  for (ArtifactPack& pack : contents.packs) pack.bytes = pack.bytes.first(pack.bytes.size() / 2);
  ASSERT_TRUE(write_artifact(folder / "short.oxp", contents).ok());
  const auto plain = load(onnx(), options), shorted = load(folder / "short.oxp", options);
  EXPECT_TRUE(same_bits(run(*shorted, 1)[0], run(*plain, 1)[0]));
}

TEST_F(CompiledNet, ErrorsNameWhatIsWrong) {
  EXPECT_NE(compile(folder / "none.onnx", {}), "");
  std::ofstream(oxp(), std::ios::binary) << "\x89OXP\r\n\x1a\n and no more";
  auto model = Model::load(oxp(), {}, pool());
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::invalid_model);
  EXPECT_TRUE(model.error().message.starts_with("oxp: at byte ")) << model.error().message;
}

}  // namespace
}  // namespace oxplow
