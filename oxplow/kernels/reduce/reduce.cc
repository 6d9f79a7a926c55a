#include "oxplow/kernels/reduce/reduce.h"

#include <iterator>

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const ReduceKernels reduce_kernels; })
#include "oxplow/kernels/reduce/kernels.inc"
#undef OXPLOW_KERNEL

namespace {

constexpr Tiered<ReduceKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::reduce_kernels}, )
#include "oxplow/kernels/reduce/kernels.inc"
#undef OXPLOW_KERNEL
};

constexpr std::string_view kNames[] = {
#define OXPLOW_REDUCE_OP(name, initial, map, combine, finish) #name,
#include "oxplow/kernels/reduce/reduce_ops.inc"
#undef OXPLOW_REDUCE_OP
};

}  // namespace

const ReduceKernels& reduce_kernels(Isa isa) { return best_of<ReduceKernels>(kTiers, isa); }

std::string_view name_of(ReduceOp op) { return kNames[static_cast<int>(op)]; }

std::optional<ReduceOp> reduce_op_named(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<ReduceOp>(i);
  }
  return std::nullopt;
}

}  // namespace oxplow
