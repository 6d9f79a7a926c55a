#include "oxplow/base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

namespace oxplow {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void busy_for(std::chrono::microseconds time) {
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
  }
}

// Counts how often each task of a phase ran, and checks that the phase before it was complete.
struct Ledger {
  std::vector<std::atomic<int>> times;
  std::atomic<int> finished{0};
  const Ledger* before = nullptr;
  std::atomic<int> early{0};
  int workers = 1;
  std::atomic<int> bad_worker{0};

  explicit Ledger(int tasks) : times(static_cast<size_t>(tasks)) {}
  int tasks() const { return static_cast<int>(times.size()); }
  static void run(void* state, int task, int worker) {
    auto& ledger = *static_cast<Ledger*>(state);
    if (worker < 0 || worker >= ledger.workers) ledger.bad_worker.fetch_add(1, std::memory_order_relaxed);
    // Relaxed on purpose: the pool itself must order the phases.
    if (ledger.before != nullptr && ledger.before->finished.load(std::memory_order_relaxed) != ledger.before->tasks()) {
      ledger.early.fetch_add(1, std::memory_order_relaxed);
    }
    ledger.times[static_cast<size_t>(task)].fetch_add(1, std::memory_order_relaxed);
    ledger.finished.fetch_add(1, std::memory_order_relaxed);
  }
  bool each_ran(int times_each) const {
    for (const auto& t : times) {
      if (t.load() != times_each) return false;
    }
    return true;
  }
};

class ThreadPoolOf : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolOf, RunsEveryTaskOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (int tasks : {0, 1, 2, 3, 7, 64, 1000}) {
    Ledger ledger(tasks);
    ledger.workers = pool.threads();
    const ThreadPool::Phase phase{tasks, Ledger::run, &ledger};
    pool.run(std::span(&phase, 1));
    EXPECT_TRUE(ledger.each_ran(1)) << tasks;
    EXPECT_EQ(ledger.bad_worker, 0);
  }
}

TEST_P(ThreadPoolOf, RunsPhasesInOrder) {
  ThreadPool pool(GetParam());
  std::mt19937 random(5);
  for (int repeat = 0; repeat < 30; ++repeat) {
    std::vector<std::unique_ptr<Ledger>> ledgers;
    std::vector<ThreadPool::Phase> phases;
    const Ledger* before = nullptr;
    for (int p = 0; p < 60; ++p) {
      constexpr int kSizes[] = {0, 1, 1, 1, 2, 3, 5, 17, 100};
      ledgers.push_back(std::make_unique<Ledger>(kSizes[random() % std::size(kSizes)]));
      ledgers.back()->before = before;
      ledgers.back()->workers = pool.threads();
      before = ledgers.back().get();
      phases.push_back({ledgers.back()->tasks(), Ledger::run, ledgers.back().get()});
    }
    pool.run(phases);
    for (const auto& ledger : ledgers) {
      ASSERT_TRUE(ledger->each_ran(1));
      ASSERT_EQ(ledger->early, 0);
      ASSERT_EQ(ledger->bad_worker, 0);
    }
  }
}

// Plain memory handed from phase to phase: ThreadSanitizer sees a missing edge here.
TEST_P(ThreadPoolOf, PhasesPublishPlainMemory) {
  ThreadPool pool(GetParam());
  constexpr int kTasks = 16;
  std::vector<int64_t> a(kTasks, 1), b(kTasks, 0);
  struct Step {
    const std::vector<int64_t>* from;
    std::vector<int64_t>* to;
  } steps[2] = {{&a, &b}, {&b, &a}};
  const auto sum = [](void* state, int task, int) {
    const auto& step = *static_cast<Step*>(state);
    (*step.to)[static_cast<size_t>(task)] = std::accumulate(step.from->begin(), step.from->end(), int64_t{0}) % 1000003;
  };
  std::vector<ThreadPool::Phase> phases;
  for (int p = 0; p < 100; ++p) phases.push_back({kTasks, sum, &steps[p % 2]});
  int64_t expected = 1;
  for (int run = 0; run < 20; ++run) {
    pool.run(phases);
    for (int p = 0; p < 100; ++p) expected = expected * kTasks % 1000003;
    for (int64_t value : a) ASSERT_EQ(value, expected);
  }
}

TEST_P(ThreadPoolOf, ManyShortRunsWithPausesBetween) {
  ThreadPool pool(GetParam());
  std::mt19937 random(6);
  std::atomic<int64_t> sum{0};
  int64_t expected = 0;
  for (int run = 0; run < 3000; ++run) {
    const int tasks = static_cast<int>(random() % 9);
    pool.run(tasks, [&](int task, int) { sum.fetch_add(task + 1, std::memory_order_relaxed); });
    expected += tasks * (tasks + 1) / 2;
    ASSERT_EQ(sum.load(), expected);
    // Some gaps are long enough for the workers to park, some end just about then.
    if (run % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
    if (run % 7 == 0) busy_for(std::chrono::microseconds(60 + random() % 60));
  }
}

TEST_P(ThreadPoolOf, UnevenTasksParkAndWake) {
  ThreadPool pool(GetParam());
  std::atomic<int> count{0};
  const auto slow_first = [](void* state, int task, int) {
    if (task == 0) std::this_thread::sleep_for(std::chrono::microseconds(700));
    static_cast<std::atomic<int>*>(state)->fetch_add(1, std::memory_order_relaxed);
  };
  std::vector<ThreadPool::Phase> phases;
  for (int p = 0; p < 40; ++p) phases.push_back({p % 3 == 0 ? 1 : pool.threads(), slow_first, &count});
  int expected = 0;
  for (const auto& phase : phases) expected += phase.tasks;
  pool.run(phases);
  EXPECT_EQ(count.load(), expected);
}

TEST_P(ThreadPoolOf, SecondCallerWaitsItsTurn) {
  ThreadPool pool(GetParam());
  std::atomic<int> inside{0}, overlaps{0}, total{0};
  const auto call_often = [&] {
    for (int run = 0; run < 200; ++run) {
      // The two phases of one run must not be torn apart by the other caller's.
      struct Shared {
        std::atomic<int>*inside, *overlaps, *total;
      } shared{&inside, &overlaps, &total};
      const ThreadPool::Phase phases[] = {{1,
                                           [](void* s, int, int) {
                                             if (static_cast<Shared*>(s)->inside->fetch_add(1) != 0)
                                               ++*static_cast<Shared*>(s)->overlaps;
                                           },
                                           &shared},
                                          {8, [](void* s, int, int) { static_cast<Shared*>(s)->total->fetch_add(1); }, &shared},
                                          {1, [](void* s, int, int) { static_cast<Shared*>(s)->inside->fetch_sub(1); }, &shared}};
      pool.run(phases);
    }
  };
  std::thread other(call_often);
  call_often();
  other.join();
  EXPECT_EQ(overlaps.load(), 0);
  EXPECT_EQ(total.load(), 2 * 200 * 8);
}

TEST_P(ThreadPoolOf, ComesAndGoes) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(GetParam());
    std::atomic<int> count{0};
    if (i % 2 == 0) pool.run(5, [&](int, int) { ++count; });
    EXPECT_EQ(count.load(), i % 2 == 0 ? 5 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolOf, testing::Values(1, 2, 3, 4, 8));

TEST(ThreadPool, TasksOfASlowWorkerAreTaken) {
  ThreadPool pool(2);
  std::atomic<int> by_worker[2] = {};
  const auto start = Clock::now();
  // Worker 1 sleeps in the first task it gets; worker 0 must do nearly all the rest, its own half and the other.
  pool.run(100, [&](int, int worker) {
    if (worker == 1) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (worker == 0) busy_for(std::chrono::microseconds(100));
    by_worker[worker].fetch_add(1);
  });
  EXPECT_EQ(by_worker[0] + by_worker[1], 100);
  EXPECT_LE(by_worker[1], 5);
  EXPECT_LT(seconds_since(start), 1.0);
}

TEST(ThreadPool, TheSameWorkerSeesTheSameTasks) {
  ThreadPool pool(2);
  int own = 0, all = 0;
  for (int run = 0; run < 200; ++run) {
    std::atomic<int> mine{0};
    pool.run(2, [&](int task, int worker) {
      busy_for(std::chrono::microseconds(50));
      if (task == worker) mine.fetch_add(1);
    });
    own += mine;
    all += 2;
  }
  // On a busy machine some tasks change hands, so only a tendency can be asked for.
  EXPECT_GT(own, all / 4);
}

TEST(ThreadPool, LoneTasksStayWithTheCaller) {
  ThreadPool pool(2);
  int others = 0;
  const auto look = [](void* state, int, int worker) { *static_cast<int*>(state) += worker != 0; };
  std::vector<ThreadPool::Phase> phases(50, ThreadPool::Phase{1, look, &others});
  pool.run(phases);
  EXPECT_EQ(others, 0);
}

TEST(ThreadPool, MoreThreadsThanProcessorsFinishQuickly) {
  ThreadPool pool(static_cast<int>(4 * std::max(1u, std::thread::hardware_concurrency())));
  std::vector<ThreadPool::Phase> phases(
      200, ThreadPool::Phase{64, [](void*, int, int) { busy_for(std::chrono::microseconds(1)); }, nullptr});
  const auto start = Clock::now();
  for (int run = 0; run < 5; ++run) pool.run(phases);
  // 64 ms of work; a pool that waits for every thread to be scheduled once a phase would take many seconds.
  EXPECT_LT(seconds_since(start), 5.0);
}

// Neighbours that never sleep take processors from workers in the middle of tasks.
TEST(ThreadPool, FinishesBesideBusyNeighbours) {
  std::atomic<bool> end{false};
  std::vector<std::thread> neighbours;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    neighbours.emplace_back([&] {
      while (!end.load(std::memory_order_relaxed)) {
      }
    });
  }
  {
    ThreadPool pool(2);
    std::vector<ThreadPool::Phase> phases(
        50, ThreadPool::Phase{4, [](void*, int, int) { busy_for(std::chrono::microseconds(20)); }, nullptr});
    const auto start = Clock::now();
    for (int run = 0; run < 20; ++run) pool.run(phases);
    EXPECT_LT(seconds_since(start), 10.0);  // 40 ms of work for each
  }
  end = true;
  for (std::thread& neighbour : neighbours) neighbour.join();
  // Whatever was moved may go everywhere again.
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_GE(CPU_COUNT(&allowed), static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(ThreadPool, HugeTaskCounts) {
  ThreadPool pool(2);
  std::atomic<int> high{0};
  struct State {
    std::atomic<int64_t> sum{0};
  } state;
  const ThreadPool::Phase phase{3000000,
                                [](void* s, int task, int) {
                                  if (task >= 2999990) static_cast<State*>(s)->sum.fetch_add(task);
                                },
                                &state};
  pool.run(std::span(&phase, 1));
  int64_t expected = 0;
  for (int t = 2999990; t < 3000000; ++t) expected += t;
  EXPECT_EQ(state.sum.load(), expected);
  EXPECT_EQ(high.load(), 0);
}

}  // namespace
}  // namespace oxplow
