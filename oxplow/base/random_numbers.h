#pragma once

#include <array>
#include <cstdint>

namespace oxplow {

// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"): four random words for each number of a sequence, in any
// order, so that threads share a sequence without a trace.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t sequence, uint64_t index);

// Uniform in [0, 1), 53 bits.
double uniform_number(uint64_t key, uint64_t sequence, uint64_t index);
// Of mean 0 and deviation 1.
double normal_number(uint64_t key, uint64_t sequence, uint64_t index);

}  // namespace oxplow
