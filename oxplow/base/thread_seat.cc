#include "oxplow/base/thread_seat.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

namespace oxplow {
namespace {

thread_local ThreadSeat own_seat;

// Processor time used, in nanoseconds; the kernel brings it up to date for a running thread.
int64_t time_used(const ThreadSeat& seat) {
  timespec time{};
  if (clock_gettime(seat.clock, &time) != 0) return -1;
  return time.tv_sec * int64_t{1000000000} + time.tv_nsec;
}

}  // namespace

ThreadSeat ThreadSeat::mine() {
  if (own_seat.id == 0) {
    // The one thread of a forked process has a copy of its parent's seat, and none of its own yet.
    [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] { own_seat = {}; });
    own_seat.id = static_cast<pid_t>(syscall(SYS_gettid));
    pthread_getcpuclockid(pthread_self(), &own_seat.clock);
  }
  return own_seat;
}

bool is_running(const ThreadSeat& seat) {
  const int64_t before = time_used(seat);
  for (int look = 0; look < 16; ++look) {
    if (time_used(seat) != before) return true;
  }
  return false;
}

// The fourth field of /proc/loadavg, "0.96 0.92 0.58 3/94 15731": 3 of 94.
int runnable_threads() {
  const int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  char text[128] = {};
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  int runnable = -1;
  return length > 0 && std::sscanf(text, "%*f %*f %*f %d/", &runnable) == 1 ? runnable : -1;
}

bool move_to(const ThreadSeat& seat, const cpu_set_t& processors) {
  cpu_set_t allowed, wanted;
  if (sched_getaffinity(seat.id, sizeof allowed, &allowed) != 0) return false;
  CPU_AND(&wanted, &allowed, &processors);
  if (CPU_COUNT(&wanted) == 0 || sched_setaffinity(seat.id, sizeof wanted, &wanted) != 0) return false;
  sched_setaffinity(seat.id, sizeof allowed, &allowed);
  return true;
}

}  // namespace oxplow
