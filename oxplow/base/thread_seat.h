#pragma once

#include <sched.h>
#include <sys/types.h>

#include <ctime>

namespace oxplow {

// A thread as its neighbours see it: what it takes to tell whether it is getting processor time, and to move it for once. Workers of a
// pool are not pinned; they are moved when the system lets one of them wait for a processor while another has one to give.
struct ThreadSeat {
  pid_t id = 0;  // 0: nobody
  clockid_t clock{};

  // Of the calling thread.
  static ThreadSeat mine();
};

// Whether the thread got processor time within a few microseconds from now. False: it sleeps, or others run in its place.
bool is_running(const ThreadSeat& seat);

// Threads of the whole system that run or wait for a processor at this moment; -1 where the system does not tell.
int runnable_threads();

// Moves the thread to one of `processors`, now, by narrowing the set of those it may use and widening it again. False: it may use none of
// them, or the system does not allow it. At most one thread may do this to a seat at a time.
bool move_to(const ThreadSeat& seat, const cpu_set_t& processors);

}  // namespace oxplow
