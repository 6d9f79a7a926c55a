#pragma once

#include <vector>

#include "oxplow/kernels/tree/tree.h"

namespace oxplow {

// A forest made ready for the kernels of any tier. The vectors are what TreeArgs points to.
class PackedForest {
 public:
  // `forest` must be sound (Forest::verify).
  explicit PackedForest(const Forest& forest);

  TreeArgs args() const;
  // Whether some tree is sliced, so that blocks of rows pay.
  bool sliced() const { return sliced_trees_ > 0; }
  int64_t sliced_trees() const { return sliced_trees_; }
  bool f64() const { return f64_; }

 private:
  friend class ForestPacker;
  std::vector<TreeColumn> columns_;
  std::vector<float> cuts_;
  std::vector<int32_t> derived_;
  std::vector<TreeStep> steps_;
  std::vector<uint32_t> predicates_;
  std::vector<TreeNode> nodes_;
  std::vector<TreeTable> tables_;
  std::vector<float> values_;
  std::vector<uint8_t> value_bytes_;
  std::vector<TreeWalkNode> walk_nodes_;
  std::vector<double> boundaries_;
  std::vector<int32_t> leaves_;
  std::vector<TreeVote> votes_;
  int32_t predicate_count_ = 1;
  int32_t targets_ = 1;
  int32_t features_ = 0;
  int64_t sliced_trees_ = 0;
  TreeAggregate aggregate_ = TreeAggregate::sum;
  bool f64_ = false;
};

}  // namespace oxplow
