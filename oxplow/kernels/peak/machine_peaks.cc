#include "oxplow/kernels/peak/machine_peaks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/base/topology.h"
#include "oxplow/kernels/peak/peak.h"

namespace oxplow {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

double seconds_between(Clock::time_point start, Clock::time_point end) { return Seconds(end - start).count(); }

// Lets the tasks of a phase begin at the same moment. Gives up after a while: a pool may have been granted fewer threads than asked.
class Gate {
 public:
  explicit Gate(int tasks) : missing_(tasks) {}
  void pass() {
    missing_.fetch_sub(1, std::memory_order_acq_rel);
    const auto end = Clock::now() + std::chrono::milliseconds(10);
    while (missing_.load(std::memory_order_acquire) > 0 && Clock::now() < end) {
    }
  }

 private:
  std::atomic<int> missing_;
};

struct alignas(kCacheLine) Share {
  Clock::time_point start, end;
  double work = 0;
};

// Work a second of one repeat: each thread does `task(thread)`, which gives the amount of work it did; from the first start to the last
// end.
double rate_of(ThreadPool& pool, FunctionRef<double(int)> task) {
  std::vector<Share> shares(static_cast<size_t>(pool.threads()));
  Gate gate(pool.threads());
  pool.run(pool.threads(), [&](int thread, int) {
    Share& share = shares[static_cast<size_t>(thread)];
    gate.pass();
    share.start = Clock::now();
    share.work = task(thread);
    share.end = Clock::now();
  });
  Clock::time_point start = shares[0].start, end = shares[0].end;
  double work = 0;
  for (const Share& share : shares) {
    start = std::min(start, share.start);
    end = std::max(end, share.end);
    work += share.work;
  }
  return work / std::max(seconds_between(start, end), 1e-9);
}

// The best of as many repeats as fit into `seconds`, at least three.
double best_rate(ThreadPool& pool, double seconds, FunctionRef<double(int)> task) {
  const auto start = Clock::now();
  double best = 0;
  for (int repeat = 0; repeat < 3 || seconds_between(start, Clock::now()) < seconds; ++repeat) {
    best = std::max(best, rate_of(pool, task));
  }
  return best;
}

// The number of rounds after which one call of `kernel` takes about `seconds`.
template <typename Kernel>
int64_t rounds_for(Kernel kernel, double seconds) {
  for (int64_t rounds = 64;; rounds *= 2) {
    const auto start = Clock::now();
    kernel(rounds);
    const double taken = seconds_between(start, Clock::now());
    if (taken > 100e-6) return std::max(rounds, static_cast<int64_t>(static_cast<double>(rounds) * seconds / taken));
  }
}

// In 10^9 operations a second; 0 when there is no kernel. A repeat takes a sixth of the time, so that clocks and threads settle first.
double compute_peak(ThreadPool& pool, double (*kernel)(int64_t), double seconds) {
  if (kernel == nullptr) return 0;
  const int64_t rounds = rounds_for(kernel, std::min(seconds / 6, 0.01));
  return best_rate(pool, seconds, [&](int) { return kernel(rounds); }) * 1e-9;
}

// Reads `bytes` of each thread's part of `data` over and over for at least `bytes_a_repeat`.
double cached_read_peak(ThreadPool& pool, const PeakKernels& kernels, const std::byte* data, size_t part, size_t bytes,
                        double seconds) {
  const int64_t passes = std::max<int64_t>(1, static_cast<int64_t>((size_t{8} << 20) / bytes));
  return best_rate(pool, seconds,
                   [&](int thread) {
                     const std::byte* own = data + static_cast<size_t>(thread) * part;
                     float sum = 0;
                     for (int64_t pass = 0; pass < passes; ++pass) sum += kernels.read(own, bytes);
                     volatile float kept = sum;
                     static_cast<void>(kept);
                     return static_cast<double>(passes) * static_cast<double>(bytes);
                   }) *
         1e-9;
}

// Writes the range back to memory and drops it from all caches.
void flush_caches(const std::byte* data, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kCacheLine) {
#if defined(__x86_64__)
    __builtin_ia32_clflush(data + at);
#elif defined(__aarch64__)
    __asm__ volatile("dc civac, %0" : : "r"(data + at) : "memory");
#endif
  }
#if defined(__x86_64__)
  __builtin_ia32_mfence();
#elif defined(__aarch64__)
  __asm__ volatile("dsb ish" : : : "memory");
#endif
}

// Flushing rather than a buffer larger than all caches: those of a server part hold hundreds of megabytes.
double memory_read_peak(ThreadPool& pool, const PeakKernels& kernels, const std::byte* data, size_t part, double seconds) {
  const auto start = Clock::now();
  double best = 0;
  for (int repeat = 0; repeat < 2 || seconds_between(start, Clock::now()) < seconds; ++repeat) {
    pool.run(pool.threads(), [&](int thread, int) { flush_caches(data + static_cast<size_t>(thread) * part, part); });
    best = std::max(best, rate_of(pool, [&](int thread) {
                      volatile float sum = kernels.read(data + static_cast<size_t>(thread) * part, part);
                      static_cast<void>(sum);
                      return static_cast<double>(part);
                    }));
  }
  return best * 1e-9;
}

void measure_reads(ThreadPool& pool, const PeakKernels& kernels, double seconds, MachinePeaks& peaks) {
  const Topology topology = Topology::detect();
  const auto in_kilobytes = [](int64_t bytes) { return static_cast<size_t>(bytes) / 1024 * 1024; };
  const size_t l1 = in_kilobytes(topology.l1_bytes() / 2);
  const size_t l2 = in_kilobytes(topology.l2_bytes() / 2);
  // L3: larger than L2 twice, within the thread's share, and not more than it takes to see it.
  const size_t l3 = topology.l3_share() == 0
                        ? 0
                        : in_kilobytes(std::clamp(topology.l3_share() / 2, 2 * topology.l2_bytes(), 4 * topology.l2_bytes()));
  // Memory: what is read in some milliseconds; all threads' parts together stay below 128 MB.
  const size_t threads = static_cast<size_t>(pool.threads());
  const size_t most = (size_t{128} << 20) / threads;
  const size_t stream = std::min(most, seconds > 0.2 ? size_t{32} << 20 : size_t{8} << 20);
  const size_t part = round_up(std::max({l1, l2, std::min(l3, most), stream}), 4096);
  auto buffer = Buffer::allocate(part * threads);
  if (!buffer) return;
  std::byte* const data = buffer->data();
  pool.run(pool.threads(), [&](int thread, int) { std::memset(data + static_cast<size_t>(thread) * part, 0, part); });

  const double share = seconds / 4;
  peaks.l1_gbps = cached_read_peak(pool, kernels, data, part, l1, share);
  peaks.l2_gbps = cached_read_peak(pool, kernels, data, part, l2, share);
  if (l3 > 0) peaks.l3_gbps = cached_read_peak(pool, kernels, data, part, std::min(l3, part), share);
  peaks.dram_gbps = memory_read_peak(pool, kernels, data, stream, share);
}

}  // namespace

MachinePeaks measure_peaks(ThreadPool& pool, Isa isa, double seconds) {
  const PeakKernels& kernels = peak_kernels(isa);
  MachinePeaks peaks;
  peaks.threads = pool.threads();
  const double share = seconds / 7;
  peaks.f32_gflops = compute_peak(pool, kernels.f32, share);
  peaks.bf16_gflops = compute_peak(pool, kernels.bf16, share);
  peaks.i8_gops = compute_peak(pool, kernels.i8, share);
  measure_reads(pool, kernels, 4 * share, peaks);
  return peaks;
}

MachinePeaks quick_peaks(ThreadPool& pool, Isa isa) { return measure_peaks(pool, isa, 0.03); }

}  // namespace oxplow
