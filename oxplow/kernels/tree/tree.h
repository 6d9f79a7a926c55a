#pragma once

#include <cstddef>
#include <cstdint>

#include "oxplow/kernels/dispatch.h"
#include "oxplow/kernels/tree/forest.h"

namespace oxplow {

// Trees of up to this depth are bit-sliced, deeper ones walked.
inline constexpr int kMostSlicedDepth = 8;

// A feature's cuts c[1] < c[2] < ... < c[count]. The bin of x is the number of cuts <= x, so `x >= c[k]` is `bin >= k`: predicate
// word first + k - 1 of a block has one bit a row for it. NaN is in bin 0, or, if `missing_is_high`, above every cut.
struct TreeColumn {
  int32_t feature = 0;
  int32_t first = 0;  // predicate
  int32_t count = 0;
  int32_t levels = 0;  // of the search tree `cuts + heap`, 2^levels - 1 cuts in breadth-first order, padded with infinity
  int64_t heap = 0;
  int32_t missing = -1;  // predicate that says whether x is NaN, or -1
  bool missing_is_high = false;
};

// A tree as a step of the sum. Sliced: a perfect tree of `depth` in breadth-first order, which goes to child 2k + 1 + predicate; node
// k's predicate is predicates[first + k], and, if `simple`, nodes[first + k] asks the same of a row. A tree that is not simple can
// be walked from walk node `walk` on (~leaf if negative); one of depth 0 only so.
struct TreeStep {
  int32_t depth = 0;
  bool simple = false;
  int32_t walk = 0;
  int32_t tables_begin = 0, tables_end = 0;
  int64_t first = 0;
};

// x[slot / 2] >= cut, NaN being less than all in an even slot and more than all in an odd one.
struct TreeNode {
  float cut = 0;
  int32_t slot = 0;
};

// The values of a sliced tree's leaves for one target, at `values + first`.
struct TreeTable {
  int32_t target = 0;
  int64_t first = 0;
};

// Goes to `odd` if the number of boundaries <= x is odd, else to `even`; NaN goes to `missing`.
struct TreeWalkNode {
  double boundary = 0;  // the only one, or the first
  int32_t feature = 0;
  int32_t boundaries_begin = 0, boundaries_end = 0;
  int32_t even = 0, odd = 0, missing = 0;
};

// Pointers into a forest made ready (pack.h); what stands behind them outlives the call.
struct TreeArgs {
  const TreeColumn* columns = nullptr;
  int32_t column_count = 0;
  const float* cuts = nullptr;
  const int32_t* derived = nullptr;  // {predicate, n, n predicates}: the first is the exclusive or of the others
  const int32_t* derived_end = nullptr;
  int32_t predicate_count = 0;  // predicate 0 is false
  const TreeStep* steps = nullptr;
  int32_t step_count = 0;
  const uint32_t* predicates = nullptr;  // times 8: the bytes that so many predicates take for 64 rows
  const TreeNode* nodes = nullptr;
  const TreeTable* tables = nullptr;
  const float* values = nullptr;
  const uint8_t* value_bytes = nullptr;  // the same by byte: 4 planes of max(64, 2^depth) bytes where `values` has as many floats
  const TreeWalkNode* walk_nodes = nullptr;
  const double* boundaries = nullptr;
  const int32_t* leaves = nullptr;
  const TreeVote* votes = nullptr;
  int32_t targets = 1;
  int32_t features = 0;  // that branches ask about: 0 .. features - 1
  TreeAggregate aggregate = TreeAggregate::sum;
};

// scores[row * targets + t] of Forest, for rows of x that are ldx elements apart.
struct TreeKernels {
  int64_t block_rows;
  // Bytes that `block` needs, 64-byte aligned.
  size_t (*workspace_bytes)(const TreeArgs& args);
  // Up to block_rows rows at once, bit-sliced; sums only.
  void (*block)(const TreeArgs& args, const float* x, int64_t ldx, int64_t rows, float* scores, std::byte* workspace);
  // Any number of rows, one by one, sliced trees in lock-step; sums only. The workspace has 2 * features floats.
  void (*rows)(const TreeArgs& args, const float* x, int64_t ldx, int64_t rows, float* scores, float* workspace);
  // Any number of rows through forests whose steps are all walked.
  void (*walk_f32)(const TreeArgs& args, const float* x, int64_t ldx, int64_t rows, float* scores);
  void (*walk_f64)(const TreeArgs& args, const double* x, int64_t ldx, int64_t rows, double* scores);
};

const TreeKernels& tree_kernels(Isa isa);

}  // namespace oxplow
