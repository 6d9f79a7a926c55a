#include "oxplow/base/cpu_budget.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string_view>

#include "oxplow/base/cgroup.h"
#include "oxplow/base/system_files.h"

namespace oxplow {
namespace {

std::vector<int> allowed_cpus(const std::string& root) {
  std::vector<int> cpus = parse_cpu_list(value_of(read_text(root + "/proc/self/status"), "Cpus_allowed_list"));
  if (!cpus.empty() || !root.empty()) return cpus;
  cpu_set_t set;  // no /proc here
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  return cpus;
}

// Reorders `cpus` so that the first processor of every core comes before any second SMT sibling; gives the number of cores.
int order_by_core(const std::string& root, std::vector<int>& cpus) {
  std::vector<int> first, siblings;
  std::map<int, bool> core_seen;
  for (int cpu : cpus) {
    const std::string topology = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::vector<int> core = parse_cpu_list(read_text(topology + "thread_siblings_list"));
    bool& seen = core_seen[core.empty() ? cpu : core.front()];
    (seen ? siblings : first).push_back(cpu);
    seen = true;
  }
  cpus = first;
  cpus.insert(cpus.end(), siblings.begin(), siblings.end());
  return static_cast<int>(first.size());
}

// Cores that one group grants; nothing when it sets no limit.
std::optional<double> quota_of_group(const std::string& directory, bool v2) {
  std::optional<int64_t> quota, period;
  if (v2) {
    std::istringstream text(read_text(directory + "/cpu.max"));  // "150000 100000" or "max 100000"
    std::string first, second;
    text >> first >> second;
    quota = parse_integer(first);
    period = parse_integer(second);
  } else {
    quota = parse_integer(read_text(directory + "/cpu.cfs_quota_us"));  // -1: no limit
    period = parse_integer(read_text(directory + "/cpu.cfs_period_us"));
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

// The least quota of this process's group and its ancestors: every one of them binds.
void apply_cgroup_quota(const std::string& root, CpuBudget& budget) {
  for (const CgroupFolder& group : cgroup_folders(root, "cpu")) {
    const auto quota = quota_of_group(root + group.path, group.v2);
    if (quota && (!budget.cgroup_quota || *quota < *budget.cgroup_quota)) {
      budget.cgroup_quota = quota;
      budget.cgroup_path = group.path;
    }
  }
}

std::string counted(int n, const char* one, const char* many) { return std::to_string(n) + " " + (n == 1 ? one : many); }

std::string cores_in_words(double cores) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", cores);
  return std::string(text) + (cores == 1 ? " core" : " cores");
}

std::string reason_for(const CpuBudget& budget) {
  const std::string head = counted(budget.threads, "thread", "threads") + ": ";
  if (budget.cgroup_quota && std::floor(*budget.cgroup_quota) < budget.physical) {
    return head + "cgroup quota of " + cores_in_words(*budget.cgroup_quota) + " at " + budget.cgroup_path;
  }
  std::string why = counted(budget.physical, "core", "cores");
  if (budget.physical < budget.affinity)
    why += " with " + counted(budget.affinity, "SMT thread", "SMT threads") + ", siblings counted once";
  if (budget.affinity < budget.online)
    why += ", affinity allows " + std::to_string(budget.affinity) + " of " + counted(budget.online, "processor", "processors");
  return head + why;
}

// A number of threads out of a variable; OMP_NUM_THREADS may be a list with one number a nesting level: the first counts.
Result<std::optional<int>> threads_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::optional<int>();
  const std::string_view whole(text);
  const auto value = parse_integer(whole.substr(0, whole.find(',')));
  if (!value || *value < 1 || *value > 1024) {
    return Error{ErrorCode::invalid_argument, std::string(variable) + "=" + text + " is not a number of threads from 1 to 1024"};
  }
  return std::optional<int>(static_cast<int>(*value));
}

}  // namespace

CpuBudget CpuBudget::detect(const std::string& root) {
  CpuBudget budget;
  budget.cpus = allowed_cpus(root);
  if (budget.cpus.empty()) budget.cpus = {0};
  budget.affinity = static_cast<int>(budget.cpus.size());
  budget.online =
      std::max(budget.affinity, static_cast<int>(parse_cpu_list(read_text(root + "/sys/devices/system/cpu/online")).size()));
  budget.physical = order_by_core(root, budget.cpus);
  budget.threads = budget.physical;
  apply_cgroup_quota(root, budget);
  if (budget.cgroup_quota) {
    budget.threads = std::clamp(static_cast<int>(std::min(*budget.cgroup_quota, 65536.0)), 1, budget.physical);
  }
  budget.reason = reason_for(budget);
  return budget;
}

Result<int> thread_count(const CpuBudget& budget, std::optional<int> requested) {
  if (requested) {
    if (*requested >= 1 && *requested <= 1024) return *requested;
    return Error{ErrorCode::invalid_argument,
                 "--threads " + std::to_string(*requested) + " is not a number of threads from 1 to 1024"};
  }
  for (const char* variable : {"OXPLOW_THREADS", "OMP_NUM_THREADS"}) {
    OXPLOW_ASSIGN(const std::optional<int> threads, threads_from(variable));
    if (threads) return *threads;
  }
  return budget.threads;
}

}  // namespace oxplow
