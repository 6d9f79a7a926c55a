#include <cstddef>
#include <cstdint>
#include <utility>

#include "oxplow/kernels/peak/peak.h"
#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {
namespace {

#if defined(__AVX512F__)
#define OXPLOW_REGISTER "v"
#elif defined(__x86_64__)
#define OXPLOW_REGISTER "x"
#else
#define OXPLOW_REGISTER "w"
#endif

// Hides a value from the optimizer: it stays in its register, but nothing is known about it any more.
template <typename Vector>
OXPLOW_INLINE void opaque(Vector& v) {
  __asm__ volatile("" : "+" OXPLOW_REGISTER(v));
}

// Independent chains: two or four units times a latency of four or five cycles, within the registers there are.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kChains = 24;
#else
constexpr int kChains = 12;
#endif
using Chains = std::make_integer_sequence<int, kChains>;

// Runs step(chain) on all chains, `rounds` times, and gives operations_per_step * steps.
template <typename Vector, typename Step, int... kIndex>
OXPLOW_INLINE double run_chains(Vector start, Step step, int64_t rounds, double operations_per_step,
                                std::integer_sequence<int, kIndex...>) {
  Vector chain[kChains] = {((void)kIndex, start)...};
  for (int64_t round = 0; round < rounds; ++round) {
    (step(chain[kIndex]), ...);
  }
  (opaque(chain[kIndex]), ...);
  return static_cast<double>(rounds) * kChains * operations_per_step;
}

double f32(int64_t rounds) {
  // x = x * a + b converges to 1: no infinities, no subnormals.
  F32 a = F32::broadcast(0.999f);
  F32 b = F32::broadcast(0.001f);
  opaque(a.v);
  opaque(b.v);
  const auto step = [&](decltype(a.v)& x) __attribute__((always_inline)) { x = fma(F32{x}, a, b).v; };
  return run_chains(b.v, step, rounds, 2.0 * F32::kWidth, Chains());
}

#if defined(__AMX_TILE__)

// Tiles 0 to 3 collect, 4 and 5 are one factor, 6 and 7 the other: every product of two tiles is in flight.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

constexpr TileConfig kTileConfig;  // static: g++ 12 takes the instruction to read 8 bytes and drops stores to the rest

OXPLOW_INLINE void zero_tiles() {
  _tile_loadconfig(&kTileConfig);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

double bf16(int64_t rounds) {
  zero_tiles();
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return static_cast<double>(rounds) * 4 * 16 * 16 * 32 * 2;
}

double i8(int64_t rounds) {
  zero_tiles();
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
  return static_cast<double>(rounds) * 4 * 16 * 16 * 64 * 2;
}

#elif defined(__AVX512BF16__)

double bf16(int64_t rounds) {
  __m512i a = _mm512_set1_epi16(0x3c00), b = a;
  opaque(a);
  opaque(b);
  const auto step = [&](__m512& x) __attribute__((always_inline)) { x = _mm512_dpbf16_ps(x, (__m512bh)a, (__m512bh)b); };
  return run_chains(_mm512_setzero_ps(), step, rounds, 64, Chains());
}

#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)

double bf16(int64_t rounds) {
  bfloat16x8_t a = vreinterpretq_bf16_u16(vdupq_n_u16(0x3c00)), b = a;
  opaque(a);
  opaque(b);
  const auto step = [&](float32x4_t& x) __attribute__((always_inline)) { x = vbfmmlaq_f32(x, a, b); };
  return run_chains(vdupq_n_f32(0), step, rounds, 32, Chains());
}

#else

constexpr double (*bf16)(int64_t) = nullptr;

#endif

#if defined(__AMX_TILE__)
#elif defined(__AVX512VNNI__)

double i8(int64_t rounds) {
  __m512i a = _mm512_set1_epi8(1), b = a;
  opaque(a);
  opaque(b);
  const auto step = [&](__m512i& x) __attribute__((always_inline)) { x = _mm512_dpbusd_epi32(x, a, b); };
  return run_chains(_mm512_setzero_si512(), step, rounds, 128, Chains());
}

#elif defined(__AVX512F__)

double i8(int64_t rounds) {
  __m512i a = _mm512_set1_epi8(1), b = a;
  __m512i ones = _mm512_set1_epi16(1);
  opaque(b);
  opaque(ones);
  const auto step = [&](__m512i& x) __attribute__((always_inline)) {
    opaque(a);  // or the product would be computed once for all
    x = _mm512_add_epi32(x, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), ones));
  };
  return run_chains(_mm512_setzero_si512(), step, rounds, 128, Chains());
}

#elif defined(__AVX2__)

double i8(int64_t rounds) {
  __m256i a = _mm256_set1_epi8(1), b = a;
  __m256i ones = _mm256_set1_epi16(1);
  opaque(b);
  opaque(ones);
  const auto step = [&](__m256i& x) __attribute__((always_inline)) {
    opaque(a);
    x = _mm256_add_epi32(x, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
  };
  return run_chains(_mm256_setzero_si256(), step, rounds, 64, Chains());
}

#elif defined(__x86_64__)

// SSE2 multiplies 8-bit numbers as 16-bit ones.
double i8(int64_t rounds) {
  __m128i a = _mm_set1_epi16(1), b = a;
  opaque(b);
  const auto step = [&](__m128i& x) __attribute__((always_inline)) {
    opaque(a);
    x = _mm_add_epi32(x, _mm_madd_epi16(a, b));
  };
  return run_chains(_mm_setzero_si128(), step, rounds, 16, Chains());
}

#elif defined(__ARM_FEATURE_MATMUL_INT8)

double i8(int64_t rounds) {
  int8x16_t a = vdupq_n_s8(1), b = a;
  opaque(a);
  opaque(b);
  const auto step = [&](int32x4_t& x) __attribute__((always_inline)) { x = vmmlaq_s32(x, a, b); };
  return run_chains(vdupq_n_s32(0), step, rounds, 64, Chains());
}

#elif defined(__ARM_FEATURE_DOTPROD)

double i8(int64_t rounds) {
  int8x16_t a = vdupq_n_s8(1), b = a;
  opaque(a);
  opaque(b);
  const auto step = [&](int32x4_t& x) __attribute__((always_inline)) { x = vdotq_s32(x, a, b); };
  return run_chains(vdupq_n_s32(0), step, rounds, 32, Chains());
}

#else

double i8(int64_t rounds) {
  int8x8_t a = vdup_n_s8(1), b = a;
  opaque(b);
  const auto step = [&](int32x4_t& x) __attribute__((always_inline)) {
    opaque(a);
    x = vpadalq_s16(x, vmull_s8(a, b));
  };
  return run_chains(vdupq_n_s32(0), step, rounds, 16, Chains());
}

#endif

float read(const std::byte* data, size_t bytes) {
  constexpr int kSums = 8;
  constexpr size_t kBlock = kSums * sizeof(F32);
  static_assert(1024 % kBlock == 0);
  F32 sum[kSums];
  for (F32& s : sum) s = F32::zero();
  for (size_t at = 0; at < bytes; at += kBlock) {
    const float* p = reinterpret_cast<const float*>(data + at);
    sum[0] = sum[0] + F32::load(p + 0 * F32::kWidth);
    sum[1] = sum[1] + F32::load(p + 1 * F32::kWidth);
    sum[2] = sum[2] + F32::load(p + 2 * F32::kWidth);
    sum[3] = sum[3] + F32::load(p + 3 * F32::kWidth);
    sum[4] = sum[4] + F32::load(p + 4 * F32::kWidth);
    sum[5] = sum[5] + F32::load(p + 5 * F32::kWidth);
    sum[6] = sum[6] + F32::load(p + 6 * F32::kWidth);
    sum[7] = sum[7] + F32::load(p + 7 * F32::kWidth);
  }
  F32 all = F32::zero();
  for (const F32& s : sum) all = all + s;
  return oxplow::OXPLOW_ISA::sum(all);
}

}  // namespace

extern const PeakKernels peak_kernels;
const PeakKernels peak_kernels = {.f32 = f32, .bf16 = bf16, .i8 = i8, .read = read};

}  // namespace oxplow::OXPLOW_ISA
