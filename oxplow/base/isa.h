#pragma once

#include <span>
#include <string_view>

#include "oxplow/base/result.h"

namespace oxplow {

// Instruction-set tiers. Within an architecture a later tier has all instructions of the earlier ones.
//   avx2: FMA, F16C, BMI2 · avx512: F BW CD DQ VL · avx512_vnni: VNNI VBMI BF16 · amx: AMX-TILE, AMX-BF16, AMX-INT8
//   neon: Armv8.0 · neon_dot: dot product, fp16 · neon_i8mm: I8MM, BF16
enum class Isa {
#define OXPLOW_ISA_TIER(name, architecture) name,
#include "oxplow/base/isa.inc"
#undef OXPLOW_ISA_TIER
};

std::string_view name_of(Isa isa);

// The tiers that this processor and its operating system can run, weakest first. Never empty.
// AMX counts only when the kernel grants its tile state (asked for once, on the first call).
std::span<const Isa> available_isas();
// The strongest of them.
Isa best_isa();
// The tier named `name` (as in OXPLOW_ISA), or an error that lists what this machine has.
Result<Isa> isa_named(std::string_view name);
// OXPLOW_ISA if it is set, else best_isa().
Result<Isa> isa_from_environment();

// Whether vdpbf16ps, BFMMLA or AMX multiply bf16 in hardware in this tier.
bool has_bf16(Isa isa);

}  // namespace oxplow
