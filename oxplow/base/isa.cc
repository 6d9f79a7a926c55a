#include "oxplow/base/isa.h"

#include <cstdlib>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace oxplow {
namespace {

#if defined(__x86_64__)

struct CpuidLeaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidLeaf r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

// XCR0: which register states the operating system saves. Only to be read when CPUID.1:ECX.OSXSAVE is set.
uint64_t xcr0() {
  uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// True when all the bits numbered in `positions` are set.
template <typename... Bits>
bool has_bits(uint64_t word, Bits... positions) {
  return (((word >> positions) & 1) & ...) != 0;
}

// Linux keeps the 8 KiB of tile registers from processes that did not ask for them; the first tile instruction would be a SIGILL.
bool request_amx_permission() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::vector<Isa> detect_isas() {
  std::vector<Isa> isas{Isa::x86_64};
  const CpuidLeaf basic = cpuid(1, 0);
  const CpuidLeaf more = cpuid(7, 0);
  const CpuidLeaf newest = cpuid(7, 1);
  const CpuidLeaf extended = cpuid(0x80000001, 0);
  const uint64_t os_saves = has_bits(basic.ecx, 27) ? xcr0() : 0;

  // AVX FMA MOVBE POPCNT F16C · AVX2 BMI1 BMI2 · LZCNT · XMM and YMM state
  if (!has_bits(basic.ecx, 28, 12, 22, 23, 29) || !has_bits(more.ebx, 5, 3, 8) || !has_bits(extended.ecx, 5) ||
      !has_bits(os_saves, 1, 2)) {
    return isas;
  }
  isas.push_back(Isa::avx2);
  // F DQ CD BW VL · mask registers and both halves of ZMM state
  if (!has_bits(more.ebx, 16, 17, 28, 30, 31) || !has_bits(os_saves, 5, 6, 7)) return isas;
  isas.push_back(Isa::avx512);
  // IFMA · VBMI VBMI2 VNNI BITALG VPOPCNTDQ · BF16
  if (!has_bits(more.ebx, 21) || !has_bits(more.ecx, 1, 6, 11, 12, 14) || !has_bits(newest.eax, 5)) return isas;
  isas.push_back(Isa::avx512_vnni);
  // AMX-BF16 AMX-TILE AMX-INT8 · tile configuration and data
  if (!has_bits(more.edx, 22, 24, 25) || !has_bits(os_saves, 17, 18) || !request_amx_permission()) return isas;
  isas.push_back(Isa::amx);
  return isas;
}

#elif defined(__aarch64__)

std::vector<Isa> detect_isas() {
  std::vector<Isa> isas{Isa::neon};
  const unsigned long caps = getauxval(AT_HWCAP);
  const unsigned long caps2 = getauxval(AT_HWCAP2);
  // The compiler may use everything that -march=armv8.2-a implies, so that is asked for too.
  constexpr unsigned long kDot = HWCAP_ATOMICS | HWCAP_CRC32 | HWCAP_ASIMDRDM | HWCAP_FPHP | HWCAP_ASIMDHP | HWCAP_ASIMDDP;
  if ((caps & kDot) != kDot) return isas;
  isas.push_back(Isa::neon_dot);
  constexpr unsigned long kMatrix = HWCAP2_I8MM | HWCAP2_BF16;
  if ((caps2 & kMatrix) != kMatrix) return isas;
  isas.push_back(Isa::neon_i8mm);
  return isas;
}

#else
#error "Oxplow runs on x86-64 and 64-bit Arm"
#endif

std::string list_of(std::span<const Isa> isas) {
  std::string text;
  for (Isa isa : isas) {
    if (!text.empty()) text += ", ";
    text += name_of(isa);
  }
  return text;
}

bool is_known(std::string_view name) {
#define OXPLOW_ISA_TIER(tier, architecture) \
  if (name == #tier) return true;
#include "oxplow/base/isa.inc"
#undef OXPLOW_ISA_TIER
  return false;
}

}  // namespace

std::string_view name_of(Isa isa) {
  constexpr std::string_view kNames[] = {
#define OXPLOW_ISA_TIER(name, architecture) #name,
#include "oxplow/base/isa.inc"
#undef OXPLOW_ISA_TIER
  };
  return kNames[static_cast<int>(isa)];
}

std::span<const Isa> available_isas() {
  static const std::vector<Isa> isas = detect_isas();
  return isas;
}

Isa best_isa() { return available_isas().back(); }

Result<Isa> isa_named(std::string_view name) {
  for (Isa isa : available_isas()) {
    if (name == name_of(isa)) return isa;
  }
  const std::string what =
      is_known(name) ? "this machine cannot run instruction-set tier '" : "there is no instruction-set tier '";
  return Error{is_known(name) ? ErrorCode::unsupported : ErrorCode::invalid_argument,
               what + std::string(name) + "'; this machine has " + list_of(available_isas())};
}

Result<Isa> isa_from_environment() {
  const char* name = std::getenv("OXPLOW_ISA");
  if (name == nullptr || *name == '\0') return best_isa();
  auto isa = isa_named(name);
  if (!isa) return in_context("OXPLOW_ISA", isa.error());
  return isa;
}

bool has_bf16(Isa isa) { return isa == Isa::avx512_vnni || isa == Isa::amx || isa == Isa::neon_i8mm; }

}  // namespace oxplow
