#pragma once
// Attention of bf16 with both products by AMX: attention.h's functions where mask_key is 0 or 1.

#include "oxplow/kernels/attention/attention.h"

namespace oxplow::OXPLOW_ISA {

#if defined(__AMX_BF16__)

size_t amx_attention_scratch_bytes(const AttentionArgs& args);
int64_t amx_attention_tasks(const AttentionArgs& args);
void amx_attention_run(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* scratch);

#endif

}  // namespace oxplow::OXPLOW_ISA
