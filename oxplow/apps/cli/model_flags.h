#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "oxplow/graph/model.h"

namespace oxplow::cli {

// What every command that opens a model takes.
struct ModelFlags {
  std::string path;
  std::string precision;  // "": that of an artifact, else fp32
  std::optional<int> threads;
  std::vector<std::string> dims;  // "NAME=N"
  std::vector<std::string> skip_passes;
  std::string convolution;
};

struct OpenModel {
  std::unique_ptr<Model> model;
  Isa isa = Isa{};
  int threads = 1;
  std::string precision;  // what is computed, after falling back
  double load_ms = 0;
};

// Checks an option whose values are NAME=SOMETHING; `form` says so in the message.
std::function<std::string(const std::string&)> named(std::string form);

void add_model_flags(CLI::App& command, ModelFlags& flags);

// What the flags and the environment say of how to run, and what follows for this machine.
struct MachineChoice {
  ModelOptions options;
  int threads = 1;
  std::string precision;  // what is computed, after falling back (said on stderr)
};
Result<MachineChoice> choose_machine(const ModelFlags& flags, std::optional<int> threads = std::nullopt);

// Loads the model with threads of its own (`threads`: overrides flags and budget).
Result<OpenModel> open_model(const ModelFlags& flags, std::optional<int> threads = std::nullopt);

// --dim NAME=N, parsed.
Result<std::map<std::string, int64_t>> extents_of(const ModelFlags& flags);

// Inputs to time a model with: f32 from -1 to 1, integers all 1 (a valid token, an open mask).
Result<std::vector<Tensor>> example_inputs(const TensorTypes& types);

// Prints "oxplow: message" to stderr; gives the exit status for it (1).
int fail(const Error& error);

double milliseconds_since(std::chrono::steady_clock::time_point start);

}  // namespace oxplow::cli
