#include "oxplow/base/thread_seat.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace oxplow {
namespace {

// A thread that spins or sleeps until it is told to end.
class Companion {
 public:
  explicit Companion(bool spins)
      : thread_([this, spins] {
          seat_ = ThreadSeat::mine();
          ready_.store(true, std::memory_order_release);
          while (!end_.load(std::memory_order_relaxed)) {
            processor_.store(sched_getcpu(), std::memory_order_relaxed);
            if (!spins) std::this_thread::sleep_for(std::chrono::milliseconds(20));
          }
        }) {
    while (!ready_.load(std::memory_order_acquire)) std::this_thread::yield();
  }
  ~Companion() {
    end_ = true;
    thread_.join();
  }
  const ThreadSeat& seat() const { return seat_; }
  int processor() const { return processor_.load(std::memory_order_relaxed); }

 private:
  ThreadSeat seat_;
  std::atomic<bool> ready_{false}, end_{false};
  std::atomic<int> processor_{-1};
  std::thread thread_;
};

TEST(ThreadSeat, ARunningThreadIsSeenRunning) {
  EXPECT_TRUE(is_running(ThreadSeat::mine()));
  const Companion spinning(true);
  // On a full machine it may have to wait for its turn.
  bool seen = false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!seen && std::chrono::steady_clock::now() < end) seen = is_running(spinning.seat());
  EXPECT_TRUE(seen);
}

TEST(ThreadSeat, ASleepingThreadIsNot) {
  const Companion sleeping(false);
  int times = 0;
  for (int look = 0; look < 100; ++look) {
    times += is_running(sleeping.seat());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_LT(times, 40);  // it wakes every 20 ms
}

TEST(ThreadSeat, MovesAThreadAndLeavesItFree) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  const Companion spinning(true);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    // Once widened, the system may move it on at any moment, so it is enough to have been there.
    bool seen = false;
    for (int attempt = 0; attempt < 50 && !seen; ++attempt) {
      EXPECT_TRUE(move_to(spinning.seat(), one));
      for (int look = 0; look < 100 && !seen; ++look) {
        seen = spinning.processor() == processor;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
    }
    EXPECT_TRUE(seen) << processor;
    cpu_set_t after;
    ASSERT_EQ(sched_getaffinity(spinning.seat().id, sizeof after, &after), 0);
    EXPECT_TRUE(CPU_EQUAL(&after, &allowed));
  }
}

TEST(ThreadSeat, DoesNotMoveWhereAThreadMayNotGo) {
  cpu_set_t allowed, none, forbidden;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  CPU_ZERO(&none);
  CPU_ZERO(&forbidden);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &allowed)) CPU_SET(processor, &forbidden);
  }
  EXPECT_FALSE(move_to(ThreadSeat::mine(), none));
  EXPECT_FALSE(move_to(ThreadSeat::mine(), forbidden));
  cpu_set_t after;
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&after, &allowed));
}

TEST(ThreadSeat, IsNotInheritedByAFork) {
  const pid_t parent = ThreadSeat::mine().id;
  const pid_t child = fork();
  if (child == 0) _exit(ThreadSeat::mine().id == getpid() && getpid() != parent ? 0 : 1);
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ThreadSeat, CountsRunnableThreads) { EXPECT_GE(runnable_threads(), 1); }

}  // namespace
}  // namespace oxplow
