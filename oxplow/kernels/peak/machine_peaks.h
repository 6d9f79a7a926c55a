#pragma once

#include "oxplow/base/isa.h"
#include "oxplow/base/thread_pool.h"

namespace oxplow {

// What this machine does at most with all threads of a pool at work at once: sums over the threads. 0 means that the machine has no
// such thing (bf16 without hardware: it runs as f32; no third cache level).
struct MachinePeaks {
  int threads = 0;
  // 10^9 operations a second, a multiply-add counted as two.
  double f32_gflops = 0;
  double bf16_gflops = 0;
  double i8_gops = 0;
  // 10^9 bytes a second, read from where the data lies: each thread its own buffer, in turn small enough for L1, L2, its share of L3,
  // and flushed out of all caches.
  double l1_gbps = 0;
  double l2_gbps = 0;
  double l3_gbps = 0;
  double dram_gbps = 0;
};

// Measures for about `seconds` in all (0.05 is the least that gives usable figures). Each figure is the best of several repeats, as
// neighbours and interrupts only ever make a repeat slower. Memory for the bandwidths (at most 128 MB) is given back.
MachinePeaks measure_peaks(ThreadPool& pool, Isa isa, double seconds);

// The same in at most 60 ms, good to about 10 %: for cost models.
MachinePeaks quick_peaks(ThreadPool& pool, Isa isa);

}  // namespace oxplow
