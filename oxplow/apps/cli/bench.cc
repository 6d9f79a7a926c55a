// oxplow bench MODEL: how fast a model runs here.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "oxplow/apps/cli/input_files.h"
#include "oxplow/apps/cli/json_output.h"
#include "oxplow/apps/cli/model_flags.h"
#include "oxplow/base/cpu_budget.h"

namespace oxplow::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchFlags {
  ModelFlags model;
  int batch = 1;
  int workers = 1;
  double seconds = 5;
  std::string json;
  std::vector<std::string> inputs;  // "NAME=FILE.npy": real inputs instead of made-up ones
};

// One worker: a model with its own threads, and how long each of its runs took.
struct Worker {
  OpenModel open;
  std::vector<const void*> in;
  std::vector<void*> out;
  std::vector<Tensor> tensors;
  Execution* execution = nullptr;
  double first_ms = 0;
  std::vector<double> run_ms;

  void run() { execution->run(in, out, open.model->pool()); }
};

Result<std::vector<Tensor>> bench_inputs(const BenchFlags& flags, const Model& model) {
  if (!flags.inputs.empty()) return read_inputs(flags.inputs, model);
  OXPLOW_ASSIGN(const auto extents, extents_of(flags.model));
  OXPLOW_ASSIGN(const TensorTypes types, model.input_types(flags.batch, extents));
  return example_inputs(types);
}

Status start(Worker& worker, const BenchFlags& flags, std::optional<int> threads) {
  OXPLOW_ASSIGN(worker.open, open_model(flags.model, threads));
  OXPLOW_ASSIGN(worker.tensors, bench_inputs(flags, *worker.open.model));
  TensorTypes types;
  for (const Tensor& tensor : worker.tensors) {
    types.push_back(tensor.type());
    worker.in.push_back(tensor.data());
  }
  const auto planning = Clock::now();
  auto execution = worker.open.model->prepare(types);
  if (!execution.ok()) return in_context(flags.model.path, execution.error());
  worker.execution = *execution;
  worker.open.load_ms += milliseconds_since(planning);
  for (const TensorType& type : worker.execution->plan().outputs) {
    OXPLOW_ASSIGN(Tensor tensor, Tensor::allocate(type));
    worker.out.push_back(tensor.mutable_data());
    worker.tensors.push_back(std::move(tensor));
  }
  const auto first = Clock::now();
  worker.run();
  worker.first_ms = milliseconds_since(first);
  return {};
}

void time_runs(Worker& worker, double seconds) {
  // A few runs to warm up, unless one alone fills the time.
  for (int i = 0; i < 3 && worker.first_ms < seconds * 1e3 / 4; ++i) worker.run();
  const auto begin = Clock::now();
  while (milliseconds_since(begin) < seconds * 1e3 || worker.run_ms.empty()) {
    const auto t = Clock::now();
    worker.run();
    worker.run_ms.push_back(milliseconds_since(t));
  }
}

double percentile(const std::vector<double>& sorted, double p) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(p * static_cast<double>(sorted.size())))];
}

nlohmann::ordered_json report(const BenchFlags& flags, const std::vector<Worker>& workers) {
  std::vector<double> ms;
  double median = 0, best = 0, load = 0, first = 0;
  for (const Worker& worker : workers) {
    std::vector<double> own = worker.run_ms;
    std::sort(own.begin(), own.end());
    median += flags.batch * 1e3 / percentile(own, 0.5);
    best += flags.batch * 1e3 / own.front();
    load = std::max(load, worker.open.load_ms);
    first = std::max(first, worker.first_ms);
    ms.insert(ms.end(), own.begin(), own.end());
  }
  std::sort(ms.begin(), ms.end());
  const OpenModel& open = workers.front().open;
  return {{"model", flags.model.path},
          {"precision", open.precision},
          {"batch", flags.batch},
          {"threads", open.threads},
          {"workers", flags.workers},
          {"isa", name_of(open.isa)},
          {"load_ms", load},
          {"first_ms", first},
          {"samples_per_second", {{"median", median}, {"best", best}}},
          {"latency_ms", {{"p50", percentile(ms, 0.5)}, {"p90", percentile(ms, 0.9)}, {"p99", percentile(ms, 0.99)}}},
          {"peak_rss_mb", static_cast<double>(peak_resident_bytes()) / (1 << 20)}};
}

void print_table(const nlohmann::ordered_json& r) {
  const auto number = [&](const char* group, const char* key) { return r[group][key].get<double>(); };
  std::printf("%s  %s  batch %d  %d worker(s) x %d thread(s)  %s\n", r["model"].get<std::string>().c_str(),
              r["precision"].get<std::string>().c_str(), r["batch"].get<int>(), r["workers"].get<int>(), r["threads"].get<int>(),
              r["isa"].get<std::string>().c_str());
  std::printf("  samples/s   median %9.2f   best %9.2f\n", number("samples_per_second", "median"),
              number("samples_per_second", "best"));
  std::printf("  latency ms  p50 %9.3f   p90 %9.3f   p99 %9.3f\n", number("latency_ms", "p50"), number("latency_ms", "p90"),
              number("latency_ms", "p99"));
  std::printf("  load %.1f ms   first run %.1f ms   peak memory %.0f MB\n", r["load_ms"].get<double>(),
              r["first_ms"].get<double>(), r["peak_rss_mb"].get<double>());
}

Status bench(const BenchFlags& flags) {
  std::optional<int> each;
  if (flags.workers > 1) {
    OXPLOW_ASSIGN(const int threads, thread_count(CpuBudget::detect(), flags.model.threads));
    each = std::max(1, threads / flags.workers);
  }
  std::vector<Worker> workers(static_cast<size_t>(flags.workers));
  for (Worker& worker : workers) OXPLOW_TRY(start(worker, flags, each));
  std::vector<std::thread> others;
  for (size_t i = 1; i < workers.size(); ++i) others.emplace_back([&, i] { time_runs(workers[i], flags.seconds); });
  time_runs(workers[0], flags.seconds);
  for (std::thread& other : others) other.join();
  const auto result = report(flags, workers);
  if (flags.json != "-") print_table(result);
  return flags.json.empty() ? Status{} : write_json(flags.json, result);
}

}  // namespace

void add_bench(CLI::App& app, int& status) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand("bench", "time a model on made-up inputs");
  add_model_flags(*command, flags->model);
  command->add_option("--input", flags->inputs,
                      "NAME=FILE.npy, once for each input: time these instead of made-up ones (samples are counted by --batch)");
  command->add_option("--batch", flags->batch, "samples a run")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  command->add_option("--workers", flags->workers, "copies of the model that run side by side, the threads shared out among them")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--seconds", flags->seconds, "how long to time")->check(CLI::Range(0.01, 3600.0))->capture_default_str();
  command->add_option("--json", flags->json, "write the figures to a file (-: standard output)");
  command->callback([flags, &status] {
    if (Status result = bench(*flags); !result.ok()) status = fail(result.error());
  });
}

}  // namespace oxplow::cli
