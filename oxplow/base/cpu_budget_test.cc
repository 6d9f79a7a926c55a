#include "oxplow/base/cpu_budget.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "oxplow/base/made_up_machine.h"

namespace oxplow {
namespace {

constexpr const char* kMountV2 = "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kMountV1 =
    "31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 20 0:28 / /sys/fs/cgroup/cpuset rw shared:11 - cgroup cgroup rw,cpuset\n";

CpuBudget budget_of(const MadeUpMachine& machine) { return CpuBudget::detect(machine.root()); }

TEST(CpuBudget, CountsProcessors) {
  MadeUpMachine machine;
  const CpuBudget budget = budget_of(machine.cpus("0-7", "0-7"));
  EXPECT_EQ(budget.threads, 8);
  EXPECT_EQ(budget.online, 8);
  EXPECT_EQ(budget.cgroup_quota, std::nullopt);
  EXPECT_EQ(budget.reason, "8 threads: 8 cores");
}

TEST(CpuBudget, ObeysAffinityAndCpusets) {
  MadeUpMachine machine;
  const CpuBudget budget = budget_of(machine.cpus("0-7", "1,3-4"));
  EXPECT_EQ(budget.threads, 3);
  EXPECT_EQ(budget.affinity, 3);
  EXPECT_EQ(budget.cpus, (std::vector<int>{1, 3, 4}));
  EXPECT_EQ(budget.reason, "3 threads: 3 cores, affinity allows 3 of 8 processors");
}

TEST(CpuBudget, CountsSmtSiblingsOnce) {
  MadeUpMachine machine;
  machine.cpus("0-7", "0-7").siblings({"0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"});
  const CpuBudget budget = budget_of(machine);
  EXPECT_EQ(budget.threads, 4);
  EXPECT_EQ(budget.physical, 4);
  EXPECT_EQ(budget.cpus, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_NE(budget.reason.find("siblings counted once"), std::string::npos) << budget.reason;
}

TEST(CpuBudget, NeighbouringSiblingsComeLast) {
  MadeUpMachine machine;
  machine.cpus("0-3", "0-3").siblings({"0-1", "0-1", "2-3", "2-3"});
  EXPECT_EQ(budget_of(machine).cpus, (std::vector<int>{0, 2, 1, 3}));
}

TEST(CpuBudget, ASiblingAloneIsACore) {
  MadeUpMachine machine;
  machine.cpus("0-7", "4-5").siblings({"0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"});
  EXPECT_EQ(budget_of(machine).threads, 2);
}

TEST(CpuBudget, ObeysAQuotaOfOneAndAHalfCores) {
  MadeUpMachine machine;
  machine.cpus("0-7", "0-7").cgroups(kMountV2, "0::/app\n").file("/sys/fs/cgroup/app/cpu.max", "150000 100000\n");
  const CpuBudget budget = budget_of(machine);
  EXPECT_EQ(budget.threads, 1);
  ASSERT_TRUE(budget.cgroup_quota);
  EXPECT_DOUBLE_EQ(*budget.cgroup_quota, 1.5);
  EXPECT_EQ(budget.cgroup_path, "/sys/fs/cgroup/app");
  EXPECT_EQ(budget.reason, "1 thread: cgroup quota of 1.5 cores at /sys/fs/cgroup/app");
}

TEST(CpuBudget, AQuotaBelowOneCoreIsStillOneThread) {
  MadeUpMachine machine;
  machine.cpus("0-7", "0-7").cgroups(kMountV2, "0::/app\n").file("/sys/fs/cgroup/app/cpu.max", "20000 100000\n");
  EXPECT_EQ(budget_of(machine).threads, 1);
}

TEST(CpuBudget, MaxIsNoLimit) {
  MadeUpMachine machine;
  machine.cpus("0-7", "0-7").cgroups(kMountV2, "0::/app\n").file("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
  EXPECT_EQ(budget_of(machine).threads, 8);
  EXPECT_EQ(budget_of(machine).cgroup_quota, std::nullopt);
}

TEST(CpuBudget, AnyAncestorBinds) {
  MadeUpMachine machine;
  machine.cpus("0-15", "0-15").cgroups(kMountV2, "0::/kubepods/pod7/app\n");
  machine.file("/sys/fs/cgroup/kubepods/pod7/app/cpu.max", "800000 100000\n");
  machine.file("/sys/fs/cgroup/kubepods/pod7/cpu.max", "250000 100000\n");
  machine.file("/sys/fs/cgroup/kubepods/cpu.max", "1200000 100000\n");
  const CpuBudget budget = budget_of(machine);
  EXPECT_EQ(budget.threads, 2);
  EXPECT_EQ(budget.cgroup_path, "/sys/fs/cgroup/kubepods/pod7");
}

TEST(CpuBudget, TheMountPointItselfCounts) {
  MadeUpMachine machine;  // in a container with a cgroup namespace the own group is "/"
  machine.cpus("0-15", "0-15").cgroups(kMountV2, "0::/\n").file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(budget_of(machine).threads, 3);
  EXPECT_EQ(budget_of(machine).cgroup_path, "/sys/fs/cgroup");
}

TEST(CpuBudget, ReadsVersion1OverAncestors) {
  MadeUpMachine machine;
  machine.cpus("0-15", "0-15").cgroups(kMountV1, "5:cpuset:/other\n4:cpu,cpuacct:/docker/abc\n0::/\n");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "450000\n");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
  const CpuBudget budget = budget_of(machine);
  EXPECT_EQ(budget.threads, 4);
  EXPECT_EQ(budget.cgroup_path, "/sys/fs/cgroup/cpu,cpuacct/docker");
}

TEST(CpuBudget, StripsTheContainersMountRoot) {
  MadeUpMachine machine;  // version 1 without a cgroup namespace: only the container's own group is mounted
  machine.cpus("0-15", "0-15")
      .cgroups("31 20 0:27 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "4:cpu:/docker/abc\n");
  machine.file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n").file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(budget_of(machine).threads, 2);
}

TEST(CpuBudget, APathOutsideOfTheNamespaceCountsAsItsRoot) {
  MadeUpMachine machine;
  machine.cpus("0-15", "0-15").cgroups(kMountV2, "0::/../other\n").file("/sys/fs/cgroup/cpu.max", "500000 100000\n");
  EXPECT_EQ(budget_of(machine).threads, 5);
}

TEST(CpuBudget, HybridHierarchiesTakeTheLeast) {
  MadeUpMachine machine;
  machine.cpus("0-15", "0-15").cgroups(std::string(kMountV1) + kMountV2, "4:cpu,cpuacct:/a\n0::/b\n");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "600000\n");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  machine.file("/sys/fs/cgroup/b/cpu.max", "700000 100000\n");
  EXPECT_EQ(budget_of(machine).threads, 6);
}

TEST(CpuBudget, AQuotaAboveTheProcessorsIsNotTheReason) {
  MadeUpMachine machine;
  machine.cpus("0-3", "0-3").cgroups(kMountV2, "0::/app\n").file("/sys/fs/cgroup/app/cpu.max", "1600000 100000\n");
  const CpuBudget budget = budget_of(machine);
  EXPECT_EQ(budget.threads, 4);
  EXPECT_EQ(budget.reason, "4 threads: 4 cores");
}

TEST(CpuBudget, GarbageCountsAsAbsent) {
  for (const char* text :
       {"", "\n", "abc 100000\n", "150000\n", "150000 0\n", "-5 100000\n", "99999999999999999999 1\n", "1 abc"}) {
    MadeUpMachine machine;
    machine.cpus("0-3", "0-3,zz,9-").cgroups(kMountV2, "0::/app\nxx\n:\n").file("/sys/fs/cgroup/app/cpu.max", text);
    EXPECT_EQ(budget_of(machine).threads, 4) << text;
  }
  MadeUpMachine nothing;
  EXPECT_EQ(budget_of(nothing).threads, 1);
}

TEST(CpuBudget, ReadsTheRealMachine) {
  const CpuBudget budget = CpuBudget::detect();
  EXPECT_GE(budget.threads, 1);
  EXPECT_LE(budget.threads, budget.physical);
  EXPECT_LE(budget.physical, budget.affinity);
  EXPECT_LE(budget.affinity, budget.online);
  EXPECT_EQ(budget.cpus.size(), static_cast<size_t>(budget.affinity));
  EXPECT_FALSE(budget.reason.empty());
}

class ThreadCount : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"OXPLOW_THREADS", "OMP_NUM_THREADS"}) {
      if (const char* value = std::getenv(name)) saved_[name] = value;
      unsetenv(name);
    }
    budget_.threads = 6;
  }
  void TearDown() override {
    for (const char* name : {"OXPLOW_THREADS", "OMP_NUM_THREADS"}) unsetenv(name);
    for (const auto& [name, value] : saved_) setenv(name.c_str(), value.c_str(), 1);
  }
  CpuBudget budget_;
  std::map<std::string, std::string> saved_;
};

TEST_F(ThreadCount, AsksFlagThenVariablesThenBudget) {
  EXPECT_EQ(*thread_count(budget_, std::nullopt), 6);
  setenv("OMP_NUM_THREADS", "3,2,1", 1);
  EXPECT_EQ(*thread_count(budget_, std::nullopt), 3);
  setenv("OXPLOW_THREADS", "5", 1);
  EXPECT_EQ(*thread_count(budget_, std::nullopt), 5);
  EXPECT_EQ(*thread_count(budget_, 64), 64);
  setenv("OXPLOW_THREADS", "", 1);
  EXPECT_EQ(*thread_count(budget_, std::nullopt), 3);
}

TEST_F(ThreadCount, NamesWhatIsNotANumberOfThreads) {
  for (const char* bad : {"0", "-1", "x", "1025", "2x", " ", "1e3"}) {
    setenv("OXPLOW_THREADS", bad, 1);
    const auto count = thread_count(budget_, std::nullopt);
    ASSERT_FALSE(count.ok()) << bad;
    EXPECT_EQ(count.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(count.error().message.rfind("OXPLOW_THREADS=", 0), 0u) << count.error().message;
  }
  EXPECT_FALSE(thread_count(budget_, 0).ok());
  EXPECT_FALSE(thread_count(budget_, 1025).ok());
}

}  // namespace
}  // namespace oxplow
