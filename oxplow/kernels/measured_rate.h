#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "oxplow/base/function_ref.h"

namespace oxplow {

// How fast a kernel is on this machine with its operands in cache, in GFLOP/s: the best of a few calls of `run`, each of `flops`
// operations, a millisecond in all. Measured once a process for each kernel, by whoever asks first. For choosing among kernels
// that give the same bits: which of them a processor likes best is known only to the processor.
double measured_gflops(std::string_view kernel, double flops, FunctionRef<void()> run);

// What has been measured so far, by name of kernel.
std::map<std::string, double> known_gflops();
// Takes over what was measured earlier on a machine like this; what this process has measured itself stays.
void note_gflops(const std::map<std::string, double>& rates);

// The kernel with fits(kernel) for which work(kernel) / rate(kernel) is least, `rate` a measured one; within the noise of measuring,
// the first of the list. Null where none fits. Nothing is measured where there is no choice.
template <typename Kernel, typename Fits, typename Work, typename Rate>
const Kernel* fastest(std::span<const Kernel> kernels, Fits fits, Work work, Rate rate) {
  constexpr double kNoise = 0.03;
  const Kernel* best = nullptr;
  const auto cost = [&](const Kernel& kernel) { return static_cast<double>(work(kernel)) / rate(kernel); };
  for (const Kernel& kernel : kernels) {
    if (fits(kernel) && (best == nullptr || cost(kernel) < (1 - kNoise) * cost(*best))) best = &kernel;
  }
  return best;
}

}  // namespace oxplow
