#include "oxplow/base/topology.h"

#include <algorithm>
#include <charconv>

#include "oxplow/base/cgroup.h"
#include "oxplow/base/system_files.h"

namespace oxplow {
namespace {

// Arm's /proc/cpuinfo gives numbers where x86 gives a name.
std::string arm_core_name(const std::string& implementer, const std::string& part) {
  constexpr struct {
    const char* part;
    const char* name;
  } kCores[] = {{"0xd08", "Cortex-A72"},  {"0xd0b", "Cortex-A76"},  {"0xd0c", "Neoverse N1"}, {"0xd40", "Neoverse V1"},
                {"0xd49", "Neoverse N2"}, {"0xd4f", "Neoverse V2"}, {"0xd83", "Neoverse V3"}, {"0xd8e", "Neoverse N3"}};
  if (implementer == "0x41") {
    for (const auto& core : kCores) {
      if (part == core.part) return core.name;
    }
  }
  return implementer.empty() ? "" : "Arm core " + part + " of implementer " + implementer;
}

std::string read_cpu_name(const std::string& root) {
  const std::string text = read_text(root + "/proc/cpuinfo");
  const std::string name = value_of(text, "model name");
  return name.empty() ? arm_core_name(value_of(text, "CPU implementer"), value_of(text, "CPU part")) : name;
}

// "48K", "2048K", "32M".
int64_t parse_size(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || value > int64_t{1} << 40) return 0;
  const char unit = end == text.data() + text.size() ? ' ' : *end;
  return unit == 'K' ? value << 10 : unit == 'M' ? value << 20 : unit == 'G' ? value << 30 : value;
}

std::vector<CacheLevel> read_caches(const std::string& root) {
  std::vector<CacheLevel> caches;
  for (int index = 0;; ++index) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const auto level = parse_integer(read_text(folder + "level"));
    if (!level) break;
    const int64_t bytes = parse_size(read_text(folder + "size"));
    if (read_text(folder + "type").starts_with("Instruction") || bytes <= 0) continue;
    const auto sharing = parse_cpu_list(read_text(folder + "shared_cpu_list"));
    caches.push_back({static_cast<int>(*level), bytes, std::max(1, static_cast<int>(sharing.size()))});
  }
  std::sort(caches.begin(), caches.end(), [](const CacheLevel& a, const CacheLevel& b) { return a.level < b.level; });
  return caches;
}

// "always [madvise] never": the word in brackets.
std::string huge_page_policy(const std::string& root) {
  const std::string text = read_text(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  const size_t open = text.find('[');
  const size_t close = text.find(']');
  return open == std::string::npos || close == std::string::npos || close < open ? "" : text.substr(open + 1, close - open - 1);
}

void apply_memory_limit(const std::string& root, Topology& topology) {
  for (const CgroupFolder& group : cgroup_folders(root, "memory")) {
    const auto limit = parse_integer(read_text(root + group.path + (group.v2 ? "/memory.max" : "/memory.limit_in_bytes")));
    if (!limit || *limit <= 0 || *limit >= topology.memory_bytes) continue;  // v1 writes a huge number for "no limit"
    if (topology.memory_limit && *topology.memory_limit <= *limit) continue;
    topology.memory_limit = limit;
    topology.memory_limit_path = group.path;
  }
}

}  // namespace

int64_t Topology::cache_bytes(int level, int64_t otherwise) const {
  for (const CacheLevel& cache : caches) {
    if (cache.level == level) return cache.bytes;
  }
  return otherwise;
}

int64_t Topology::l3_share() const {
  for (const CacheLevel& cache : caches) {
    if (cache.level == 3) return cache.bytes / cache.shared_by;
  }
  return 0;
}

Topology Topology::detect(const std::string& root) {
  Topology topology;
  topology.cpu_name = read_cpu_name(root);
  topology.caches = read_caches(root);
  const auto nodes = parse_cpu_list(read_text(root + "/sys/devices/system/node/online"));
  topology.numa_nodes = std::max(1, static_cast<int>(nodes.size()));
  topology.huge_pages = huge_page_policy(root);
  topology.memory_bytes = parse_size(value_of(read_text(root + "/proc/meminfo"), "MemTotal")) * 1024;
  apply_memory_limit(root, topology);
  return topology;
}

}  // namespace oxplow
