#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

// Scaled dot product attention, one pass over the keys with an online softmax. For batch b, head h, its key head g = h / (heads /
// kv_heads):
//   s[i][j] = scale * sum over d < head_dim of q[b][i][h][d] * k[b][j][g][d] + mask[b][h][i][j]     (-inf where causal hides j
//   from i) y[b][i][h][d] = sum over j of softmax(s[i])[j] * v[b][j][g][d],  d < value_dim
// A query that sees no key (every s is -inf) gives zeros; NaN in a query, or in a key or value it sees, gives NaN.
// Strides are in elements and free; head_dim and value_dim are contiguous. Sums are f32; where q, k and v are bf16, the softmax may
// be rounded to bf16 before it multiplies v. Results do not depend on how tasks are split.
struct AttentionArgs {
  int64_t batch = 0, queries = 0, keys = 0, heads = 0, kv_heads = 0, head_dim = 0, value_dim = 0;  // kv_heads divides heads
  const void* q = nullptr;  // [batch][queries][heads][head_dim]
  int64_t q_batch = 0, q_row = 0, q_head = 0;
  const void* k = nullptr;  // [batch][keys][kv_heads][head_dim]
  int64_t k_batch = 0, k_row = 0, k_head = 0;
  const void* v = nullptr;  // [batch][keys][kv_heads][value_dim]
  int64_t v_batch = 0, v_row = 0, v_head = 0;
  void* y = nullptr;  // [batch][queries][heads][value_dim]
  int64_t y_batch = 0, y_row = 0, y_head = 0;
  float scale = 1;
  // Optional, added to the scaled scores. A stride of 0 broadcasts. Fastest when mask_query is 0 (a mask of keys) or 1 (a
  // constant bias stored [..][keys][queries]); mask_key 1 is transposed in registers.
  const float* mask = nullptr;
  int64_t mask_batch = 0, mask_head = 0, mask_query = 0, mask_key = 0;
  // Query i sees key j only if j <= i + causal_offset (keys - queries when the queries are the last positions).
  bool causal = false;
  int64_t causal_offset = 0;
};

struct AttentionKernel {
  const char* name;  // attention_<q>_<isa>
  DType type;        // of q, k, v and y: f32 or bf16
  // Bytes of scratch that one worker needs, aligned to 64. Bounded: does not grow with the number of keys, except for the few
  // queries of decoding, 4 bytes a key and query. This and `tasks` look at extents and strides alone; all strides of no mask are 0.
  size_t (*scratch_bytes)(const AttentionArgs& args);
  // Number of tasks: batch x heads x blocks of queries (or batch x kv_heads when there are few queries). Neighbours share keys.
  int64_t (*tasks)(const AttentionArgs& args);
  void (*run)(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* scratch);
};

struct AttentionKernels {
  std::span<const AttentionKernel> kernels;
};

const AttentionKernels& attention_kernels(Isa isa);
// The kernel of `isa` for tensors of `type`, or null.
const AttentionKernel* find_attention(Isa isa, DType type);

}  // namespace oxplow
