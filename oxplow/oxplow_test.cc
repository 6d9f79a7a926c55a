// The public header as a user has it: nothing of the library's own headers (the writer of test models uses none).
#include "oxplow/oxplow.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <thread>

#include "oxplow/formats/protobuf_writer.h"

// Every allocation of this program is counted, except where a sanitizer has operators of its own (then the count stays 0).
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OXPLOW_SANITIZER_ALLOCATES 1
#endif
#endif

std::atomic<long> allocations{0};

#ifndef OXPLOW_SANITIZER_ALLOCATES
// Never inlined: g++ would pair a new it sees through with a delete it does not.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace {

using oxplow::DType, oxplow::ErrorCode, oxplow::Model, oxplow::ProtobufWriter, oxplow::Shape, oxplow::Tensor, oxplow::Workers;

ProtobufWriter value(std::string_view name, std::initializer_list<ProtobufWriter> dims) {
  ProtobufWriter shape;
  for (const ProtobufWriter& dim : dims) shape.message(1, dim);
  return ProtobufWriter().text(1, name).message(2, ProtobufWriter().message(1, ProtobufWriter().varint(1, 1).message(2, shape)));
}

// y [batch, 2] = relu(x [batch, 3] w), w = [[1, -1], [2, 0], [3, 1]].
std::string small_model(std::string_view op = "Relu") {
  const auto batch = ProtobufWriter().text(2, "batch");
  const auto extent = [](int64_t n) { return ProtobufWriter().varint(1, n); };
  const float weights[] = {1, -1, 2, 0, 3, 1};
  const auto w = ProtobufWriter().packed_varints(1, {3, 2}).varint(2, 1).text(8, "w").text(
      9, {reinterpret_cast<const char*>(weights), sizeof weights});
  const auto graph = ProtobufWriter()
                         .message(1, ProtobufWriter().text(1, "x").text(1, "w").text(2, "m").text(3, "product").text(4, "MatMul"))
                         .message(1, ProtobufWriter().text(1, "m").text(2, "y").text(3, "a\nb").text(4, op))
                         .text(2, "small")
                         .message(5, w)
                         .message(11, value("x", {batch, extent(3)}))
                         .message(12, value("y", {batch, extent(2)}));
  return ProtobufWriter().varint(1, 9).message(7, graph).message(8, ProtobufWriter().varint(2, 20)).str();
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

Model loaded(const oxplow::Options& options = {}) { return Model::from_bytes(bytes_of(small_model()), options).take(); }

std::string message_of(const auto& result) { return result.ok() ? "no error" : result.error().message; }

const std::vector<float> kTwoRows = {1, 2, 3, -1, 0, 1};
const std::vector<float> kTwoResults = {14, 2, 2, 2};
Tensor two_rows() { return Tensor::borrow(std::span(kTwoRows), {2, 3}).take(); }

TEST(PublicHeader, SaysItsVersion) {
  const std::string header = std::to_string(OXPLOW_VERSION_MAJOR) + "." + std::to_string(OXPLOW_VERSION_MINOR) + "." +
                             std::to_string(OXPLOW_VERSION_PATCH);
  EXPECT_EQ(oxplow::version(), header);
}

TEST(PublicHeader, RunsAModelOfAnyBatch) {
  Model model = loaded({.threads = 2});
  EXPECT_EQ(model.threads(), 2);
  const Tensor x = two_rows();
  const auto y = model.run({&x, 1}).take();
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(y[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(std::vector(y[0].values<float>().begin(), y[0].values<float>().end()), kTwoResults);
  const Tensor one = Tensor::borrow(std::span(kTwoRows).first(3), {1, 3}).take();
  EXPECT_EQ(model.run({&one, 1}).take()[0].shape(), (Shape{1, 2}));
}

TEST(PublicHeader, TellsWhatTheModelDeclares) {
  const Model model = loaded();
  ASSERT_EQ(model.inputs().size(), 1u);
  EXPECT_EQ(model.inputs()[0].name, "x");
  EXPECT_EQ(model.inputs()[0].axes[0].extent, -1);
  EXPECT_EQ(model.inputs()[0].axes[0].name, "batch");
  EXPECT_EQ(oxplow::to_string(model.inputs()[0]), "f32[batch, 3]");
  ASSERT_EQ(model.outputs().size(), 1u);
  EXPECT_EQ(model.outputs()[0].name, "y");
  EXPECT_EQ(oxplow::to_string(model.outputs()[0]), "f32[batch, 2]");
  EXPECT_GE(model.threads(), 1);
  EXPECT_FALSE(std::string(model.isa()).empty());
  EXPECT_EQ(model.precision(), oxplow::Precision::fp32);
}

TEST(PublicHeader, CompiledModelsRunLikeTheirSource) {
  const std::string source = testing::TempDir() + "small.onnx", target = testing::TempDir() + "small.oxp";
  std::ofstream(source, std::ios::binary) << small_model();
  const auto report = oxplow::compile(source, target, {.batches = {1, 2}});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_GT(report->packs, 0u);
  EXPECT_GT(report->file_bytes, report->packed_bytes);
  auto model = Model::load(target);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(oxplow::to_string(model->inputs()[0]), "f32[batch, 3]");
  const Tensor x = two_rows();
  const auto results = model->run({&x, 1});
  ASSERT_TRUE(results.ok()) << results.error().message;
  const auto values = (*results)[0].values<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()), kTwoResults);

  EXPECT_EQ(oxplow::compile(source, target, {.batches = {0}}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(oxplow::compile(source, target, {.extents = {{"time", 3}}}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(oxplow::compile(source + ".none", target).error().code, ErrorCode::not_found);
  EXPECT_EQ(oxplow::compile(source, testing::TempDir() + "no/where.oxp").error().code, ErrorCode::io);
  std::remove(source.c_str());
  std::remove(target.c_str());
}

TEST(PublicHeader, RunsIntoGivenMemoryWithoutAllocating) {
  Model model = loaded({.threads = 2});
  const Tensor x = two_rows();
  std::vector<float> result(4);
  Tensor y = Tensor::borrow(std::span(result), {2, 2}).take();
  ASSERT_TRUE(model.run({&x, 1}, {&y, 1}).ok());
  EXPECT_EQ(result, kTwoResults);
  const long before = allocations;
  for (int i = 0; i < 10; ++i) {
    result.assign(4, 0);
    ASSERT_TRUE(model.run({&x, 1}, {&y, 1}).ok());
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(result, kTwoResults);
}

TEST(PublicHeader, AllocatesOutputsForInputs) {
  Model model = loaded();
  const Tensor x = two_rows();
  auto y = model.allocate_outputs({&x, 1}).take();
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(y[0].shape(), (Shape{2, 2}));
  const long before = allocations;
  ASSERT_TRUE(model.run({&x, 1}, y).ok());
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(y[0].values<float>()[0], 14);
}

TEST(PublicHeader, SaysWhichTensorDoesNotFit) {
  Model model = loaded();
  std::vector<float> memory(12);
  const Tensor x = two_rows(), wide = Tensor::borrow(std::span(memory), {3, 4}).take();
  Tensor y = Tensor::allocate(DType::f32, {2, 2}).take(), large = Tensor::allocate(DType::f32, {3, 2}).take();
  EXPECT_EQ(message_of(model.run({&wide, 1})), "input 'x' is f32[3, 4], the model wants f32[batch, 3]: axis 1 must be 3");
  EXPECT_EQ(message_of(model.run({})), "the model takes 1 inputs, not 0");
  EXPECT_EQ(message_of(model.run({&x, 1}, {})), "the model has 1 outputs, not 0");
  EXPECT_EQ(message_of(model.run({&x, 1}, {&large, 1})), "output 'y' is f32[3, 2]; for these inputs the model gives f32[2, 2]");
  const std::vector<float> constant(4);
  Tensor fixed = Tensor::borrow(std::span(constant), {2, 2}).take();
  EXPECT_EQ(message_of(model.run({&x, 1}, {&fixed, 1})), "output 'y' may not be written");
  const Tensor first = Tensor::borrow(std::span(memory).first(6), {2, 3}).take();
  Tensor behind = Tensor::borrow(std::span(memory).subspan(5, 4), {2, 2}).take();
  EXPECT_EQ(message_of(model.run({&first, 1}, {&behind, 1})), "output 'y' shares memory with an input");
  EXPECT_EQ(message_of(model.run({&x, 1}, {&y, 1})), "no error");
}

TEST(PublicHeader, RefusesTensorsThatCannotBe) {
  std::vector<float> memory(4);
  EXPECT_EQ(message_of(Tensor::borrow(std::span(memory), {3})), "a span of 4 values for a shape of 3");
  EXPECT_FALSE(Tensor::borrow(DType::f32, {4}, static_cast<void*>(nullptr)).ok());
  EXPECT_FALSE(Tensor::borrow(DType::f32, {2}, reinterpret_cast<char*>(memory.data()) + 1).ok());
  EXPECT_FALSE(Tensor::allocate(DType::f32, {-1}).ok());
  EXPECT_FALSE(Tensor::allocate(DType::f32, {int64_t{1} << 40, int64_t{1} << 40}).ok());
  EXPECT_FALSE(Tensor::allocate(DType::f32, Shape(std::vector<int64_t>(11, 1))).ok());
  EXPECT_TRUE(Tensor::allocate(DType::f32, {}).ok());
  EXPECT_EQ(Tensor::allocate(DType::i4, {3}).take().bytes(), 2u);
  EXPECT_EQ(Tensor().bytes(), 0u);
}

TEST(PublicHeader, KeepsAnOwner) {
  auto memory = std::make_shared<std::vector<float>>(6, 1.0f);
  Tensor tensor = Tensor::borrow(DType::f32, {2, 3}, static_cast<const void*>(memory->data()), memory).take();
  EXPECT_EQ(memory.use_count(), 2);
  memory.reset();
  EXPECT_EQ(tensor.values<float>()[5], 1);
  EXPECT_EQ(tensor.mutable_data(), nullptr);
}

TEST(PublicHeader, GivesErrorsOfTheOutsideWorld) {
  const auto none = Model::load("/nowhere/model.onnx");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::not_found);
  EXPECT_STREQ(oxplow::name_of(none.error().code), "NOT_FOUND");
  const auto cut = Model::from_bytes(bytes_of(small_model()).first(60));
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, ErrorCode::invalid_model);
  const auto unknown = Model::from_bytes(bytes_of(small_model("Harrow\x1b")));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::unsupported);
  EXPECT_EQ(unknown.error().message, "the model uses ops that are not supported: 'Harrow\\x1b' (node 'a\\x0ab')");
  EXPECT_FALSE(Model::from_bytes({}).ok());
  for (const oxplow::Options& options : {oxplow::Options{.isa = "z80"}, {.threads = -1}, {.threads = 2000}}) {
    const auto refused = Model::from_bytes(bytes_of(small_model()), options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << refused.error().message;
  }
}

TEST(PublicHeader, ModelsShareWorkers) {
  Workers workers = Workers::create(3).take();
  EXPECT_EQ(workers.threads(), 3);
  Model a = loaded({.threads = 1, .workers = &workers}), b = loaded({.workers = &workers});
  EXPECT_EQ(a.threads(), 3);
  EXPECT_EQ(b.threads(), 3);
  EXPECT_FALSE(Workers::create(-1).ok());
}

TEST(PublicHeader, RunsFromSeveralThreads) {
  Model model = loaded({.threads = 2});
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int rows = 1; rows <= 3; ++rows) {
    threads.emplace_back([&, rows] {
      const std::vector<float> ones(static_cast<size_t>(rows) * 3, 1);
      const Tensor x = Tensor::borrow(std::span(ones), {rows, 3}).take();
      for (int i = 0; i < 50; ++i) {
        const auto y = model.run({&x, 1}).take();
        wrong += y[0].elements() != rows * 2 || y[0].values<float>()[0] != 6;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(PublicHeader, Profiles) {
  Model model = loaded();
  const Tensor x = two_rows();
  const auto steps = model.profile({&x, 1}, 3).take();
  ASSERT_FALSE(steps.empty());
  EXPECT_FALSE(steps[0].kernel.empty());
  EXPECT_GE(steps[0].milliseconds, 0);
}

TEST(PublicHeaderDeathTest, ValueOfAFailureAborts) { EXPECT_DEATH((void)Model::load("/nowhere/model.onnx").take(), "nowhere"); }

}  // namespace
