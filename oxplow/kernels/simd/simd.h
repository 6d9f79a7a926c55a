#pragma once
// The thin vector vocabulary of kernel bodies (*.isa.cc), one set of types per tier, all inside namespace oxplow::OXPLOW_ISA:
//
//   Mask   one truth value per lane: & | ! any(m) all(m)
//   I32    kWidth int32 lanes: load store broadcast, + - & | ^, shift_left<n> shift_right<n> (arithmetic)
//          shift_right_logical<n>, == < > (signed)
//   F32    kWidth floats: load(p) load(p, n) store(p) store(p, n) broadcast(x) zero(), + - * /, < <= > >= == != (false on NaN; !=
//   true)
//          fma(a, b, c) = a * b + c          fused except in the x86_64 tier
//          min(a, b) = a < b ? a : b         so b when either is NaN: min(hi, max(lo, x)) keeps a NaN x
//          max(a, b) = a > b ? a : b
//          select(mask, a, b) = mask ? a : b per lane
//          abs neg sqrt floor ceil round (half to even) trunc copysign(magnitude, sign) is_nan
//          bits(F32) -> I32, from_bits(I32) -> F32, to_int(F32) -> I32 (rounds half to even; outside of int32: INT32_MIN on x86,
//          saturated on Arm), to_float(I32) -> F32
//          sum(v) min_of(v) max_of(v): across lanes, in a fixed order of halves
//          load_bf16 store_bf16 load_f16 store_f16 (p) or (p, n), to and from uint16_t; rounds to nearest even, NaN stays NaN;
//          subnormal bf16 results may become zero where the processor's own instruction does so (AVX512-BF16)
//
// Partial forms touch the first n lanes alone, 0 <= n <= kWidth; lanes past n load as zero. Pointers need no alignment.
// math.h adds exp, log, erf, tanh and the activations.

#include <cstdint>

#define OXPLOW_INLINE inline __attribute__((always_inline))

// A macro's value as text: OXPLOW_TEXT(OXPLOW_ISA) is "avx2".
#define OXPLOW_TEXT_(x) #x
#define OXPLOW_TEXT(x) OXPLOW_TEXT_(x)

#if defined(__AVX512F__)
#include "oxplow/kernels/simd/avx512.h"
#elif defined(__AVX2__)
#include "oxplow/kernels/simd/avx2.h"
#elif defined(__SSE2__)
#include "oxplow/kernels/simd/sse2.h"
#elif defined(__ARM_NEON)
#include "oxplow/kernels/simd/neon.h"
#endif
