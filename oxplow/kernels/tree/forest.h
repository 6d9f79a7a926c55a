#pragma once
// An ensemble of decision trees as a model says it, and the check that it is one.

#include <cstdint>
#include <vector>

#include "oxplow/base/result.h"

namespace oxplow {

// What a branch asks of a feature x, in the order of ONNX's TreeEnsemble: x <= t, x < t, x >= t, x > t, x == t, x != t, x in a set.
enum class TreeTest : uint8_t { leq, lt, gte, gt, eq, neq, member };

enum class TreeAggregate : uint8_t { average, sum, min, max };

// Children and roots name a branch by its index, or leaf i as ~i.
struct TreeBranch {
  TreeTest test = TreeTest::leq;
  bool missing_is_true = false;  // NaN passes the test
  int32_t feature = 0;
  double threshold = 0;
  int32_t members_begin = 0, members_end = 0;  // of `member`: its set in Forest::members
  int32_t when_true = 0, when_false = 0;
};

struct TreeVote {
  int32_t target = 0;
  double weight = 0;
};

// For each target: the aggregate, over the trees in order, of the votes of the leaf that the row reaches. Sums and comparisons are
// done in f32 (in f64 if `f64`), starting from zero. min and max of no vote at all are zero.
struct Forest {
  std::vector<TreeBranch> branches;
  std::vector<int32_t> leaves{0};  // leaf i has votes[leaves[i] .. leaves[i + 1])
  std::vector<TreeVote> votes;
  std::vector<int32_t> roots;
  std::vector<double> members;
  int32_t targets = 1;
  TreeAggregate aggregate = TreeAggregate::sum;
  bool f64 = false;

  int32_t leaf_count() const { return static_cast<int32_t>(leaves.size()) - 1; }
  // One more than the greatest feature that a branch asks about.
  int64_t features() const;
  // That all indices are inside of their lists, that a root leads to each branch, that none is its own ancestor, that targets are in range. Ways from a
  // root may meet again.
  Status verify() const;
  // The most branches from the root to a leaf. The forest must be sound.
  int depth(int32_t root) const;
};

}  // namespace oxplow
