// run_model MODEL.onnx INPUT.f32 OUTPUT.f32 [BATCH]: runs a model of one f32 input and one f32 output on raw little-endian floats,
// writes the first output, and says how long a run takes and where the time goes.

#include <oxplow/oxplow.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace {

int fail(const std::string& message) {
  std::fprintf(stderr, "run_model: %s\n", message.c_str());
  return 1;
}

// The extents the model declares, with `batch` for the first open one and 1 for others.
oxplow::Shape shape_of(const oxplow::TensorInfo& info, int64_t batch) {
  std::vector<int64_t> extents;
  for (const oxplow::Axis& axis : info.axes) extents.push_back(axis.extent >= 0 ? axis.extent : extents.empty() ? batch : 1);
  return oxplow::Shape(extents);
}

bool read_floats(const char* path, std::span<float> values) {
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  return file && file.peek() == std::ifstream::traits_type::eof();
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return fail("want MODEL.onnx INPUT.f32 OUTPUT.f32 [BATCH]");
  const int64_t batch = argc > 4 ? std::stoll(argv[4]) : 1;

  // 1. Load. Threads, precision and instruction set: see oxplow::Options.
  auto model = oxplow::Model::load(argv[1]);
  if (!model.ok()) return fail(model.error().message);
  std::printf("Oxplow %s, %d threads, %s\n", oxplow::version(), model->threads(), model->isa());
  for (const auto& info : model->inputs()) std::printf("input  %s: %s\n", info.name.c_str(), to_string(info).c_str());
  for (const auto& info : model->outputs()) std::printf("output %s: %s\n", info.name.c_str(), to_string(info).c_str());
  if (model->inputs().size() != 1 || model->inputs()[0].dtype != oxplow::DType::f32 || model->inputs()[0].any_rank)
    return fail("this example feeds one f32 input");

  // 2. Tensors. Tensor::borrow would take memory of ours instead.
  auto input = oxplow::Tensor::allocate(oxplow::DType::f32, shape_of(model->inputs()[0], batch));
  if (!input.ok()) return fail(input.error().message);
  if (!read_floats(argv[2], input->mutable_values<float>())) return fail(std::string(argv[2]) + ": not a file of as many floats");
  const std::span<const oxplow::Tensor> inputs(&*input, 1);
  auto outputs = model->allocate_outputs(inputs);  // plans for this shape, once
  if (!outputs.ok()) return fail(outputs.error().message);

  // 3. Run, again and again: no allocations from here on.
  double best = 1e30;
  for (int i = 0; i < 10; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (auto status = model->run(inputs, *outputs); !status.ok()) return fail(status.error().message);
    best = std::min(best, milliseconds_since(start));
  }
  std::printf("%.3f ms a run, at best of 10\n", best);

  // 4. Where the time goes.
  auto steps = model->profile(inputs);
  if (!steps.ok()) return fail(steps.error().message);
  std::sort(steps->begin(), steps->end(), [](const auto& a, const auto& b) { return a.milliseconds > b.milliseconds; });
  for (size_t i = 0; i < std::min<size_t>(3, steps->size()); ++i) {
    const oxplow::Step& step = (*steps)[i];
    std::printf("%8.3f ms  %-10s %-24s %s\n", step.milliseconds, step.op.c_str(), step.result.c_str(), step.kernel.c_str());
  }

  const oxplow::Tensor& result = outputs->front();
  std::ofstream(argv[3], std::ios::binary)
      .write(static_cast<const char*>(result.data()), static_cast<std::streamsize>(result.bytes()));
  return 0;
}
