#pragma once

#include <string>
#include <vector>

namespace oxplow {

// A control group that binds this process: its folder, and whether its files are cgroup v2's or v1's.
struct CgroupFolder {
  bool v2 = false;
  std::string path;
};

// The folders of this process's group and all its visible ancestors, innermost first, of every mounted hierarchy that can hold
// `controller` ("cpu", "memory"): v2 and, where mounted, v1. `root` stands in for "/" in tests and is not part of the paths given.
std::vector<CgroupFolder> cgroup_folders(const std::string& root, const std::string& controller);

}  // namespace oxplow
