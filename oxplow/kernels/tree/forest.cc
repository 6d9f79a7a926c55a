#include "oxplow/kernels/tree/forest.h"

#include <algorithm>
#include <string>
#include <utility>

namespace oxplow {
namespace {

Error unsound(std::string what) { return {ErrorCode::invalid_model, "tree ensemble: " + std::move(what)}; }

Status verify_leaves(const Forest& forest) {
  if (forest.targets < 1) return unsound("it has " + std::to_string(forest.targets) + " targets");
  for (size_t i = 1; i < forest.leaves.size(); ++i) {
    if (forest.leaves[i] < forest.leaves[i - 1] || forest.leaves[i] > static_cast<int32_t>(forest.votes.size()))
      return unsound("the votes of leaf " + std::to_string(i - 1) + " are out of range");
  }
  for (const TreeVote& vote : forest.votes) {
    if (vote.target < 0 || vote.target >= forest.targets)
      return unsound("a leaf votes for target " + std::to_string(vote.target) + " of " + std::to_string(forest.targets));
  }
  return {};
}

Status verify_branch(const Forest& forest, size_t index) {
  const TreeBranch& b = forest.branches[index];
  const auto where = [&] { return "branch " + std::to_string(index); };
  if (b.feature < 0) return unsound(where() + " asks about feature " + std::to_string(b.feature));
  if (b.test > TreeTest::member) return unsound(where() + " has an unknown test");
  if (b.test == TreeTest::member &&
      (b.members_begin < 0 || b.members_begin > b.members_end || b.members_end > static_cast<int32_t>(forest.members.size())))
    return unsound(where() + " has its set out of range");
  return {};
}

}  // namespace

int64_t Forest::features() const {
  int64_t most = 0;
  for (const TreeBranch& b : branches) most = std::max<int64_t>(most, int64_t{b.feature} + 1);
  return most;
}

Status Forest::verify() const {
  OXPLOW_TRY(verify_leaves(*this));
  for (size_t i = 0; i < branches.size(); ++i) OXPLOW_TRY(verify_branch(*this, i));
  std::vector<bool> reached(branches.size());
  std::vector<int32_t> open;
  const auto reach = [&](int32_t node) -> Status {
    if (node < 0) {
      if (~node >= leaf_count())
        return unsound("a child is leaf " + std::to_string(~node) + " of " + std::to_string(leaf_count()));
      return {};
    }
    if (node >= static_cast<int32_t>(branches.size()))
      return unsound("a child is branch " + std::to_string(node) + " of " + std::to_string(branches.size()));
    if (reached[static_cast<size_t>(node)])
      return unsound("branch " + std::to_string(node) + " is reached by two ways, so the nodes are no tree");
    reached[static_cast<size_t>(node)] = true;
    open.push_back(node);
    return {};
  };
  for (int32_t root : roots) {
    OXPLOW_TRY(reach(root));
    while (!open.empty()) {
      const TreeBranch& b = branches[static_cast<size_t>(open.back())];
      open.pop_back();
      OXPLOW_TRY(reach(b.when_true));
      OXPLOW_TRY(reach(b.when_false));
    }
  }
  return {};
}

int Forest::depth(int32_t root) const {
  int most = 0;
  std::vector<std::pair<int32_t, int>> open{{root, 0}};
  while (!open.empty()) {
    const auto [node, depth] = open.back();
    open.pop_back();
    most = std::max(most, depth);
    if (node < 0) continue;
    open.emplace_back(branches[static_cast<size_t>(node)].when_true, depth + 1);
    open.emplace_back(branches[static_cast<size_t>(node)].when_false, depth + 1);
  }
  return most;
}

}  // namespace oxplow
