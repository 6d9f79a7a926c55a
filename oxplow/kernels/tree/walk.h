#pragma once
// Trees row by row: the general walk of any tree, and perfect trees of one depth in lock-step.

#include "oxplow/kernels/simd/simd.h"
#include "oxplow/kernels/tree/tree.h"

namespace oxplow::OXPLOW_ISA {

// The number of boundaries <= x, but the first, whose answer is known.
inline bool odd_boundaries(const TreeArgs& args, const TreeWalkNode& node, double x) {
  int32_t low = node.boundaries_begin, high = node.boundaries_end;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (args.boundaries[middle] <= x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return (low - node.boundaries_begin) % 2 != 0;
}

// The leaf that a row reaches from `node` on.
template <typename T>
OXPLOW_INLINE int32_t walk(const TreeArgs& args, int32_t node, const T* x) {
  while (node >= 0) {
    const TreeWalkNode& n = args.walk_nodes[node];
    const double v = static_cast<double>(x[n.feature]);
    if (v != v) {
      node = n.missing;
    } else {
      const bool odd = n.boundaries_end - n.boundaries_begin == 1 ? v >= n.boundary : odd_boundaries(args, n, v);
      node = odd ? n.odd : n.even;
    }
  }
  return ~node;
}

// Adds a walked tree's votes for a row; the sum of target t is sums[t * apart].
template <typename T>
OXPLOW_INLINE void add_walked(const TreeArgs& args, const TreeStep& step, const T* x, T* sums, int64_t apart) {
  const int32_t leaf = walk(args, step.walk, x);
  for (int32_t v = args.leaves[leaf]; v < args.leaves[leaf + 1]; ++v)
    sums[args.votes[v].target * apart] += static_cast<T>(args.votes[v].weight);
}

// The least or greatest vote of each target; NaN stands for none so far.
template <typename T>
inline void extreme_of_row(const TreeArgs& args, const T* x, T* scores) {
  const bool least = args.aggregate == TreeAggregate::min;
  for (int32_t t = 0; t < args.targets; ++t) scores[t] = static_cast<T>(__builtin_nanf(""));
  for (int32_t s = 0; s < args.step_count; ++s) {
    const int32_t leaf = walk(args, args.steps[s].walk, x);
    for (int32_t v = args.leaves[leaf]; v < args.leaves[leaf + 1]; ++v) {
      T& best = scores[args.votes[v].target];
      const T weight = static_cast<T>(args.votes[v].weight);
      if (best != best || (least ? weight < best : weight > best)) best = weight;
    }
  }
  for (int32_t t = 0; t < args.targets; ++t) scores[t] = scores[t] != scores[t] ? T{} : scores[t];
}

template <typename T>
void walk_rows(const TreeArgs& args, const T* x, int64_t ldx, int64_t rows, T* scores) {
  for (int64_t r = 0; r < rows; ++r, x += ldx, scores += args.targets) {
    if (args.aggregate == TreeAggregate::min || args.aggregate == TreeAggregate::max) {
      extreme_of_row(args, x, scores);
      continue;
    }
    for (int32_t t = 0; t < args.targets; ++t) scores[t] = 0;
    for (int32_t s = 0; s < args.step_count; ++s) add_walked(args, args.steps[s], x, scores, 1);
    if (args.aggregate == TreeAggregate::average) {
      for (int32_t t = 0; t < args.targets; ++t) scores[t] /= static_cast<T>(args.step_count);
    }
  }
}

// The leaves that a row, written out in slots, reaches in kTrees perfect trees of one depth that stand one behind the other. Steps of
// different trees do not wait for each other.
template <int kTrees>
OXPLOW_INLINE void walk_together(const TreeNode* nodes, int depth, const float* slots, uint32_t* leaves) {
  const int64_t apart = (int64_t{1} << depth) - 1;
  uint32_t k[kTrees] = {};
  for (int level = 0; level < depth; ++level) {
#pragma GCC unroll 16
    for (int t = 0; t < kTrees; ++t) {
      const TreeNode node = nodes[t * apart + k[t]];
      k[t] = 2 * k[t] + 1 + (slots[node.slot] >= node.cut);
      __asm__("" : "+r"(k[t]));  // sixteen loads are faster than a gather
    }
  }
  for (int t = 0; t < kTrees; ++t) leaves[t] = k[t] - static_cast<uint32_t>(apart);
}

inline constexpr int kTogether = 16;

// How many steps from s on are simple trees of one depth, at most kTogether.
inline int32_t alike(const TreeArgs& args, int32_t s) {
  int32_t end = s;
  while (end < args.step_count && end - s < kTogether && args.steps[end].simple && args.steps[end].depth == args.steps[s].depth)
    ++end;
  return end - s;
}

inline void add_together(const TreeArgs& args, int32_t s, int32_t count, const float* slots, float* sums) {
  const TreeNode* nodes = args.nodes + args.steps[s].first;
  const int depth = args.steps[s].depth;
  uint32_t leaves[kTogether];
  if (count == kTogether) {
    walk_together<kTogether>(nodes, depth, slots, leaves);
  } else {
    for (int32_t t = 0; t < count; ++t) walk_together<1>(nodes + t * ((int64_t{1} << depth) - 1), depth, slots, leaves + t);
  }
  for (int32_t t = 0; t < count; ++t) {
    const TreeStep& step = args.steps[s + t];
    for (int32_t v = step.tables_begin; v < step.tables_end; ++v)
      sums[args.tables[v].target] += args.values[args.tables[v].first + leaves[t]];
  }
}

}  // namespace oxplow::OXPLOW_ISA
