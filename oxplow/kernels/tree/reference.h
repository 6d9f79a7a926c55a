#pragma once
// The oracle of forest.h: each test as it is written, each tree from its root, sums in the order of the trees.

#include <cmath>
#include <vector>

#include "oxplow/kernels/tree/forest.h"

namespace oxplow {

inline bool passes(const Forest& forest, const TreeBranch& branch, double x) {
  if (std::isnan(x) && branch.missing_is_true) return true;
  switch (branch.test) {
    case TreeTest::leq: return x <= branch.threshold;
    case TreeTest::lt: return x < branch.threshold;
    case TreeTest::gte: return x >= branch.threshold;
    case TreeTest::gt: return x > branch.threshold;
    case TreeTest::eq: return x == branch.threshold;
    case TreeTest::neq: return x != branch.threshold;
    case TreeTest::member: break;
  }
  for (int32_t m = branch.members_begin; m < branch.members_end; ++m) {
    if (x == forest.members[static_cast<size_t>(m)]) return true;
  }
  return false;
}

// The scores of one row of T, float or double as the forest says.
template <typename T>
std::vector<T> forest_reference(const Forest& forest, const T* x) {
  std::vector<T> scores(static_cast<size_t>(forest.targets));
  std::vector<bool> voted(scores.size());
  for (int32_t node : forest.roots) {
    while (node >= 0) {
      const TreeBranch& b = forest.branches[static_cast<size_t>(node)];
      node = passes(forest, b, static_cast<double>(x[b.feature])) ? b.when_true : b.when_false;
    }
    const auto leaf = static_cast<size_t>(~node);
    for (int32_t v = forest.leaves[leaf]; v < forest.leaves[leaf + 1]; ++v) {
      const TreeVote& vote = forest.votes[static_cast<size_t>(v)];
      const auto target = static_cast<size_t>(vote.target);
      const T weight = static_cast<T>(vote.weight);
      T& score = scores[target];
      if (forest.aggregate == TreeAggregate::min) {
        score = voted[target] ? std::fmin(score, weight) : weight;
      } else if (forest.aggregate == TreeAggregate::max) {
        score = voted[target] ? std::fmax(score, weight) : weight;
      } else {
        score += weight;
      }
      voted[target] = true;
    }
  }
  if (forest.aggregate == TreeAggregate::average) {
    for (T& score : scores) score /= static_cast<T>(forest.roots.size());
  }
  return scores;
}

}  // namespace oxplow
