#pragma once

#include <cstddef>
#include <cstdint>

#include "oxplow/base/isa.h"

namespace oxplow {

// Loops that do nothing but keep the arithmetic units or the load units busy: what no kernel of a tier can exceed.
struct PeakKernels {
  // Multiply-adds on registers alone, in independent chains that are long enough to hide the latency, `rounds` times. Each gives the
  // number of operations done (a multiply-add counts two). Null: the tier has no instruction of that kind.
  double (*f32)(int64_t rounds);
  double (*bf16)(int64_t rounds);  // products of bf16 summed in f32: vdpbf16ps, tdpbf16ps, bfmmla
  double (*i8)(int64_t rounds);    // products of 8-bit integers summed in 32 bits, by the fastest way there is in the tier

  // Loads `bytes` (a multiple of 1024, 64-byte aligned) once, front to back, and gives their sum as f32 so that they are needed.
  float (*read)(const std::byte* data, size_t bytes);
};

// The best of a tier that does not exceed `isa`.
const PeakKernels& peak_kernels(Isa isa);

}  // namespace oxplow
