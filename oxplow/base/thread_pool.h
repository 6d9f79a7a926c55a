#pragma once

#include <memory>
#include <span>

#include "oxplow/base/function_ref.h"

namespace oxplow {

// A persistent team of threads that walks phases of tasks together. Tasks of one phase may run at once and in any order; a phase
// starts when every task of the one before is done. Each worker begins with its own contiguous share of a phase's tasks (the
// static schedule: the same worker sees the same part of the data in run after run) and then takes tasks left over by
// slower workers, so a busy neighbour costs its fair share and no more.
//
// Waiting is: spin briefly, yield, park on a futex. Threads (the caller's too, during a run) are not pinned, but may be moved between the
// processors that they may use. One run at a time: a second caller waits its turn.
class ThreadPool {
 public:
  struct Phase {
    int tasks = 0;
    void (*run)(void* state, int task, int worker) = nullptr;
    void* state = nullptr;
  };

  // `threads` >= 1 counts the caller: a pool of one starts no thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Runs the phases in order, the caller being worker 0. Allocates nothing after the largest sequence was seen once.
  // Tasks must not throw, and must not call the pool.
  void run(std::span<const Phase> phases);
  // One phase.
  void run(int tasks, FunctionRef<void(int task, int worker)> task);

 private:
  struct Team;
  std::unique_ptr<Team> team_;
};

}  // namespace oxplow
