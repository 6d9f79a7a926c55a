#include "oxplow/base/topology.h"

#include <gtest/gtest.h>

#include <string>

#include "oxplow/base/made_up_machine.h"

namespace oxplow {
namespace {

constexpr const char* kMountV2 = "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

void add_cache(MadeUpMachine& machine, int index, const std::string& level, const std::string& type, const std::string& size,
               const std::string& shared) {
  const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
  machine.file(folder + "level", level + "\n").file(folder + "type", type + "\n").file(folder + "size", size + "\n");
  machine.file(folder + "shared_cpu_list", shared + "\n");
}

TEST(Topology, ReadsCaches) {
  MadeUpMachine machine;
  add_cache(machine, 0, "1", "Data", "48K", "0,8");
  add_cache(machine, 1, "1", "Instruction", "32K", "0,8");
  add_cache(machine, 2, "2", "Unified", "1024K", "0,8");
  add_cache(machine, 3, "3", "Unified", "32M", "0-15");
  const Topology topology = Topology::detect(machine.root());
  ASSERT_EQ(topology.caches.size(), 3u);
  EXPECT_EQ(topology.l1_bytes(), 48 << 10);
  EXPECT_EQ(topology.l2_bytes(), 1 << 20);
  EXPECT_EQ(topology.caches[2].shared_by, 16);
  EXPECT_EQ(topology.l3_share(), 2 << 20);
}

TEST(Topology, AssumesCachesThatNearlyAllHave) {
  MadeUpMachine machine;
  const Topology topology = Topology::detect(machine.root());
  EXPECT_TRUE(topology.caches.empty());
  EXPECT_EQ(topology.l1_bytes(), 32 << 10);
  EXPECT_EQ(topology.l2_bytes(), 512 << 10);
  EXPECT_EQ(topology.l3_share(), 0);
  EXPECT_EQ(topology.numa_nodes, 1);
  EXPECT_EQ(topology.huge_pages, "");
  EXPECT_EQ(topology.memory_limit, std::nullopt);
}

TEST(Topology, NamesTheProcessor) {
  MadeUpMachine x86, arm, unknown;
  x86.file("/proc/cpuinfo", "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9R14\n");
  EXPECT_EQ(Topology::detect(x86.root()).cpu_name, "AMD EPYC 9R14");
  arm.file("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n");
  EXPECT_EQ(Topology::detect(arm.root()).cpu_name, "Neoverse V1");
  unknown.file("/proc/cpuinfo", "CPU implementer\t: 0x61\nCPU part\t: 0x22\n");
  EXPECT_EQ(Topology::detect(unknown.root()).cpu_name, "Arm core 0x22 of implementer 0x61");
}

TEST(Topology, ReadsNodesPagesAndMemory) {
  MadeUpMachine machine;
  machine.file("/sys/devices/system/node/online", "0-3\n").file("/proc/meminfo", "MemTotal:       24683656 kB\nMemFree: 1 kB\n");
  machine.file("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  const Topology topology = Topology::detect(machine.root());
  EXPECT_EQ(topology.numa_nodes, 4);
  EXPECT_EQ(topology.huge_pages, "madvise");
  EXPECT_EQ(topology.memory_bytes, int64_t{24683656} * 1024);
}

TEST(Topology, TakesTheLeastMemoryLimitOfTheAncestors) {
  MadeUpMachine machine;
  machine.file("/proc/meminfo", "MemTotal: 16777216 kB\n").cgroups(kMountV2, "0::/pod/app\n");
  machine.file("/sys/fs/cgroup/pod/app/memory.max", "max\n").file("/sys/fs/cgroup/pod/memory.max", "1073741824\n");
  const Topology topology = Topology::detect(machine.root());
  EXPECT_EQ(topology.memory_limit, int64_t{1} << 30);
  EXPECT_EQ(topology.memory_limit_path, "/sys/fs/cgroup/pod");
}

TEST(Topology, Version1WritesAHugeNumberForNoLimit) {
  MadeUpMachine machine;
  machine.file("/proc/meminfo", "MemTotal: 16777216 kB\n");
  machine.cgroups("33 20 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "8:memory:/app\n");
  machine.file("/sys/fs/cgroup/memory/app/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Topology::detect(machine.root()).memory_limit, std::nullopt);
  machine.file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
  EXPECT_EQ(Topology::detect(machine.root()).memory_limit, int64_t{2} << 30);
}

TEST(Topology, ReadsTheRealMachine) {
  const Topology topology = Topology::detect();
  EXPECT_FALSE(topology.cpu_name.empty());
  EXPECT_GT(topology.memory_bytes, 0);
  EXPECT_GE(topology.l1_bytes(), 8 << 10);
  EXPECT_GE(topology.l2_bytes(), topology.l1_bytes());
}

}  // namespace
}  // namespace oxplow
