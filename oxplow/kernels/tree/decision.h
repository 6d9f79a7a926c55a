#pragma once

#include <vector>

#include "oxplow/kernels/tree/forest.h"

namespace oxplow {

// Any branch as: count the boundaries <= x, go to `odd` if their number is odd, else to `even`; NaN goes to `missing`. Each kind of test is
// a set of numbers, and a set is where it begins and ends: x <= t begins its false side at the number after t.
struct TreeDecision {
  std::vector<double> boundaries;  // ascending
  int32_t even = 0, odd = 0, missing = 0;

  bool missing_is_odd() const { return missing == odd; }
};

// `branch` of a sound forest.
TreeDecision decision_of(const Forest& forest, const TreeBranch& branch);

}  // namespace oxplow
