#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "oxplow/base/dtype.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

// What a reduction does; reduce_ops.inc has the formulas. l1 is the sum of absolute values, l2 the root of the sum of squares;
// log_sum_exp subtracts the maximum first, so it does not overflow.
enum class ReduceOp : uint8_t {
#define OXPLOW_REDUCE_OP(name, initial, map, combine, finish) name,
#include "oxplow/kernels/reduce/reduce_ops.inc"
#undef OXPLOW_REDUCE_OP
};

std::string_view name_of(ReduceOp op);
std::optional<ReduceOp> reduce_op_named(std::string_view name);

inline constexpr int kMaxReduceDims = 3;

// y[o][i] = reduction over r of x[o][r][i]. The outer and the reduced dimensions are up to three each, outermost first, with
// their own strides in elements (set unused ones to extent 1); i < inner is contiguous in x and y. Fast: inner == 1 with the last
// reduced stride 1 (rows), and inner > 1 (columns, e.g. NHWC global average pool: outer N, reduced H and W, inner C). All else is
// right and slow. f32 accumulation in blocks (a two-level sum: error grows as the root of the count, not as the count); each
// result is computed in one order, whatever the split into ranges. To use many threads on few long rows, reduce in two stages.
// Types of x: f32, bf16, f16; of y: the same three.
struct ReduceArgs {
  ReduceOp op = ReduceOp::sum;
  int64_t outer[kMaxReduceDims] = {1, 1, 1};
  int64_t reduced[kMaxReduceDims] = {1, 1, 1};
  int64_t inner = 1;
  const void* x = nullptr;
  DType x_type = DType::f32;
  int64_t x_outer[kMaxReduceDims] = {};
  int64_t x_reduced[kMaxReduceDims] = {};
  void* y = nullptr;
  DType y_type = DType::f32;
  int64_t y_outer[kMaxReduceDims] = {};

  int64_t results() const { return outer[0] * outer[1] * outer[2] * inner; }
};

// y[o][i] = the index r of the greatest (least) x[o * x_outer + r * x_axis + i], r < axis, i < inner; the first of equals, or the
// last. NaN counts as greatest and as least, as in numpy. y is dense [outer][inner].
struct ArgReduceArgs {
  bool least = false;  // arg_min
  bool last = false;   // of equal elements
  int64_t outer = 1, axis = 1, inner = 1;
  const void* x = nullptr;
  DType x_type = DType::f32;  // f32, bf16, f16
  int64_t x_outer = 0, x_axis = 1;
  int64_t* y = nullptr;
};

struct ReduceKernels {
  // Results [begin, end) of args.results(), counted in row-major order of [outer][inner]. With inner > 1, ranges that start at
  // multiples of 64 columns are fastest.
  void (*reduce)(const ReduceArgs& args, int64_t begin, int64_t end);
  // Results [begin, end) of outer * inner.
  void (*arg_reduce)(const ArgReduceArgs& args, int64_t begin, int64_t end);
};

const ReduceKernels& reduce_kernels(Isa isa);

}  // namespace oxplow
