#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oxplow {

// A level of data cache as one processor sees it.
struct CacheLevel {
  int level = 0;      // 1, 2, 3, 4
  int64_t bytes = 0;  // of one instance
  int shared_by = 1;  // processors (SMT siblings count) that share the instance
};

// What the machine is made of, and what memory this process may use.
struct Topology {
  std::string cpu_name;            // "AMD EPYC 9R14", "Neoverse V1"
  std::vector<CacheLevel> caches;  // data and unified caches of processor 0, L1 first; empty when the system does not tell
  int numa_nodes = 1;
  std::string huge_pages;    // the policy for transparent huge pages: always, madvise or never; empty: the kernel has none
  int64_t memory_bytes = 0;  // of the machine
  // Bytes: the least memory.max (v2) or limit_in_bytes (v1) over the ancestor chain, if it is below memory_bytes.
  std::optional<int64_t> memory_limit;
  std::string memory_limit_path;  // the group that sets it

  // Bytes of an instance of a level of data cache: what the system tells, else a size that nearly every processor has.
  int64_t l1_bytes() const { return cache_bytes(1, 32 << 10); }
  int64_t l2_bytes() const { return cache_bytes(2, 512 << 10); }
  // The last level's share that one of the processors gets when all work; 0 when there is no third level.
  int64_t l3_share() const;

  // Reads the machine. `root` stands in for "/" in tests (a made-up /proc and /sys).
  static Topology detect(const std::string& root = "");

 private:
  int64_t cache_bytes(int level, int64_t otherwise) const;
};

}  // namespace oxplow
