// oxplow explain MODEL: where a run's time goes, op by op, and how far each is from this machine's limit.

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "oxplow/apps/cli/json_output.h"
#include "oxplow/apps/cli/model_flags.h"
#include "oxplow/base/printable.h"
#include "oxplow/kernels/peak/machine_peaks.h"

namespace oxplow::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct ExplainFlags {
  ModelFlags model;
  int batch = 1;
  double seconds = 2;
  bool graph = false;
  std::string json;
};

struct Row {
  const PlannedStep* step;
  double ms = 0;
  double limit_ms = 0;  // the least this machine could take
};

// The least time by this machine's peaks: computing, or moving the operands from the nearest cache that could hold them.
double limit_ms(const PlannedStep& step, const MachinePeaks& peaks) {
  const double gflops = step.bf16 && peaks.bf16_gflops > 0 ? peaks.bf16_gflops : peaks.f32_gflops;
  const double bandwidth = step.cost.bytes < 1.5e6 * peaks.threads       ? peaks.l2_gbps
                           : step.cost.bytes < 16e6 && peaks.l3_gbps > 0 ? peaks.l3_gbps
                                                                         : peaks.dram_gbps;
  return std::max(step.cost.flops / gflops, step.cost.bytes / bandwidth) / 1e6;
}

struct Profile {
  std::vector<Row> rows;
  double wall_ms = 0;  // of an unprofiled run
  double sum_ms = 0;
};

Result<Profile> profile(OpenModel& open, const ExplainFlags& flags, const TensorTypes& types) {
  OXPLOW_ASSIGN(auto tensors, example_inputs(types));
  OXPLOW_ASSIGN(Execution * execution, open.model->prepare(types));
  const Plan& plan = execution->plan();
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Tensor& tensor : tensors) in.push_back(tensor.data());
  for (const TensorType& type : plan.outputs) {
    OXPLOW_ASSIGN(Tensor tensor, Tensor::allocate(type));
    out.push_back(tensor.mutable_data());
    tensors.push_back(std::move(tensor));
  }
  ThreadPool& pool = open.model->pool();
  std::vector<double> seconds(plan.steps.size(), 0);
  for (int i = 0; i < 3; ++i) execution->run(in, out, pool);
  int runs = 0;
  double profiled_s = 0;
  for (const auto begin = Clock::now(); runs < 3 || milliseconds_since(begin) < flags.seconds * 1e3; ++runs) {
    const auto t = Clock::now();
    execution->run_profiled(in, out, pool, seconds);
    profiled_s += milliseconds_since(t) / 1e3;
  }
  const MachinePeaks peaks = measure_peaks(pool, open.isa, 0.5);
  Profile p;
  p.wall_ms = profiled_s / runs * 1e3;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    p.rows.push_back({&plan.steps[i], seconds[i] / runs * 1e3, limit_ms(plan.steps[i], peaks)});
    p.sum_ms += p.rows.back().ms;
  }
  return p;
}

void print_declared(const char* what, const DeclaredTensor& declared) {
  std::printf("%-6s %s\n", what, printable(declared.name + ": " + to_string(declared)).c_str());
}

nlohmann::ordered_json to_json(const std::vector<DeclaredTensor>& declared) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const DeclaredTensor& tensor : declared)
    list.push_back({{"name", printable(tensor.name)}, {"type", printable(to_string(tensor))}});
  return list;
}

void print_table(const Model& model, const Profile& p) {
  for (const DeclaredTensor& input : model.inputs()) print_declared("input", input);
  for (const DeclaredTensor& output : model.declared_outputs()) print_declared("output", output);
  std::printf("%4s  %-14s %-26s %9s %8s %6s %8s  %-34s %s\n", "#", "op", "result", "GFLOP", "ms", "%time", "%limit", "kernel",
              "why / node");
  int i = 0;
  for (const Row& row : p.rows) {
    const PlannedStep& s = *row.step;
    std::printf("%4d  %-14s %-26s %9.4f %8.4f %6.2f %8.1f  %-34s %s [%s]\n", i++, s.op.c_str(), s.result.c_str(),
                s.cost.flops / 1e9, row.ms, 100 * row.ms / p.wall_ms, 100 * row.limit_ms / row.ms, s.step->kernel.c_str(),
                s.step->why.c_str(), s.node.c_str());
  }
  std::printf("%zu steps, %.3f ms a run; %.1f %% of it accounted for\n", p.rows.size(), p.wall_ms, 100 * p.sum_ms / p.wall_ms);
}

nlohmann::ordered_json to_json(const Model& model, const Profile& p) {
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const Row& row : p.rows) {
    const PlannedStep& s = *row.step;
    steps.push_back({{"op", s.op},
                     {"node", s.node},
                     {"result", s.result},
                     {"kernel", s.step->kernel},
                     {"why", s.step->why},
                     {"gflop", s.cost.flops / 1e9},
                     {"ms", row.ms},
                     {"percent_of_time", 100 * row.ms / p.wall_ms},
                     {"percent_of_limit", 100 * row.limit_ms / row.ms}});
  }
  return {{"inputs", to_json(model.inputs())},
          {"outputs", to_json(model.declared_outputs())},
          {"wall_ms", p.wall_ms},
          {"accounted_percent", 100 * p.sum_ms / p.wall_ms},
          {"steps", steps}};
}

Status explain(const ExplainFlags& flags) {
  OXPLOW_ASSIGN(OpenModel open, open_model(flags.model));
  OXPLOW_ASSIGN(const auto extents, extents_of(flags.model));
  OXPLOW_ASSIGN(const TensorTypes types, open.model->input_types(flags.batch, extents));
  if (flags.graph) {
    OXPLOW_ASSIGN(const std::string text, open.model->explain_graph(types));
    std::fputs(text.c_str(), stdout);
    return {};
  }
  auto p = profile(open, flags, types);
  if (!p.ok()) return in_context(flags.model.path, p.error());
  if (flags.json.empty()) print_table(*open.model, *p);
  return flags.json.empty() ? Status{} : write_json(flags.json, to_json(*open.model, *p));
}

}  // namespace

void add_explain(CLI::App& app, int& status) {
  auto flags = std::make_shared<ExplainFlags>();
  CLI::App* command = app.add_subcommand("explain", "show each op of a run: kernel, why, time, share of this machine's limit");
  add_model_flags(*command, flags->model);
  command->add_option("--batch", flags->batch, "samples a run")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  command->add_option("--seconds", flags->seconds, "how long to time")->check(CLI::Range(0.01, 3600.0))->capture_default_str();
  command->add_flag("--graph", flags->graph, "print the optimized graph instead");
  command->add_option("--json", flags->json, "write the figures to a file (-: standard output)");
  command->callback([flags, &status] {
    if (Status result = explain(*flags); !result.ok()) status = fail(result.error());
  });
}

}  // namespace oxplow::cli
