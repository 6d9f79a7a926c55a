#pragma once

#include "oxplow/ops/op.h"

namespace oxplow {

// Products of m x k by k x n matrices of any type: y[i] = a[i] b[i], i over a batch. Integers wrap; floats add up in double, in the order of k.
struct WideMatMul {
  Shape batch;
  int64_t m = 0, n = 0, k = 0;
  // In elements of inputs 0 and 1: the batch's axes, then rows and columns of the matrix.
  Dims a_strides = {}, b_strides = {};
  int64_t y_row = 0;  // from a row of the result to the next, its elements being contiguous
};

// An error when the matrices are too large to be held in wide numbers.
Result<std::unique_ptr<Step>> wide_matmul(const PrepareContext& context, const WideMatMul& matmul);

}  // namespace oxplow
