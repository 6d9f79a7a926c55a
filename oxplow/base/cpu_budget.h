#pragma once

#include <optional>
#include <string>
#include <vector>

#include "oxplow/base/result.h"

namespace oxplow {

// How many threads this process may keep busy, and why. threads = the least of all limits that are there, rounded down, at least 1.
struct CpuBudget {
  int threads = 1;
  int online = 1;                      // processors of the machine
  int affinity = 1;                    // processors this process may use (sched_getaffinity: cpusets included)
  int physical = 1;                    // of these, counting SMT siblings once
  std::optional<double> cgroup_quota;  // cores: the least cpu.max (v2) or cfs quota (v1) over the whole ancestor chain
  std::string cgroup_path;             // the group that sets it
  std::vector<int> cpus;               // one processor a thread, SMT siblings last
  std::string reason;                  // "2 threads: cgroup quota of 2.5 cores at /sys/fs/cgroup/app"

  // Reads the machine. `root` stands in for "/" in tests (a made-up /proc and /sys).
  static CpuBudget detect(const std::string& root = "");
};

// The threads to use: `requested` (a flag) if given, else OXPLOW_THREADS, else OMP_NUM_THREADS, else the budget's.
// An error names the variable that is not a number from 1 to 1024.
Result<int> thread_count(const CpuBudget& budget, std::optional<int> requested);

}  // namespace oxplow
