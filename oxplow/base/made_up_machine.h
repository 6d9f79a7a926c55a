#pragma once
// For tests of what reads the machine.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace oxplow {

// A made-up machine: files below a folder that stands in for "/".
class MadeUpMachine {
 public:
  MadeUpMachine() {
    std::string pattern = (std::filesystem::temp_directory_path() / "oxplow_machine_XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  ~MadeUpMachine() { std::filesystem::remove_all(root_); }
  MadeUpMachine(const MadeUpMachine&) = delete;
  MadeUpMachine& operator=(const MadeUpMachine&) = delete;

  MadeUpMachine& file(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
    return *this;
  }
  // `online` and `allowed` are the kernel's lists; SMT siblings are i and i + half when `smt`.
  MadeUpMachine& cpus(const std::string& online, const std::string& allowed) {
    file("/sys/devices/system/cpu/online", online + "\n");
    return file("/proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t" + allowed + "\nMems_allowed:\t1\n");
  }
  MadeUpMachine& siblings(const std::vector<std::string>& lists) {
    for (size_t cpu = 0; cpu < lists.size(); ++cpu) {
      file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", lists[cpu] + "\n");
    }
    return *this;
  }
  MadeUpMachine& cgroups(const std::string& mountinfo, const std::string& own) {
    file("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/root rw\n" + mountinfo);
    return file("/proc/self/cgroup", own);
  }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace oxplow
