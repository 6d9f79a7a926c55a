#pragma once
// simd.h for Armv8.0 Advanced SIMD.

#include <arm_neon.h>

#include <cstdint>

namespace oxplow::OXPLOW_ISA {

struct Mask {
  uint32x4_t v;
  friend OXPLOW_INLINE Mask operator&(Mask a, Mask b) { return {vandq_u32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator|(Mask a, Mask b) { return {vorrq_u32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator!(Mask a) { return {vmvnq_u32(a.v)}; }
};
OXPLOW_INLINE bool any(Mask m) { return vmaxvq_u32(m.v) != 0; }
OXPLOW_INLINE bool all(Mask m) { return vminvq_u32(m.v) != 0; }

struct I32 {
  static constexpr int kWidth = 4;
  int32x4_t v;
  static OXPLOW_INLINE I32 load(const int32_t* p) { return {vld1q_s32(p)}; }
  static OXPLOW_INLINE I32 load(const int32_t* p, int64_t n) {
    int32_t lanes[4] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return {vld1q_s32(lanes)};
  }
  static OXPLOW_INLINE I32 broadcast(int32_t x) { return {vdupq_n_s32(x)}; }
  OXPLOW_INLINE void store(int32_t* p) const { vst1q_s32(p, v); }
  OXPLOW_INLINE void store(int32_t* p, int64_t n) const {
    int32_t lanes[4];
    vst1q_s32(lanes, v);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  friend OXPLOW_INLINE I32 operator+(I32 a, I32 b) { return {vaddq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator-(I32 a, I32 b) { return {vsubq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator&(I32 a, I32 b) { return {vandq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator|(I32 a, I32 b) { return {vorrq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE I32 operator^(I32 a, I32 b) { return {veorq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator==(I32 a, I32 b) { return {vceqq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<(I32 a, I32 b) { return {vcltq_s32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator>(I32 a, I32 b) { return {vcgtq_s32(a.v, b.v)}; }
};
template <int kBits>
OXPLOW_INLINE I32 shift_left(I32 a) {
  return {vshlq_n_s32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right(I32 a) {
  return {vshrq_n_s32(a.v, kBits)};
}
template <int kBits>
OXPLOW_INLINE I32 shift_right_logical(I32 a) {
  return {vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v), kBits))};
}
OXPLOW_INLINE I32 select(Mask m, I32 a, I32 b) { return {vbslq_s32(m.v, a.v, b.v)}; }

struct F32 {
  static constexpr int kWidth = 4;
  float32x4_t v;
  static OXPLOW_INLINE F32 load(const float* p) { return {vld1q_f32(p)}; }
  static OXPLOW_INLINE F32 load(const float* p, int64_t n) {
    float lanes[4] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return {vld1q_f32(lanes)};
  }
  static OXPLOW_INLINE F32 broadcast(float x) { return {vdupq_n_f32(x)}; }
  static OXPLOW_INLINE F32 zero() { return {vdupq_n_f32(0)}; }
  OXPLOW_INLINE void store(float* p) const { vst1q_f32(p, v); }
  OXPLOW_INLINE void store(float* p, int64_t n) const {
    float lanes[4];
    vst1q_f32(lanes, v);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  friend OXPLOW_INLINE F32 operator+(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator-(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator*(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE F32 operator/(F32 a, F32 b) { return {vdivq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<(F32 a, F32 b) { return {vcltq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator<=(F32 a, F32 b) { return {vcleq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator>(F32 a, F32 b) { return {vcgtq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator>=(F32 a, F32 b) { return {vcgeq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator==(F32 a, F32 b) { return {vceqq_f32(a.v, b.v)}; }
  friend OXPLOW_INLINE Mask operator!=(F32 a, F32 b) { return {vmvnq_u32(vceqq_f32(a.v, b.v))}; }
};
OXPLOW_INLINE F32 fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
// FMIN and FMAX would return the NaN whichever operand has it; x86 returns the second operand, and so do these.
OXPLOW_INLINE F32 min(F32 a, F32 b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
OXPLOW_INLINE F32 max(F32 a, F32 b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
OXPLOW_INLINE F32 select(Mask m, F32 a, F32 b) { return {vbslq_f32(m.v, a.v, b.v)}; }
OXPLOW_INLINE F32 abs(F32 a) { return {vabsq_f32(a.v)}; }
OXPLOW_INLINE F32 sqrt(F32 a) { return {vsqrtq_f32(a.v)}; }
OXPLOW_INLINE F32 floor(F32 a) { return {vrndmq_f32(a.v)}; }
OXPLOW_INLINE F32 ceil(F32 a) { return {vrndpq_f32(a.v)}; }
OXPLOW_INLINE F32 trunc(F32 a) { return {vrndq_f32(a.v)}; }
OXPLOW_INLINE F32 round(F32 a) { return {vrndnq_f32(a.v)}; }
OXPLOW_INLINE I32 bits(F32 a) { return {vreinterpretq_s32_f32(a.v)}; }
OXPLOW_INLINE F32 from_bits(I32 a) { return {vreinterpretq_f32_s32(a.v)}; }
OXPLOW_INLINE I32 to_int(F32 a) { return {vcvtnq_s32_f32(a.v)}; }
OXPLOW_INLINE F32 to_float(I32 a) { return {vcvtq_f32_s32(a.v)}; }

OXPLOW_INLINE float sum(F32 a) {
  const float32x2_t d = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(d, 0) + vget_lane_f32(d, 1);
}
OXPLOW_INLINE float min_of(F32 a) { return vminvq_f32(a.v); }
OXPLOW_INLINE float max_of(F32 a) { return vmaxvq_f32(a.v); }

OXPLOW_INLINE uint16x4_t load_halves(const uint16_t* p, int64_t n) {
  uint16_t lanes[4] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return vld1_u16(lanes);
}
OXPLOW_INLINE void store_halves(uint16x4_t h, uint16_t* p, int64_t n) {
  uint16_t lanes[4];
  vst1_u16(lanes, h);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

OXPLOW_INLINE uint16x4_t to_bf16(F32 a) {
  const uint32x4_t u = vreinterpretq_u32_f32(a.v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(a.v, a.v), rounded, quiet), 16);
}
OXPLOW_INLINE F32 from_bf16(uint16x4_t h) { return {vreinterpretq_f32_u32(vshll_n_u16(h, 16))}; }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p) { return from_bf16(vld1_u16(p)); }
OXPLOW_INLINE F32 load_bf16(const uint16_t* p, int64_t n) { return from_bf16(load_halves(p, n)); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p) { vst1_u16(p, to_bf16(a)); }
OXPLOW_INLINE void store_bf16(F32 a, uint16_t* p, int64_t n) { store_halves(to_bf16(a), p, n); }

OXPLOW_INLINE uint16x4_t to_f16(F32 a) { return vreinterpret_u16_f16(vcvt_f16_f32(a.v)); }
OXPLOW_INLINE F32 from_f16(uint16x4_t h) { return {vcvt_f32_f16(vreinterpret_f16_u16(h))}; }
OXPLOW_INLINE F32 load_f16(const uint16_t* p) { return from_f16(vld1_u16(p)); }
OXPLOW_INLINE F32 load_f16(const uint16_t* p, int64_t n) { return from_f16(load_halves(p, n)); }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p) { vst1_u16(p, to_f16(a)); }
OXPLOW_INLINE void store_f16(F32 a, uint16_t* p, int64_t n) { store_halves(to_f16(a), p, n); }

}  // namespace oxplow::OXPLOW_ISA

#include "oxplow/kernels/simd/derived.h"
