#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "oxplow/apps/cli/commands.h"
#include "oxplow/apps/cli/json_output.h"
#include "oxplow/base/cpu_budget.h"
#include "oxplow/base/isa.h"
#include "oxplow/base/thread_pool.h"
#include "oxplow/base/topology.h"
#include "oxplow/kernels/peak/machine_peaks.h"

namespace oxplow::cli {
namespace {

struct Options {
  bool measure = false;
  double seconds = 3;
  std::optional<int> threads;
  std::string json;
};

// All that doctor has to tell.
struct Findings {
  CpuBudget budget;
  Topology topology;
  int threads = 1;
  Isa isa{};
  std::optional<MachinePeaks> peaks;
  std::vector<std::string> hints;
};

__attribute__((format(printf, 1, 2))) std::string text_of(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

// "48 KB", "2 MB", "23.5 GB".
std::string size_in_words(int64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  return text_of(value < 100 && value != std::floor(value) ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
}

// "2 threads: 2 cores", or who asked for another number.
std::string threads_reason(const Findings& findings, const Options& options) {
  if (findings.threads == findings.budget.threads) return findings.budget.reason;
  const char* who = options.threads ? "--threads" : std::getenv("OXPLOW_THREADS") ? "OXPLOW_THREADS" : "OMP_NUM_THREADS";
  return text_of("%d by %s; the budget is %s", findings.threads, who, findings.budget.reason.c_str());
}

void give_hints(Findings& findings) {
  const CpuBudget& budget = findings.budget;
  std::vector<std::string>& hints = findings.hints;
  if (findings.isa != best_isa()) {
    hints.push_back(text_of("OXPLOW_ISA holds Oxplow at %s; unset it to use this machine's %s.", name_of(findings.isa).data(),
                            name_of(best_isa()).data()));
  }
  if (findings.topology.huge_pages == "never") {
    hints.push_back(
        "Transparent huge pages are off, so weights lie on small pages. Turn them on where programs ask for them: "
        "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
  } else if (findings.topology.huge_pages.empty()) {
    hints.push_back("This system has no transparent huge pages, so weights lie on small pages.");
  }
  if (findings.threads > budget.threads) {
    hints.push_back(text_of("%d threads are more than the budget of %d: they will take turns, and wait for each other.",
                            findings.threads, budget.threads));
  }
  if (budget.cgroup_quota && *budget.cgroup_quota < budget.physical && *budget.cgroup_quota != budget.threads) {
    hints.push_back(text_of("The quota of %.3g cores is used by %d thread%s: a quota of whole cores leaves nothing over.",
                            *budget.cgroup_quota, budget.threads, budget.threads == 1 ? "" : "s"));
  }
  if (findings.topology.numa_nodes > 1) {
    hints.push_back(text_of("%d NUMA nodes: one process a node is fastest, e.g. numactl --cpunodebind=0 --membind=0 oxplow ...",
                            findings.topology.numa_nodes));
  }
  if (findings.peaks && findings.peaks->bf16_gflops > 0 && findings.peaks->bf16_gflops < findings.peaks->f32_gflops) {
    hints.push_back("bf16 products are slower than f32 ones in this tier: bf16 saves memory here, not time.");
  }
}

Result<Findings> examine(const Options& options) {
  Findings findings;
  findings.budget = CpuBudget::detect();
  findings.topology = Topology::detect();
  OXPLOW_ASSIGN(findings.threads, thread_count(findings.budget, options.threads));
  OXPLOW_ASSIGN(findings.isa, isa_from_environment());
  if (options.measure) {
    ThreadPool pool(findings.threads);
    findings.peaks = measure_peaks(pool, findings.isa, options.seconds);
  }
  give_hints(findings);
  return findings;
}

std::string list_of_isas() {
  std::string text;
  for (Isa isa : available_isas()) {
    if (!text.empty()) text += ", ";
    text += name_of(isa);
  }
  return text;
}

void print_row(const char* name, const std::string& text) { std::printf("%-12s %s\n", name, text.c_str()); }

void print_machine(const Findings& findings, const Options& options) {
  const Topology& topology = findings.topology;
  print_row("cpu", topology.cpu_name);
  print_row("threads", threads_reason(findings, options));
  print_row("isa", text_of("%s (this machine has %s)", name_of(findings.isa).data(), list_of_isas().c_str()));
  std::string caches;
  for (const CacheLevel& cache : topology.caches) {
    if (!caches.empty()) caches += ", ";
    caches += text_of("L%d %s", cache.level, size_in_words(cache.bytes).c_str());
    if (cache.shared_by > 1) caches += text_of(" shared by %d processors", cache.shared_by);
  }
  print_row("caches", caches.empty() ? "the system does not tell" : caches);
  print_row("memory", size_in_words(topology.memory_bytes));
  print_row("huge pages", topology.huge_pages.empty() ? "none" : topology.huge_pages);
  print_row("numa nodes", std::to_string(topology.numa_nodes));
  print_row("cpu limit", findings.budget.cgroup_quota
                             ? text_of("%.3g cores at %s", *findings.budget.cgroup_quota, findings.budget.cgroup_path.c_str())
                             : "none");
  print_row("memory limit", topology.memory_limit ? text_of("%s at %s", size_in_words(*topology.memory_limit).c_str(),
                                                            topology.memory_limit_path.c_str())
                                                  : "none");
}

void print_peaks(const MachinePeaks& peaks) {
  std::printf("\npeaks of %d thread%s\n", peaks.threads, peaks.threads == 1 ? "" : "s together");
  const auto row = [](const char* name, double figure, const char* unit) {
    if (figure > 0) {
      std::printf("  %-18s %9.*f %s\n", name, figure < 100 ? 1 : 0, figure, unit);
    } else {
      std::printf("  %-18s %9s\n", name, "-");
    }
  };
  row("f32 multiply-add", peaks.f32_gflops, "GFLOP/s");
  row("bf16 dot product", peaks.bf16_gflops, "GFLOP/s");
  row("int8 dot product", peaks.i8_gops, "GOP/s");
  row("reads from L1", peaks.l1_gbps, "GB/s");
  row("reads from L2", peaks.l2_gbps, "GB/s");
  row("reads from L3", peaks.l3_gbps, "GB/s");
  row("reads from memory", peaks.dram_gbps, "GB/s");
}

void print(const Findings& findings, const Options& options) {
  print_machine(findings, options);
  if (findings.peaks) print_peaks(*findings.peaks);
  if (!findings.hints.empty()) std::printf("\nhints\n");
  for (const std::string& hint : findings.hints) std::printf("  %s\n", hint.c_str());
}

nlohmann::ordered_json to_json(const MachinePeaks& peaks) {
  return {{"threads", peaks.threads}, {"f32_gflops", peaks.f32_gflops}, {"bf16_gflops", peaks.bf16_gflops},
          {"i8_gops", peaks.i8_gops}, {"l1_gbps", peaks.l1_gbps},       {"l2_gbps", peaks.l2_gbps},
          {"l3_gbps", peaks.l3_gbps}, {"dram_gbps", peaks.dram_gbps}};
}

nlohmann::ordered_json to_json(const Findings& findings, const Options& options) {
  const Topology& topology = findings.topology;
  nlohmann::ordered_json caches = nlohmann::ordered_json::array();
  for (const CacheLevel& cache : topology.caches) {
    caches.push_back({{"level", cache.level}, {"kb", cache.bytes >> 10}, {"shared_by", cache.shared_by}});
  }
  nlohmann::ordered_json isas = nlohmann::ordered_json::array();
  for (Isa isa : available_isas()) isas.push_back(name_of(isa));
  nlohmann::ordered_json document = {{"cpu", topology.cpu_name},
                                     {"threads", findings.threads},
                                     {"threads_reason", threads_reason(findings, options)},
                                     {"isa", name_of(findings.isa)},
                                     {"isa_available", isas},
                                     {"caches", caches},
                                     {"huge_pages", topology.huge_pages.empty() ? "none" : topology.huge_pages},
                                     {"numa_nodes", topology.numa_nodes},
                                     {"memory_mb", topology.memory_bytes >> 20},
                                     {"memory_limit_mb", nullptr},
                                     {"cpu_limit", nullptr},
                                     {"hints", findings.hints}};
  if (topology.memory_limit) document["memory_limit_mb"] = *topology.memory_limit >> 20;
  if (findings.budget.cgroup_quota) document["cpu_limit"] = *findings.budget.cgroup_quota;
  if (findings.peaks) document["peaks"] = to_json(*findings.peaks);
  return document;
}

Status run(const Options& options) {
  OXPLOW_ASSIGN(const Findings findings, examine(options));
  if (options.json != "-") print(findings, options);
  if (!options.json.empty()) OXPLOW_TRY(write_json(options.json, to_json(findings, options)));
  return {};
}

}  // namespace

void add_doctor(CLI::App& app, int& status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "Tell what this machine offers, what limits it, and what would help");
  command->add_flag("--measure", options->measure, "Measure the peaks of arithmetic and of memory");
  command->add_option("--seconds", options->seconds, "Time to measure for")
      ->check(CLI::Range(0.05, 600.0))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads to use; the default is the budget's")->check(CLI::Range(1, 1024));
  command
      ->add_option("--json", options->json,
                   "Write the findings as JSON to FILE; - is standard output, and then nothing else is printed")
      ->type_name("FILE");
  command->callback([options, &status] {
    const Status done = run(*options);
    if (!done.ok()) std::fprintf(stderr, "oxplow doctor: %s\n", done.error().message.c_str());
    status = done.ok() ? 0 : 1;
  });
}

}  // namespace oxplow::cli
