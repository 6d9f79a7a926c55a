// Tree ensembles of ai.onnx.ml. The old ops (TreeEnsembleRegressor, TreeEnsembleClassifier) name nodes by tree and number and spread their
// tuples over a dozen lists; TreeEnsemble has indices. All become one Forest, which is checked here, once and without recursion.

#include <algorithm>
#include <map>
#include <utility>

#include "oxplow/graph/import/onnx_ml.h"
#include "oxplow/ops/ml/forest_attributes.h"

namespace oxplow {
namespace {

Error unsound(std::string what) { return {ErrorCode::invalid_model, std::move(what)}; }

Status same_length(std::string_view name, size_t length, std::string_view other, size_t wanted) {
  if (length == wanted) return {};
  return unsound(std::string(name) + " has " + std::to_string(length) + " elements, " + std::string(other) + " " +
                 std::to_string(wanted));
}

Status in_range(std::string_view what, int64_t value, int64_t end) {
  if (value >= 0 && value < end) return {};
  return unsound(std::string(what) + " " + std::to_string(value) + " is outside of 0 to " + std::to_string(end - 1));
}

std::string node_name(std::pair<int64_t, int64_t> key) {
  return "node " + std::to_string(key.second) + " of tree " + std::to_string(key.first);
}

std::optional<TreeTest> test_named(std::string_view mode) {
  constexpr std::string_view kModes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
  const auto* at = std::find(std::begin(kModes), std::end(kModes), mode);
  if (at == std::end(kModes)) return std::nullopt;
  return static_cast<TreeTest>(at - std::begin(kModes));
}

// The lists of the old ops; `kind` is "target" or "class".
class OldForest {
 public:
  OldForest(const Attributes& attributes, std::string kind) : a_(attributes), kind_(std::move(kind)) {}

  Result<Forest> read() {
    OXPLOW_TRY(read_nodes());
    OXPLOW_TRY(read_children());
    OXPLOW_TRY(find_roots());
    OXPLOW_TRY(read_votes());
    return std::move(forest_);
  }

 private:
  using Key = std::pair<int64_t, int64_t>;  // tree, node

  Result<std::vector<int64_t>> ids(const std::string& name, size_t wanted) const {
    auto list = a_.integers(name);
    OXPLOW_TRY(same_length(name, list.size(), "nodes_nodeids", wanted));
    return list;
  }

  Status read_nodes() {
    const auto numbers = a_.integers("nodes_nodeids");
    OXPLOW_ASSIGN(const auto trees, ids("nodes_treeids", numbers.size()));
    OXPLOW_ASSIGN(const auto features, ids("nodes_featureids", numbers.size()));
    OXPLOW_ASSIGN(const auto thresholds, real_list(a_, "nodes_values", forest_.f64));
    OXPLOW_TRY(same_length("nodes_values", thresholds.size(), "nodes_nodeids", numbers.size()));
    const auto modes = text_list(a_, "nodes_modes");
    OXPLOW_TRY(same_length("nodes_modes", modes.size(), "nodes_nodeids", numbers.size()));
    auto missing = a_.integers("nodes_missing_value_tracks_true");
    if (missing.empty()) missing.resize(numbers.size());
    OXPLOW_TRY(same_length("nodes_missing_value_tracks_true", missing.size(), "nodes_nodeids", numbers.size()));
    for (size_t i = 0; i < numbers.size(); ++i) {
      const Key key{trees[i], numbers[i]};
      keys_.push_back(key);
      const bool leaf = modes[i] == "LEAF";
      const auto place = static_cast<int32_t>(leaf ? ~leaf_count_++ : static_cast<int32_t>(forest_.branches.size()));
      if (!places_.emplace(key, place).second) return unsound(node_name(key) + " is there twice");
      if (leaf) continue;
      const auto test = test_named(modes[i]);
      if (!test) return unsound(node_name(key) + " has the unknown mode " + modes[i]);
      OXPLOW_TRY(in_range("the feature of " + node_name(key), features[i], INT32_MAX));
      forest_.branches.push_back({.test = *test,
                                  .missing_is_true = missing[i] != 0,
                                  .feature = static_cast<int32_t>(features[i]),
                                  .threshold = thresholds[i]});
    }
    return {};
  }

  Status read_children() {
    for (bool side : {true, false}) {
      OXPLOW_ASSIGN(const auto children, ids(side ? "nodes_truenodeids" : "nodes_falsenodeids", keys_.size()));
      for (size_t i = 0; i < keys_.size(); ++i) {
        const int32_t place = places_.at(keys_[i]);
        if (place < 0) continue;
        const Key key{keys_[i].first, children[i]};
        const auto child = places_.find(key);
        if (child == places_.end())
          return unsound(node_name(keys_[i]) + " has the child " + std::to_string(key.second) + ", which is not there");
        TreeBranch& branch = forest_.branches[static_cast<size_t>(place)];
        (side ? branch.when_true : branch.when_false) = child->second;
        is_child_[key] = true;
      }
    }
    return {};
  }

  // Of each tree, in the order of first appearance, the node that is nobody's child.
  Status find_roots() {
    std::map<int64_t, std::vector<Key>> roots;
    std::vector<int64_t> order;
    for (const Key& key : keys_) {
      auto [at, is_new] = roots.try_emplace(key.first);
      if (is_new) order.push_back(key.first);
      if (!is_child_.contains(key)) at->second.push_back(key);
    }
    for (int64_t tree : order) {
      const auto& of_tree = roots.at(tree);
      if (of_tree.empty()) return unsound("tree " + std::to_string(tree) + " has no root: its nodes go round in a circle");
      if (of_tree.size() > 1)
        return unsound("tree " + std::to_string(tree) + " has two roots, " + node_name(of_tree[0]) + " and " +
                       node_name(of_tree[1]));
      forest_.roots.push_back(places_.at(of_tree[0]));
    }
    return {};
  }

  Status read_votes() {
    const auto targets = a_.integers(kind_ + "_ids");
    const auto trees = a_.integers(kind_ + "_treeids"), nodes = a_.integers(kind_ + "_nodeids");
    OXPLOW_TRY(same_length(kind_ + "_treeids", trees.size(), kind_ + "_ids", targets.size()));
    OXPLOW_TRY(same_length(kind_ + "_nodeids", nodes.size(), kind_ + "_ids", targets.size()));
    OXPLOW_ASSIGN(const auto weights, real_list(a_, kind_ + "_weights", forest_.f64));
    OXPLOW_TRY(same_length(kind_ + "_weights", weights.size(), kind_ + "_ids", targets.size()));
    std::vector<std::vector<TreeVote>> by_leaf(static_cast<size_t>(leaf_count_));
    for (size_t i = 0; i < targets.size(); ++i) {
      const Key key{trees[i], nodes[i]};
      const auto place = places_.find(key);
      if (place == places_.end() || place->second >= 0)
        return unsound("a weight is given to " + node_name(key) + ", which is no leaf");
      OXPLOW_TRY(in_range("the " + kind_ + " of " + node_name(key), targets[i], INT32_MAX));
      by_leaf[static_cast<size_t>(~place->second)].push_back({static_cast<int32_t>(targets[i]), weights[i]});
    }
    for (const auto& votes : by_leaf) {
      forest_.votes.insert(forest_.votes.end(), votes.begin(), votes.end());
      forest_.leaves.push_back(static_cast<int32_t>(forest_.votes.size()));
    }
    return {};
  }

  const Attributes& a_;
  std::string kind_;
  Forest forest_;
  std::vector<Key> keys_;
  std::map<Key, int32_t> places_;  // of nodes in the forest
  std::map<Key, bool> is_child_;
  int32_t leaf_count_ = 0;
};

// A TreeEnsemble node over input 0, with base values if there are any.
Result<ValueId> place_forest(Builder& b, const Forest& forest, const std::vector<double>& base) {
  OXPLOW_TRY(forest.verify());
  if (b.node.input(0) == kNoValue) return missing("the input");
  std::vector<ValueId> inputs{b.node.input(0)};
  if (!base.empty()) {
    if (base.size() != static_cast<size_t>(forest.targets) && base.size() != 1)
      return unsound("there are " + std::to_string(base.size()) + " base values for " + std::to_string(forest.targets) +
                     " targets");
    std::vector<float> values(static_cast<size_t>(forest.targets), static_cast<float>(base[0]));
    if (base.size() > 1) std::transform(base.begin(), base.end(), values.begin(), [](double v) { return static_cast<float>(v); });
    inputs.push_back(b.graph.add_constant(Tensor::of<float>(values, Shape{forest.targets}), b.node.name + ":base_values"));
  }
  return b.add1("TreeEnsemble", std::move(inputs), attributes_of(forest));
}

Result<TreeAggregate> aggregate_named(const std::string& name) {
  constexpr std::string_view kNames[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  const auto* at = std::find(std::begin(kNames), std::end(kNames), name);
  if (at == std::end(kNames)) return unsound("the aggregate function is the unknown " + name);
  return static_cast<TreeAggregate>(at - std::begin(kNames));
}

Results regressor(Builder& b) {
  const Attributes& a = b.node.attributes;
  OXPLOW_ASSIGN(Forest forest, OldForest(a, "target").read());
  OXPLOW_TRY(in_range("n_targets", a.integer("n_targets", 1), INT32_MAX));
  forest.targets = static_cast<int32_t>(a.integer("n_targets", 1));
  OXPLOW_ASSIGN(forest.aggregate, aggregate_named(a.text("aggregate_function", "SUM")));
  bool f64 = false;
  OXPLOW_ASSIGN(const auto base, real_list(a, "base_values", f64));
  OXPLOW_ASSIGN(const ValueId scores, place_forest(b, forest, base));
  OXPLOW_ASSIGN(const ValueId y, transformed(b, scores, a.text("post_transform", "NONE")));
  return std::vector<ValueId>{y};
}

// Trees that all vote for one class of two tell the second one's score.
bool is_binary(const Forest& forest, size_t labels) {
  const auto other = [&](const TreeVote& vote) { return vote.target != forest.votes[0].target; };
  return labels == 2 && !forest.votes.empty() && std::none_of(forest.votes.begin(), forest.votes.end(), other);
}

Results classifier(Builder& b) {
  const Attributes& a = b.node.attributes;
  OXPLOW_ASSIGN(const ClassLabels labels, class_labels(b, "classlabels_int64s", "classlabels_strings"));
  OXPLOW_ASSIGN(Forest forest, OldForest(a, "class").read());
  forest.targets = static_cast<int32_t>(std::min<size_t>(labels.count, INT32_MAX));
  bool f64 = false;
  OXPLOW_ASSIGN(auto base, real_list(a, "base_values", f64));
  const std::string transform = a.text("post_transform", "NONE");
  std::string binary;
  if (is_binary(forest, labels.count)) {
    const auto negative = [](const TreeVote& vote) { return vote.weight < 0; };
    const bool share = transform != "LOGISTIC" && std::none_of(forest.votes.begin(), forest.votes.end(), negative);
    binary = share ? "share" : "signed";
    for (TreeVote& vote : forest.votes) vote.target = 0;
    forest.targets = 1;
    if (base.size() == 2) base.erase(base.begin());
  }
  OXPLOW_ASSIGN(const ValueId scores, place_forest(b, forest, base));
  return classified(b, scores, labels, binary, transform);
}

// TreeEnsemble of opset 5.
class IndexedForest {
 public:
  explicit IndexedForest(const Attributes& attributes) : a_(attributes) {}

  Result<Forest> read() {
    OXPLOW_TRY(read_leaves());
    OXPLOW_TRY(read_branches());
    for (int64_t root : a_.integers("tree_roots")) {
      OXPLOW_TRY(in_range("tree root", root, static_cast<int64_t>(forest_.branches.size())));
      forest_.roots.push_back(static_cast<int32_t>(root));
    }
    const int64_t targets = a_.integer("n_targets", 1), aggregate = a_.integer("aggregate_function", 1);
    OXPLOW_TRY(in_range("n_targets", targets, INT32_MAX));
    OXPLOW_TRY(in_range("aggregate_function", aggregate, 4));
    forest_.targets = static_cast<int32_t>(targets);
    forest_.aggregate = static_cast<TreeAggregate>(aggregate);
    return std::move(forest_);
  }

 private:
  Status read_leaves() {
    const auto targets = a_.integers("leaf_targetids");
    OXPLOW_ASSIGN(const auto weights, real_tensor(a_, "leaf_weights", forest_.f64));
    OXPLOW_TRY(same_length("leaf_weights", weights.size(), "leaf_targetids", targets.size()));
    for (size_t i = 0; i < targets.size(); ++i) {
      OXPLOW_TRY(in_range("the target of leaf " + std::to_string(i), targets[i], INT32_MAX));
      forest_.votes.push_back({static_cast<int32_t>(targets[i]), weights[i]});
      forest_.leaves.push_back(static_cast<int32_t>(i + 1));
    }
    return {};
  }

  Status read_branches() {
    const auto features = a_.integers("nodes_featureids");
    const size_t n = features.size();
    const auto list = [&](const char* name) -> Result<std::vector<int64_t>> {
      auto values = a_.integers(name);
      OXPLOW_TRY(same_length(name, values.size(), "nodes_featureids", n));
      return values;
    };
    OXPLOW_ASSIGN(const auto splits, real_tensor(a_, "nodes_splits", forest_.f64));
    OXPLOW_TRY(same_length("nodes_splits", splits.size(), "nodes_featureids", n));
    const Tensor* modes = a_.tensor("nodes_modes");
    if (modes == nullptr || modes->dtype() != DType::u8) return unsound("nodes_modes must be a tensor of u8");
    OXPLOW_TRY(same_length("nodes_modes", modes->values<uint8_t>().size(), "nodes_featureids", n));
    OXPLOW_ASSIGN(const auto when_true, list("nodes_truenodeids"));
    OXPLOW_ASSIGN(const auto when_false, list("nodes_falsenodeids"));
    OXPLOW_ASSIGN(const auto true_leafs, list("nodes_trueleafs"));
    OXPLOW_ASSIGN(const auto false_leafs, list("nodes_falseleafs"));
    auto missing_values = a_.integers("nodes_missing_value_tracks_true");
    if (missing_values.empty()) missing_values.resize(n);
    OXPLOW_TRY(same_length("nodes_missing_value_tracks_true", missing_values.size(), "nodes_featureids", n));
    for (size_t i = 0; i < n; ++i) {
      const std::string where = " of node " + std::to_string(i);
      OXPLOW_TRY(in_range("the feature" + where, features[i], INT32_MAX));
      OXPLOW_TRY(in_range("the mode" + where, modes->values<uint8_t>()[i], 7));
      OXPLOW_ASSIGN(const int32_t yes, child("the true child" + where, when_true[i], true_leafs[i] != 0, n));
      OXPLOW_ASSIGN(const int32_t no, child("the false child" + where, when_false[i], false_leafs[i] != 0, n));
      forest_.branches.push_back({.test = static_cast<TreeTest>(modes->values<uint8_t>()[i]),
                                  .missing_is_true = missing_values[i] != 0,
                                  .feature = static_cast<int32_t>(features[i]),
                                  .threshold = splits[i],
                                  .when_true = yes,
                                  .when_false = no});
    }
    return read_members();
  }

  Result<int32_t> child(const std::string& what, int64_t index, bool leaf, size_t branches) const {
    OXPLOW_TRY(in_range(what, index, leaf ? forest_.leaf_count() : static_cast<int64_t>(branches)));
    return static_cast<int32_t>(leaf ? ~index : index);
  }

  // Sets stand in the order of the nodes that test membership, each ended by NaN.
  Status read_members() {
    if (a_.has("membership_values")) {
      OXPLOW_ASSIGN(forest_.members, real_tensor(a_, "membership_values", forest_.f64));
    }
    size_t at = 0;
    for (TreeBranch& branch : forest_.branches) {
      if (branch.test != TreeTest::member) continue;
      branch.members_begin = static_cast<int32_t>(at);
      while (at < forest_.members.size() && forest_.members[at] == forest_.members[at]) ++at;
      if (at == forest_.members.size()) return unsound("membership_values has fewer sets than there are nodes of BRANCH_MEMBER");
      branch.members_end = static_cast<int32_t>(at++);
    }
    if (at != forest_.members.size()) return unsound("membership_values has more sets than there are nodes of BRANCH_MEMBER");
    return {};
  }

  const Attributes& a_;
  Forest forest_;
};

Results ensemble(Builder& b) {
  OXPLOW_ASSIGN(const Forest forest, IndexedForest(b.node.attributes).read());
  OXPLOW_TRY(forest.verify());
  Attributes attributes = attributes_of(forest);
  attributes.set("as_input", int64_t{1});
  constexpr const char* kTransforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  const int64_t transform = b.node.attributes.integer("post_transform", 0);
  OXPLOW_TRY(in_range("post_transform", transform, 5));
  const ValueId scores = b.add1("TreeEnsemble", {b.node.input(0)}, std::move(attributes));
  OXPLOW_ASSIGN(const ValueId y, transformed(b, scores, kTransforms[transform]));
  return std::vector<ValueId>{y};
}

}  // namespace

std::span<const NamedRule> tree_rules() {
  static constexpr NamedRule kRules[] = {{"ai.onnx.ml.TreeEnsemble", ensemble},
                                         {"ai.onnx.ml.TreeEnsembleClassifier", classifier},
                                         {"ai.onnx.ml.TreeEnsembleRegressor", regressor}};
  return kRules;
}

}  // namespace oxplow
