#include "oxplow/kernels/tree/forest.h"

#include <algorithm>
#include <map>
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
  enum : uint8_t { unseen, open, done };
  std::vector<uint8_t> state(branches.size(), unseen);
  std::vector<int32_t> path;  // and what waits beside it
  const auto reach = [&](int32_t node) -> Status {
    if (node < 0) {
      if (~node >= leaf_count())
        return unsound("a child is leaf " + std::to_string(~node) + " of " + std::to_string(leaf_count()));
      return {};
    }
    if (node >= static_cast<int32_t>(branches.size()))
      return unsound("a child is branch " + std::to_string(node) + " of " + std::to_string(branches.size()));
    if (state[static_cast<size_t>(node)] == open)
      return unsound("branch " + std::to_string(node) + " is its own ancestor: the nodes go round in a circle");
    if (state[static_cast<size_t>(node)] == unseen) path.push_back(node);
    return {};
  };
  for (int32_t root : roots) {
    OXPLOW_TRY(reach(root));
    while (!path.empty()) {
      const auto node = static_cast<size_t>(path.back());
      if (state[node] != unseen) {
        state[node] = done;
        path.pop_back();
        continue;
      }
      state[node] = open;
      OXPLOW_TRY(reach(branches[node].when_true));
      OXPLOW_TRY(reach(branches[node].when_false));
    }
  }
  const auto loose = std::find(state.begin(), state.end(), unseen);
  if (loose != state.end()) {
    return unsound("branch " + std::to_string(loose - state.begin()) +
                   " belongs to no tree: no root leads to it, or its nodes go round in a circle");
  }
  return {};
}

int Forest::depth(int32_t root) const {
  std::map<int32_t, int> depths;  // of branches whose children are known: ways may meet again
  const auto below = [&](int32_t node) { return node < 0 ? 0 : depths.at(node); };
  std::vector<int32_t> path;
  if (root >= 0) path.push_back(root);
  while (!path.empty()) {
    const int32_t node = path.back();
    const TreeBranch& b = branches[static_cast<size_t>(node)];
    const size_t length = path.size();
    for (int32_t child : {b.when_true, b.when_false}) {
      if (child >= 0 && !depths.contains(child)) path.push_back(child);
    }
    if (path.size() > length) continue;
    depths[node] = 1 + std::max(below(b.when_true), below(b.when_false));
    path.pop_back();
  }
  return below(root);
}

}  // namespace oxplow
