// oxplow compile MODEL -o M.oxp: a model with its weights packed for this machine, as one file to map and run.

#include <cstdio>

#include "oxplow/apps/cli/model_flags.h"
#include "oxplow/graph/artifact.h"

namespace oxplow::cli {
namespace {

struct CompileFlags {
  ModelFlags model;
  std::string output;
  std::vector<int64_t> batches = {1};
};

Status compile(const CompileFlags& flags) {
  OXPLOW_ASSIGN(MachineChoice machine, choose_machine(flags.model));
  CompileOptions options{.model = machine.options, .batches = flags.batches};
  OXPLOW_ASSIGN(options.extents, extents_of(flags.model));
  auto report = compile_artifact(flags.model.path, flags.output, options, std::make_shared<ThreadPool>(machine.threads));
  if (!report.ok()) return in_context(flags.model.path, report.error());
  std::printf("%s  %s  %s  %.1f MB, of it %zu packed weights of %.1f MB\n", flags.output.c_str(), machine.precision.c_str(),
              std::string(name_of(machine.options.isa)).c_str(), static_cast<double>(report->file_bytes) / 1e6, report->packs,
              static_cast<double>(report->packed_bytes) / 1e6);
  return {};
}

}  // namespace

void add_compile(CLI::App& app, int& status) {
  auto flags = std::make_shared<CompileFlags>();
  CLI::App* command = app.add_subcommand("compile", "pack a model's weights for this machine into one file that starts at once");
  add_model_flags(*command, flags->model);
  command->add_option("-o,--output", flags->output, "the file to write, e.g. model.oxp")->required();
  command->add_option("--batch", flags->batches, "samples a run to pack for; several: one after another")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->callback([flags, &status] {
    if (Status result = compile(*flags); !result.ok()) status = fail(result.error());
  });
}

}  // namespace oxplow::cli
