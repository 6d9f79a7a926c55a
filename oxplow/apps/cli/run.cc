// oxplow run MODEL --input x=x.npy --output DIR

#include <filesystem>

#include "oxplow/apps/cli/input_files.h"
#include "oxplow/apps/cli/model_flags.h"
#include "oxplow/formats/npy.h"

namespace oxplow::cli {
namespace {

struct RunFlags {
  ModelFlags model;
  std::vector<std::string> inputs;  // "NAME=FILE.npy"
  std::string output = ".";
};

// A file name for an output, whatever the model calls it.
std::string file_name(std::string name) {
  for (char& c : name) {
    if (c == '/' || c == '\\' || c == '\0') c = '_';
  }
  return (name.empty() || name[0] == '.' ? "_" + name : name) + ".npy";
}

Status run(const RunFlags& flags) {
  OXPLOW_ASSIGN(OpenModel open, open_model(flags.model));
  OXPLOW_ASSIGN(auto inputs, read_inputs(flags.inputs, *open.model));
  auto results = open.model->run(inputs);
  if (!results.ok()) return in_context(flags.model.path, results.error());
  std::error_code failed;
  std::filesystem::create_directories(flags.output, failed);
  if (failed) return Error{ErrorCode::io, "cannot make the folder " + flags.output + ": " + failed.message()};
  const auto names = open.model->output_names();
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor& tensor = (*results)[i];
    const auto path = std::filesystem::path(flags.output) / file_name(names[i]);
    OXPLOW_TRY(write_npy(path, tensor.dtype(), tensor.shape(), {static_cast<const std::byte*>(tensor.data()), tensor.bytes()}));
  }
  return {};
}

}  // namespace

void add_run(CLI::App& app, int& status) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = app.add_subcommand("run", "run a model once on given inputs");
  add_model_flags(*command, flags->model);
  command->add_option("--input", flags->inputs, "NAME=FILE.npy, once for each input")->check(named("NAME=FILE.npy"));
  command->add_option("--output", flags->output, "folder for the outputs, one NAME.npy each")->capture_default_str();
  command->callback([flags, &status] {
    if (Status result = run(*flags); !result.ok()) status = fail(result.error());
  });
}

}  // namespace oxplow::cli
