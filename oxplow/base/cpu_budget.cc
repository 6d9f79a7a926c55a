#include "oxplow/base/cpu_budget.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

namespace oxplow {
namespace {

// A whole small file; empty when it cannot be read.
std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

std::optional<int64_t> parse_integer(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The kernel's list format: "0-3,8,10-11".
std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t dash = part.find('-');
    const auto first = parse_integer(std::string_view(part).substr(0, dash));
    const auto last = dash == std::string::npos ? first : parse_integer(std::string_view(part).substr(dash + 1));
    if (!first || !last || *first < 0 || *last > 65535) continue;
    for (int64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

// The rest of the line of /proc/self/status that starts with `key`.
std::string status_line(const std::string& root, const std::string& key) {
  std::istringstream lines(read_text(root + "/proc/self/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key)) return line.substr(line.find_first_not_of(" \t", key.size()));
  }
  return "";
}

std::vector<int> allowed_cpus(const std::string& root) {
  std::vector<int> cpus = parse_cpu_list(status_line(root, "Cpus_allowed_list:"));
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

// A mounted cgroup hierarchy that can limit processor time.
struct CgroupMount {
  bool v2 = false;
  std::string root;   // the group that is visible at the mount point
  std::string point;  // where it is mounted
};

bool contains_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// Lines of mountinfo: "36 35 98:0 /root /point options [tags] - type source super_options".
std::vector<CgroupMount> cgroup_mounts(const std::string& root) {
  std::vector<CgroupMount> mounts;
  std::istringstream lines(read_text(root + "/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line), tail(line.substr(dash + 3));
    std::string skip, group, point, type, source, options;
    head >> skip >> skip >> skip >> group >> point;
    tail >> type >> source >> options;
    if (type == "cgroup2") mounts.push_back({true, group, point});
    if (type == "cgroup" && contains_word(options, "cpu")) mounts.push_back({false, group, point});
  }
  return mounts;
}

// This process's group in a hierarchy, as /proc/self/cgroup names it: "0::/a/b" (v2), "4:cpu,cpuacct:/a/b" (v1).
std::optional<std::string> own_group(const std::string& root, bool v2) {
  std::istringstream lines(read_text(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : contains_word(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
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

// The group's path below the mount point. A path outside of the mounted part (another cgroup namespace) counts as its root.
std::string path_below(const CgroupMount& mount, std::string group) {
  if (mount.root != "/") {
    const bool inside = group == mount.root || group.starts_with(mount.root + "/");
    group = inside ? group.substr(mount.root.size()) : "";
  }
  if (group.find("/..") != std::string::npos || group == "/") group.clear();
  return group;
}

// The least quota from this process's group up to the mount point: every ancestor binds.
void apply_cgroup_quota(const std::string& root, CpuBudget& budget) {
  for (const CgroupMount& mount : cgroup_mounts(root)) {
    const auto group = own_group(root, mount.v2);
    if (!group) continue;
    for (std::string below = path_below(mount, *group);; below.erase(below.rfind('/'))) {
      const auto quota = quota_of_group(root + mount.point + below, mount.v2);
      if (quota && (!budget.cgroup_quota || *quota < *budget.cgroup_quota)) {
        budget.cgroup_quota = quota;
        budget.cgroup_path = mount.point + below;
      }
      if (below.find('/') == std::string::npos) break;
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
