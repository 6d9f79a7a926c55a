#pragma once

#include "oxplow/base/function_ref.h"

namespace oxplow {

// How fast a kernel is on this machine with its operands in cache, in GFLOP/s: the best of a few calls of `run`, each of `flops`
// operations, a millisecond in all. Measured once a process for each kernel, by whoever asks first. For choosing among kernels
// that give the same bits: which of them a processor likes best is known only to the processor.
double measured_gflops(const void* kernel, double flops, FunctionRef<void()> run);

}  // namespace oxplow
