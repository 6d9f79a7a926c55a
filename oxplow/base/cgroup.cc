#include "oxplow/base/cgroup.h"

#include <optional>
#include <sstream>

#include "oxplow/base/system_files.h"

namespace oxplow {
namespace {

struct Mount {
  bool v2 = false;
  std::string root;   // the group that is visible at the mount point
  std::string point;  // where it is mounted
};

bool contains_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// Lines of mountinfo: "36 35 98:0 /root /point options [tags] - type source super_options".
std::vector<Mount> mounts_of(const std::string& root, const std::string& controller) {
  std::vector<Mount> mounts;
  std::istringstream lines(read_text(root + "/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line), tail(line.substr(dash + 3));
    std::string skip, group, point, type, source, options;
    head >> skip >> skip >> skip >> group >> point;
    tail >> type >> source >> options;
    if (type == "cgroup2") mounts.push_back({true, group, point});
    if (type == "cgroup" && contains_word(options, controller)) mounts.push_back({false, group, point});
  }
  return mounts;
}

// This process's group in a hierarchy, as /proc/self/cgroup names it: "0::/a/b" (v2), "4:cpu,cpuacct:/a/b" (v1).
std::optional<std::string> own_group(const std::string& root, const std::string& controller, bool v2) {
  std::istringstream lines(read_text(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : contains_word(controllers, controller)) return line.substr(second + 1);
  }
  return std::nullopt;
}

// The group's path below the mount point. A path outside of the mounted part (another cgroup namespace) counts as its root.
std::string path_below(const Mount& mount, std::string group) {
  if (mount.root != "/") {
    const bool inside = group == mount.root || group.starts_with(mount.root + "/");
    group = inside ? group.substr(mount.root.size()) : "";
  }
  if (group.find("/..") != std::string::npos || group == "/") group.clear();
  return group;
}

}  // namespace

std::vector<CgroupFolder> cgroup_folders(const std::string& root, const std::string& controller) {
  std::vector<CgroupFolder> folders;
  for (const Mount& mount : mounts_of(root, controller)) {
    const auto group = own_group(root, controller, mount.v2);
    if (!group) continue;
    for (std::string below = path_below(mount, *group);; below.erase(below.rfind('/'))) {
      folders.push_back({mount.v2, mount.point + below});
      if (below.find('/') == std::string::npos) break;
    }
  }
  return folders;
}

}  // namespace oxplow
