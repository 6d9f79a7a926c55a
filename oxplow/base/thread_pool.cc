#include "oxplow/base/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <vector>

#include "oxplow/base/check.h"
#include "oxplow/base/memory.h"
#include "oxplow/base/thread_seat.h"

namespace oxplow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr microseconds kSpinInRun{10};          // for the rest of a phase: about a wake-up's price
constexpr microseconds kYieldInRun{40};         // after that, before looking whether the others are running at all
constexpr microseconds kYieldLonger{150};       // when they are
constexpr microseconds kContended{50};          // a yield that took longer let somebody else run
constexpr microseconds kSpinBetweenRuns{80};    // for the next run: covers the gap between two requests of a busy loop
constexpr int kPausesBeforeStealing = 4;        // some 200 ns: what a cache line's way between cores takes
constexpr microseconds kGraceForSingleTask{2};  // before a lone task is taken from a caller that does not come
constexpr microseconds kBetweenMoves{2000};     // about half a time slice, for the system to settle
constexpr uint32_t kPhasesPerLook = 8;          // at where a worker is: some 20 ns each

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // `yield` is a no-op on most Arm cores
#endif
}

// Spins until done() or until `budget` has passed; gives what done() said last.
template <typename Done>
bool spin(Done done, microseconds budget) {
  for (int i = 0; i < 64; ++i) {
    if (done()) return true;
    pause_cpu();
  }
  for (const auto end = Clock::now() + budget; Clock::now() < end;) {
    for (int i = 0; i < 8; ++i) {
      if (done()) return true;
      pause_cpu();
    }
  }
  return done();
}

enum class Yielded { done, timed_out, contended };

// Yields the processor again and again until done(), until `budget` has passed or until somebody else took it.
template <typename Done>
Yielded yield_politely(Done done, microseconds budget) {
  auto before = Clock::now();
  for (const auto end = before + budget; before < end;) {
    sched_yield();
    if (done()) return Yielded::done;
    const auto after = Clock::now();
    if (after - before > kContended) return Yielded::contended;
    before = after;
    for (int i = 0; i < 16; ++i) {
      if (done()) return Yielded::done;
      pause_cpu();
    }
  }
  return Yielded::timed_out;
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t seen) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}
void futex_wake_all(std::atomic<uint32_t>& word) { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0); }

// A word to wait on, with the number of threads that sleep on it. Waiting: the sleeper counts itself, then looks at the word a
// last time; the writer changes the word, then looks at the count. Both orders are sequentially consistent, so one sees the
// other.
struct alignas(kCacheLine) WaitWord {
  std::atomic<uint32_t> value{0};
  std::atomic<int> sleepers{0};

  void wake() {
    if (sleepers.load(std::memory_order_seq_cst) > 0) futex_wake_all(value);
  }
  template <typename Done>
  void park(Done done) {
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    for (;;) {
      const uint32_t seen = value.load(std::memory_order_seq_cst);
      if (done(seen)) break;
      futex_wait(value, seen);
    }
    sleepers.fetch_sub(1, std::memory_order_relaxed);
  }
};

// How far a worker's own range of a phase has been claimed: the phase's number in the upper half, claimed tasks in the lower. A
// number below the phase's means that nothing is claimed yet, so nobody has to reset cursors between phases.
struct alignas(kCacheLine) Cursor {
  std::atomic<uint64_t> word{0};
};

// Where a member of the team is and what it does, for the others to see.
struct alignas(kCacheLine) Member {
  std::atomic<bool> seated{false};   // `seat` may be read
  std::atomic<bool> working{false};  // on a phase, perhaps holding tasks of it
  std::atomic<int> processor{-1};    // where it was last seen
  ThreadSeat seat;
};

// The gate's word: [run number : 18][open : 1][closing : 1][workers inside : 12].
constexpr uint32_t kInside = 0xfff;
constexpr uint32_t kClosing = 0x1000;
constexpr uint32_t kOpen = 0x2000;
constexpr uint32_t kRunStep = 0x4000;

}  // namespace

// Life of a run: the caller publishes `phases` and opens the gate; workers enter, walk the phases and leave; the caller walks
// them too, then shuts the gate and waits for those still inside. A worker that was late never enters, and holds nobody up.
struct ThreadPool::Team {
  std::mutex one_run;
  std::vector<pthread_t> threads;
  std::vector<Cursor> cursors;
  std::vector<Member> members;
  std::atomic_flag moving;              // held by who moves a member
  std::atomic<Clock::rep> moved_at{0};  // the last time; and when the caller last looked for somebody to move
  bool may_spread = false;              // there is a processor for each member
  int processors = 1;                   // of the machine
  WaitWord gate;
  WaitWord done;  // tasks done in this run, modulo 2^32
  // Written by the caller while nobody is inside.
  std::span<const Phase> phases;
  uint32_t first_number = 1;  // of phases[0], for the cursors
  std::atomic<bool> stop{false};

  int size() const { return static_cast<int>(cursors.size()); }
  bool reached(uint32_t target) { return static_cast<int32_t>(done.value.load(std::memory_order_acquire) - target) >= 0; }

  // The worker's share of a phase is [share_begin(w), share_begin(w + 1)); the first workers get the odd ones, the caller a lone
  // task.
  int share_begin(int tasks, int worker) const { return static_cast<int>((int64_t{tasks} * worker + size() - 1) / size()); }

  int drain(const Phase& phase, uint32_t number, int owner, int worker);
  bool report(int finished, uint32_t target);
  void work_on(const Phase& phase, uint32_t number, int worker, uint32_t target);
  void wait_for(uint32_t target, int worker);
  bool invite_stalled(int worker);
  void spread_out();
  void sit_down(int worker);
  void note_processor(int worker);
  void walk(int worker);
  void open(std::span<const Phase> span);
  void close();
  void run_together(std::span<const Phase> span);
  bool enter(uint32_t& last_run);
  void leave();
  void serve(int worker);
};

// Claims and runs the tasks left in `owner`'s range; gives how many. A claim orders nothing: who comes here has already seen the
// phase before as done.
int ThreadPool::Team::drain(const Phase& phase, uint32_t number, int owner, int worker) {
  const int begin = share_begin(phase.tasks, owner);
  const uint32_t count = static_cast<uint32_t>(share_begin(phase.tasks, owner + 1) - begin);
  if (count == 0) return 0;
  std::atomic<uint64_t>& word = cursors[static_cast<size_t>(owner)].word;
  int finished = 0;
  for (uint64_t seen = word.load(std::memory_order_relaxed);;) {
    const uint32_t at = static_cast<uint32_t>(seen >> 32);
    const uint32_t claimed = at < number ? 0 : static_cast<uint32_t>(seen);
    if (at > number || claimed >= count) return finished;
    if (!word.compare_exchange_weak(seen, uint64_t{number} << 32 | (claimed + 1), std::memory_order_relaxed)) continue;
    phase.run(phase.state, begin + static_cast<int>(claimed), worker);
    ++finished;
    seen = word.load(std::memory_order_relaxed);
  }
}

// Counts tasks as done and, at the phase's last, wakes who sleeps; true when the phase is done.
bool ThreadPool::Team::report(int finished, uint32_t target) {
  if (finished == 0) return reached(target);
  const uint32_t now =
      done.value.fetch_add(static_cast<uint32_t>(finished), std::memory_order_seq_cst) + static_cast<uint32_t>(finished);
  if (now == target) done.wake();
  return now == target;
}

// The own share first, then what is left of the others'. Looking at another's cursor costs its owner a cache miss, so that is put
// off until it is clear that the others are not just about to finish too.
void ThreadPool::Team::work_on(const Phase& phase, uint32_t number, int worker, uint32_t target) {
  const auto is_done = [&] { return reached(target); };
  if (phase.tasks == 1 && worker != 0 && spin(is_done, kGraceForSingleTask)) return;
  if (report(drain(phase, number, worker, worker), target)) return;
  for (int i = 0; i < kPausesBeforeStealing; ++i) {
    if (is_done()) return;
    pause_cpu();
  }
  int stolen = 0;
  for (int step = 1; step < size(); ++step) stolen += drain(phase, number, (worker + step) % size(), worker);
  report(stolen, target);
}

void ThreadPool::Team::wait_for(uint32_t target, int worker) {
  const auto is_done = [&] { return reached(target); };
  if (is_done() || spin(is_done, kSpinInRun)) return;
  const Yielded first = yield_politely(is_done, kYieldInRun);
  if (first == Yielded::done) return;
  if (first == Yielded::timed_out && !invite_stalled(worker) && yield_politely(is_done, kYieldLonger) == Yielded::done) return;
  done.park([&](uint32_t seen) { return static_cast<int32_t>(seen - target) >= 0; });
}

// A member that has work but gets no processor, because a neighbour has taken its own, is moved to the one that the waiting `worker`
// is about to leave; else all would wait until the neighbour's time slice ends. True when there was one.
bool ThreadPool::Team::invite_stalled(int worker) {
  for (int other = 0; other < size(); ++other) {
    const Member& member = members[static_cast<size_t>(other)];
    if (other == worker || !member.working.load(std::memory_order_relaxed) || !member.seated.load(std::memory_order_acquire))
      continue;
    // With more threads about than there would be processors for, even after this one has left, staying apart is the fair share.
    if (is_running(member.seat) || runnable_threads() - 1 > processors || moving.test_and_set(std::memory_order_acquire))
      continue;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    const bool moved = move_to(member.seat, here);
    moved_at.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    moving.clear(std::memory_order_release);
    if (moved) return true;
  }
  return false;
}

// For the caller. A worker on the caller's own processor gets nothing done there: it is sent to one that no member uses, or else to any
// other, where it gets its fair share beside a neighbour.
void ThreadPool::Team::spread_out() {
  if (!may_spread) return;
  const auto now = Clock::now().time_since_epoch();
  if (now - Clock::duration(moved_at.load(std::memory_order_relaxed)) < kBetweenMoves) return;
  moved_at.store(now.count(), std::memory_order_relaxed);
  const int own = sched_getcpu();
  cpu_set_t elsewhere, unused;
  CPU_ZERO(&elsewhere);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) CPU_SET(processor, &elsewhere);
  CPU_CLR(own, &elsewhere);
  unused = elsewhere;
  for (const Member& member : members) {
    const int processor = member.processor.load(std::memory_order_relaxed);
    if (processor >= 0 && processor < CPU_SETSIZE) CPU_CLR(processor, &unused);
  }
  for (const Member& member : members) {
    if (&member == &members[0] || member.processor.load(std::memory_order_relaxed) != own ||
        !member.seated.load(std::memory_order_acquire))
      continue;
    if (moving.test_and_set(std::memory_order_acquire)) return;
    move_to(member.seat, unused) || move_to(member.seat, elsewhere);
    moving.clear(std::memory_order_release);
  }
}

// At the start of a worker's thread; for the caller, at the start of a run.
void ThreadPool::Team::sit_down(int worker) {
  Member& member = members[static_cast<size_t>(worker)];
  member.seat = ThreadSeat::mine();
  member.seated.store(true, std::memory_order_release);
}

void ThreadPool::Team::note_processor(int worker) {
  std::atomic<int>& processor = members[static_cast<size_t>(worker)].processor;
  const int now = sched_getcpu();
  if (now != processor.load(std::memory_order_relaxed)) processor.store(now, std::memory_order_relaxed);
}

void ThreadPool::Team::walk(int worker) {
  uint32_t target = 0;
  uint32_t number = first_number;
  Member& me = members[static_cast<size_t>(worker)];
  for (const Phase& phase : phases) {
    target += static_cast<uint32_t>(phase.tasks);
    if (phase.tasks > 0 && !reached(target)) {
      if (number % kPhasesPerLook == 0) {
        note_processor(worker);
        if (worker == 0) spread_out();
      }
      me.working.store(true, std::memory_order_relaxed);
      work_on(phase, number, worker, target);
      me.working.store(false, std::memory_order_relaxed);
      // Behind the last phase there is nothing to wait for but the end of the run, which is the caller's to see.
      if (worker == 0 || &phase != &phases.back()) wait_for(target, worker);
    }
    ++number;
  }
}

void ThreadPool::Team::open(std::span<const Phase> span) {
  if (UINT32_MAX - first_number < 2 * span.size()) {  // nobody is inside, so numbers may start over
    for (Cursor& cursor : cursors) cursor.word.store(0, std::memory_order_relaxed);
    first_number = 1;
  }
  phases = span;
  sit_down(0);
  note_processor(0);
  spread_out();
  done.value.store(0, std::memory_order_relaxed);
  const uint32_t now = gate.value.load(std::memory_order_relaxed);
  gate.value.store(((now & ~(kInside | kClosing)) + kRunStep) | kOpen, std::memory_order_seq_cst);
  gate.wake();
}

void ThreadPool::Team::close() {
  const uint32_t before = gate.value.fetch_and(~kOpen, std::memory_order_acq_rel);
  const auto empty = [&] { return (gate.value.load(std::memory_order_acquire) & kInside) == 0; };
  if ((before & kInside) != 0 && !spin(empty, kSpinInRun) && yield_politely(empty, kYieldInRun) != Yielded::done) {
    gate.value.fetch_or(kClosing, std::memory_order_seq_cst);
    gate.park([](uint32_t seen) { return (seen & kInside) == 0; });
  }
  first_number += static_cast<uint32_t>(phases.size());
}

void ThreadPool::Team::run_together(std::span<const Phase> span) {
  open(span);
  walk(0);
  close();
}

// Enters a run that this worker has not walked yet, if the gate is open for one.
bool ThreadPool::Team::enter(uint32_t& last_run) {
  uint32_t seen = gate.value.load(std::memory_order_relaxed);
  while ((seen & kOpen) != 0 && seen / kRunStep != last_run) {
    if (gate.value.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
      last_run = seen / kRunStep;
      return true;
    }
  }
  return false;
}

void ThreadPool::Team::leave() {
  const uint32_t before = gate.value.fetch_sub(1, std::memory_order_seq_cst);
  if ((before & kInside) == 1 && (before & kClosing) != 0) gate.wake();
}

void ThreadPool::Team::serve(int worker) {
  uint32_t last_run = 0;
  sit_down(worker);
  while (!stop.load(std::memory_order_acquire)) {
    const auto is_called = [&] {
      const uint32_t seen = gate.value.load(std::memory_order_relaxed);
      return ((seen & kOpen) != 0 && seen / kRunStep != last_run) || stop.load(std::memory_order_relaxed);
    };
    if (!spin(is_called, kSpinBetweenRuns)) gate.park([&](uint32_t) { return is_called(); });
    note_processor(worker);
    if (enter(last_run)) {
      walk(worker);
      leave();
    }
  }
}

namespace {

// The start of a worker's thread. Workers are not pinned: the system puts a new thread on the idlest processor, wakes it where it
// last ran while that is free, and may move it away when a neighbour takes that processor, which a pinned thread would have to
// sit out. Where it does not move one that all others wait for, the team does (invite_stalled, spread_out).
template <typename Team>
struct Start {
  Team* team;
  int worker;

  static void* entry(void* pointer) {
    const Start start = *static_cast<Start*>(pointer);
    delete static_cast<Start*>(pointer);
    char name[16];
    std::snprintf(name, sizeof name, "oxplow/%d", start.worker);
    pthread_setname_np(pthread_self(), name);
    start.team->serve(start.worker);
    return nullptr;
  }
};

// The first phases of at most `limit` tasks in sum (one, if that alone has more).
size_t phases_within(std::span<const ThreadPool::Phase> phases, int64_t limit) {
  int64_t tasks = 0;
  for (size_t p = 0; p < phases.size(); ++p) {
    tasks += phases[p].tasks;
    if (p > 0 && tasks > limit) return p;
  }
  return phases.size();
}

void run_alone(std::span<const ThreadPool::Phase> phases) {
  for (const auto& phase : phases) {
    for (int task = 0; task < phase.tasks; ++task) phase.run(phase.state, task, 0);
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads) : team_(std::make_unique<Team>()) {
  OXPLOW_CHECK(threads >= 1 && threads <= static_cast<int>(kInside));
  team_->cursors = std::vector<Cursor>(static_cast<size_t>(threads));
  team_->members = std::vector<Member>(static_cast<size_t>(threads));
  team_->processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t allowed;
  team_->may_spread = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) >= threads;
  for (int worker = 1; worker < threads; ++worker) {
    pthread_t thread;
    auto start = std::make_unique<Start<Team>>(Start<Team>{team_.get(), worker});
    // Where the system allows no more threads, shares of the missing workers are taken by those that are there.
    if (pthread_create(&thread, nullptr, Start<Team>::entry, start.get()) != 0) break;
    start.release();
    team_->threads.push_back(thread);
  }
}

ThreadPool::~ThreadPool() {
  team_->stop.store(true, std::memory_order_seq_cst);
  team_->gate.value.fetch_add(kRunStep, std::memory_order_seq_cst);
  team_->gate.wake();
  for (pthread_t thread : team_->threads) pthread_join(thread, nullptr);
}

int ThreadPool::threads() const { return team_->size(); }

void ThreadPool::run(std::span<const Phase> phases) {
  const std::lock_guard lock(team_->one_run);
  const auto is_shared = [](const Phase& phase) { return phase.tasks > 1; };
  const auto first = std::find_if(phases.begin(), phases.end(), is_shared);
  if (first == phases.end() || team_->size() == 1) return run_alone(phases);
  // Lone tasks before the first and after the last shared phase are the caller's: no need to call or keep anybody for them.
  const auto last = std::find_if(phases.rbegin(), phases.rend(), is_shared).base();
  run_alone({phases.begin(), first});
  for (std::span<const Phase> rest(first, last); !rest.empty();) {
    const size_t count = phases_within(rest, INT_MAX);
    team_->run_together(rest.first(count));
    rest = rest.subspan(count);
  }
  run_alone({last, phases.end()});
}

void ThreadPool::run(int tasks, FunctionRef<void(int task, int worker)> task) {
  const Phase phase{tasks, [](void* state, int index, int worker) { (*static_cast<decltype(task)*>(state))(index, worker); },
                    &task};
  run(std::span(&phase, 1));
}

}  // namespace oxplow
