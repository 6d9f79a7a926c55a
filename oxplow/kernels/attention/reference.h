#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "oxplow/kernels/attention/attention.h"

namespace oxplow {

// For tests: one output row of attention in double, and how far a kernel in f32 may be from it.
struct ReferenceAttention {
  std::vector<double> value, tolerance;
};

// `T` is the type in memory, `unit` its relative rounding.
template <typename T>
ReferenceAttention reference_attention(const AttentionArgs& args, int64_t b, int64_t h, int64_t i, double unit) {
  const int64_t g = h / (args.heads / args.kv_heads);
  const T* q = static_cast<const T*>(args.q) + b * args.q_batch + i * args.q_row + h * args.q_head;
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> score(static_cast<size_t>(args.keys), -infinity);
  double greatest = -infinity;
  double slack = 0;  // of a score: absolute, so relative for its weight
  for (int64_t j = 0; j < args.keys; ++j) {
    if (args.causal && j > i + args.causal_offset) continue;
    const T* k = static_cast<const T*>(args.k) + b * args.k_batch + j * args.k_row + g * args.k_head;
    double sum = 0, size = 0;
    for (int64_t d = 0; d < args.head_dim; ++d) {
      const double product = args.scale * static_cast<double>(static_cast<float>(q[d])) * static_cast<float>(k[d]);
      sum += product;
      size += std::abs(product);
    }
    if (args.mask != nullptr) {
      const double m = args.mask[b * args.mask_batch + h * args.mask_head + i * args.mask_query + j * args.mask_key];
      sum += m;
      if (std::isfinite(m)) size += std::abs(m);
    }
    score[j] = sum;
    if (!(sum <= greatest)) greatest = sum;
    // Twice: the x86-64 baseline rounds the product as well as the sum.
    slack = std::fmax(slack, 2 * static_cast<double>(args.head_dim + 6) * 0x1p-24 * size);
  }
  ReferenceAttention r{std::vector<double>(static_cast<size_t>(args.value_dim)),
                       std::vector<double>(static_cast<size_t>(args.value_dim))};
  if (greatest == -infinity) return r;
  double total = 0;
  std::vector<double> size(static_cast<size_t>(args.value_dim));
  for (int64_t j = 0; j < args.keys; ++j) {
    if (score[j] == -infinity) continue;
    const double weight = std::exp(score[j] - greatest);
    total += weight;
    const T* v = static_cast<const T*>(args.v) + b * args.v_batch + j * args.v_row + g * args.v_head;
    for (int64_t d = 0; d < args.value_dim; ++d) {
      r.value[d] += weight * static_cast<float>(v[d]);
      size[d] += std::abs(weight * static_cast<float>(v[d]));
    }
  }
  for (int64_t d = 0; d < args.value_dim; ++d) {
    r.value[d] /= total;
    // Where q, k and v are bf16, the weights may be rounded to it as well, and be as exact as that asks for.
    const double weight_unit = sizeof(T) == 2 ? 0x1p-8 : 0;
    const double relative = weight_unit + 4 * slack + (2 * static_cast<double>(args.keys) + 20) * 0x1p-24;
    r.tolerance[d] = size[d] / total * relative + std::abs(r.value[d]) * unit + 1e-37;
  }
  return r;
}

}  // namespace oxplow
