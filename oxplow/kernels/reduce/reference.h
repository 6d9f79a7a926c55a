#pragma once
// The formulas of reduce_ops.inc, in double: the tests' oracle.

#include <cmath>
#include <span>

#include "oxplow/kernels/reduce/reduce.h"

namespace oxplow::reduce_reference {

inline double evaluate(ReduceOp op, std::span<const double> values) {
  [[maybe_unused]] const double count = static_cast<double>(values.size());
  switch (op) {
#define OXPLOW_REDUCE_OP(name, initial, map, combine, finish) \
  case ReduceOp::name: {                                      \
    double r = initial;                                       \
    for (const double x : values) {                           \
      const double v = map;                                   \
      r = combine;                                            \
    }                                                         \
    return finish;                                            \
  }
#include "oxplow/kernels/reduce/reduce_ops.inc"
#undef OXPLOW_REDUCE_OP
  }
  return NAN;
}

}  // namespace oxplow::reduce_reference
