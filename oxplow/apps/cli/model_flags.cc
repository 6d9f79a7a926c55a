#include "oxplow/apps/cli/model_flags.h"

#include <charconv>
#include <chrono>
#include <cstdio>

#include "oxplow/base/cpu_budget.h"
#include "oxplow/base/printable.h"
#include "oxplow/formats/artifact.h"
#include "oxplow/graph/artifact.h"

namespace oxplow::cli {

std::function<std::string(const std::string&)> named(std::string form) {
  return [form](const std::string& text) {
    const size_t equals = text.find('=');
    return equals == 0 || equals == std::string::npos ? "'" + text + "' is not of the form " + form : std::string();
  };
}

void add_model_flags(CLI::App& command, ModelFlags& flags) {
  command.add_option("MODEL", flags.path, "an ONNX model, or what `oxplow compile` made of one")->required();
  command.add_option("--precision", flags.precision, "what to compute in (default: fp32, or what the model was compiled for)")
      ->check(CLI::IsMember({"fp32", "bf16", "int8", "auto"}));
  command
      .add_option("--threads", flags.threads,
                  "threads to keep busy (default: OXPLOW_THREADS, OMP_NUM_THREADS, or what this process may use)")
      ->check(CLI::Range(1, 1024));
  command.add_option("--dim", flags.dims, "NAME=N: the extent of an open axis, e.g. sequence=128")->check(named("NAME=N"));
  std::vector<std::string> passes;
  for (const NamedPass& pass : all_passes()) passes.emplace_back(pass.name);
  command
      .add_option("--skip-pass", flags.skip_passes,
                  "leave a graph pass out (to see what it gains, or which one a difference comes from)")
      ->check(CLI::IsMember(passes));
  command
      .add_option("--convolution", flags.convolution,
                  "convolve by this only: without Winograd, or by plain loops (to see what kernels gain)")
      ->check(CLI::IsMember({"direct", "plain", "plain_channels_last"}));
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

int fail(const Error& error) {
  std::fprintf(stderr, "oxplow: %s\n", printable(error.message).c_str());
  return 1;
}

namespace {

// The name of the precision that the flags ask for.
Result<std::string> wanted_precision(const ModelFlags& flags) {
  if (flags.precision.empty() && is_artifact(std::filesystem::path(flags.path))) {
    auto compiled = artifact_precision(flags.path);
    if (!compiled.ok()) return in_context(flags.path, compiled.error());
    return std::string(*compiled == Precision::bf16 ? "bf16" : "fp32");
  }
  return flags.precision.empty() || flags.precision == "auto" ? "fp32" : flags.precision;
}

}  // namespace

Result<MachineChoice> choose_machine(const ModelFlags& flags, std::optional<int> threads) {
  MachineChoice choice;
  OXPLOW_ASSIGN(choice.options.isa, isa_from_environment());
  if (threads) {
    choice.threads = *threads;
  } else {
    OXPLOW_ASSIGN(choice.threads, thread_count(CpuBudget::detect(), flags.threads));
  }
  choice.options.passes.skip = flags.skip_passes;
  choice.options.passes.convolution = flags.convolution;
  OXPLOW_ASSIGN(choice.precision, wanted_precision(flags));
  if (choice.precision == "int8")
    return Error{ErrorCode::unsupported,
                 "--precision int8 needs a quantized model, which this version cannot read yet; use fp32 or bf16"};
  if (choice.precision == "bf16" && !computes_in_bf16(choice.options.isa)) {
    std::fprintf(stderr, "oxplow: note: no bf16 kernels for %s; computing in fp32\n",
                 std::string(name_of(choice.options.isa)).c_str());
    choice.precision = "fp32";
  }
  if (choice.precision == "bf16") choice.options.passes.precision = Precision::bf16;
  return choice;
}

Result<OpenModel> open_model(const ModelFlags& flags, std::optional<int> threads) {
  const auto start = std::chrono::steady_clock::now();
  OXPLOW_ASSIGN(MachineChoice choice, choose_machine(flags, threads));
  OpenModel open{.model = nullptr, .isa = choice.options.isa, .threads = choice.threads, .precision = choice.precision};
  OXPLOW_ASSIGN(open.model, Model::load(flags.path, choice.options, std::make_shared<ThreadPool>(open.threads)));
  if (!open.model->note().empty())
    std::fprintf(stderr, "oxplow: note: %s: %s\n", printable(flags.path).c_str(), printable(open.model->note()).c_str());
  open.load_ms = milliseconds_since(start);
  return open;
}

Result<std::map<std::string, int64_t>> extents_of(const ModelFlags& flags) {
  std::map<std::string, int64_t> extents;
  for (const std::string& text : flags.dims) {
    const size_t equals = text.find('=');
    int64_t value = 0;
    const char* end = text.data() + text.size();
    const bool whole =
        equals != std::string::npos && std::from_chars(text.data() + equals + 1, end, value).ptr == end && value > 0;
    if (!whole) return Error{ErrorCode::invalid_argument, "--dim " + text + ": want NAME=N with N > 0"};
    extents[text.substr(0, equals)] = value;
  }
  return extents;
}

Result<std::vector<Tensor>> example_inputs(const TensorTypes& types) {
  std::vector<Tensor> inputs;
  uint32_t state = 1;
  for (const TensorType& type : types) {
    OXPLOW_ASSIGN(Tensor tensor, Tensor::allocate(type));
    if (!is_arithmetic(type.dtype)) {  // zeros do
      inputs.push_back(std::move(tensor));
      continue;
    }
    visit(type.dtype, [&](auto t) {
      using T = decltype(t);
      for (T& value : tensor.mutable_values<T>()) {
        state = state * 1664525u + 1013904223u;
        const float uniform = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1;
        if constexpr (std::is_integral_v<T>) {
          value = T{1};
        } else {
          value = static_cast<T>(uniform);
        }
      }
    });
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

}  // namespace oxplow::cli
