#include "oxplow/kernels/tree/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "oxplow/kernels/tree/decision.h"

namespace oxplow {
namespace {

constexpr int64_t kMostCuts = 65535;  // of a feature: bins have 16 bits

// What a feature is asked in sliced trees.
struct Questions {
  std::vector<float> cuts;      // of all boundaries, ascending
  int64_t missing_is_high = 0;  // decisions of one boundary that send NaN up, less those that send it down
  int32_t column = -1;
};

// Search trees of 4 and 8 levels stay in registers.
int32_t levels_for(size_t cuts) {
  int32_t levels = cuts <= 15 ? 4 : 8;
  while ((size_t{1} << levels) - 1 < cuts) ++levels;
  return levels;
}

}  // namespace

class ForestPacker {
 public:
  ForestPacker(const Forest& forest, PackedForest& packed) : forest_(forest), packed_(packed) {}

  void pack() {
    decisions_.reserve(forest_.branches.size());
    for (const TreeBranch& branch : forest_.branches) decisions_.push_back(decision_of(forest_, branch));
    packed_.leaves_ = forest_.leaves;
    packed_.votes_ = forest_.votes;
    packed_.targets_ = forest_.targets;
    packed_.features_ = static_cast<int32_t>(forest_.features());
    packed_.aggregate_ = forest_.aggregate;
    packed_.f64_ = forest_.f64;
    choose_sliced_trees();
    place_columns();
    for (size_t i = 0; i < forest_.roots.size(); ++i) place_tree(forest_.roots[i], depths_[i]);
    pack_values();
  }

 private:
  const TreeDecision& decision(int32_t node) const { return decisions_[static_cast<size_t>(node)]; }
  int32_t feature(int32_t node) const { return forest_.branches[static_cast<size_t>(node)].feature; }

  // Calls visit once with every branch below `root`.
  template <typename F>
  void each_branch(int32_t root, F visit) const {
    std::vector<int32_t> open{root};
    std::set<int32_t> seen;
    while (!open.empty()) {
      const int32_t node = open.back();
      open.pop_back();
      if (node < 0 || !seen.insert(node).second) continue;
      visit(node);
      open.push_back(decision(node).even);
      open.push_back(decision(node).odd);
    }
  }

  // A leaf that votes twice for one target would need two additions in one table.
  bool votes_once() const {
    for (int32_t leaf = 0; leaf < forest_.leaf_count(); ++leaf) {
      std::vector<int32_t> targets;
      for (int32_t v = forest_.leaves[static_cast<size_t>(leaf)]; v < forest_.leaves[static_cast<size_t>(leaf) + 1]; ++v)
        targets.push_back(forest_.votes[static_cast<size_t>(v)].target);
      std::sort(targets.begin(), targets.end());
      if (std::adjacent_find(targets.begin(), targets.end()) != targets.end()) return false;
    }
    return true;
  }

  // depths_: of each sliced tree, at least 1; 0 of one that is walked.
  void choose_sliced_trees() {
    const bool summed = forest_.aggregate == TreeAggregate::sum || forest_.aggregate == TreeAggregate::average;
    const bool sliceable = !forest_.f64 && summed && votes_once();
    for (int32_t root : forest_.roots) {
      const int depth = std::max(1, forest_.depth(root));
      depths_.push_back(sliceable && depth <= kMostSlicedDepth ? depth : 0);
      if (depths_.back() > 0) each_branch(root, [&](int32_t node) { gather(node); });
    }
    for (auto& [feature, questions] : questions_) {
      auto& cuts = questions.cuts;
      std::sort(cuts.begin(), cuts.end());
      cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
      if (cuts.size() <= kMostCuts) continue;
      std::fill(depths_.begin(), depths_.end(), 0);
      questions_.clear();
      return;
    }
  }

  void gather(int32_t node) {
    const TreeDecision& d = decision(node);
    Questions& questions = questions_[feature(node)];
    for (double cut : d.boundaries) questions.cuts.push_back(static_cast<float>(cut));
    if (d.boundaries.size() == 1) questions.missing_is_high += d.missing_is_odd() ? 1 : -1;
  }

  void place_columns() {
    for (auto& [feature, questions] : questions_) {
      questions.column = static_cast<int32_t>(packed_.columns_.size());
      TreeColumn& column = packed_.columns_.emplace_back();
      column.feature = feature;
      column.first = packed_.predicate_count_;
      column.count = static_cast<int32_t>(questions.cuts.size());
      column.levels = levels_for(questions.cuts.size());
      column.heap = static_cast<int64_t>(packed_.cuts_.size());
      column.missing_is_high = questions.missing_is_high > 0;
      packed_.predicate_count_ += column.count;
      place_cuts(questions.cuts, column.levels);
    }
  }

  // Sorted cuts as a search tree in breadth-first order.
  void place_cuts(const std::vector<float>& cuts, int levels) {
    for (int level = 0; level < levels; ++level) {
      const size_t apart = size_t{1} << (levels - level);
      for (size_t at = apart / 2 - 1; at < (size_t{1} << levels) - 1; at += apart)
        packed_.cuts_.push_back(at < cuts.size() ? cuts[at] : std::numeric_limits<float>::infinity());
    }
  }

  // The predicate that says whether the row goes to `odd`.
  int32_t predicate_of(int32_t node) {
    const TreeDecision& d = decision(node);
    Questions& questions = questions_.at(feature(node));
    TreeColumn& column = packed_.columns_[static_cast<size_t>(questions.column)];
    std::vector<int32_t> terms;
    for (double cut : d.boundaries) {
      const auto at = std::lower_bound(questions.cuts.begin(), questions.cuts.end(), static_cast<float>(cut));
      terms.push_back(column.first + static_cast<int32_t>(at - questions.cuts.begin()));
    }
    const bool odd_for_missing = column.missing_is_high && terms.size() % 2 != 0;
    if (odd_for_missing != d.missing_is_odd()) {
      if (column.missing < 0) column.missing = packed_.predicate_count_++;
      terms.push_back(column.missing);
    }
    if (terms.empty()) return 0;
    return terms.size() == 1 ? terms[0] : derived(terms);
  }

  int32_t derived(const std::vector<int32_t>& terms) {
    const auto [found, is_new] = derived_.try_emplace(terms, packed_.predicate_count_);
    if (is_new) {
      ++packed_.predicate_count_;
      packed_.derived_.push_back(found->second);
      packed_.derived_.push_back(static_cast<int32_t>(terms.size()));
      packed_.derived_.insert(packed_.derived_.end(), terms.begin(), terms.end());
    }
    return found->second;
  }

  // Minus infinity is the slots' own sign of a missing number.
  bool is_simple(int32_t root) const {
    bool simple = true;
    each_branch(root, [&](int32_t node) {
      const TreeDecision& d = decision(node);
      simple = simple && d.boundaries.size() == 1 && d.boundaries[0] > -std::numeric_limits<double>::infinity();
    });
    return simple;
  }

  void place_tree(int32_t root, int depth) {
    TreeStep step;
    step.depth = depth;
    step.simple = depth > 0 && is_simple(root);
    if (depth > 0) place_sliced(root, step);
    if (!step.simple) step.walk = place_walked(root);
    packed_.steps_.push_back(step);
    packed_.sliced_trees_ += depth > 0;
  }

  // Pads the tree: a node below a leaf asks anything, all leaves below it are that leaf.
  void place_sliced(int32_t root, TreeStep& step) {
    step.first = static_cast<int64_t>(packed_.predicates_.size());
    std::vector<int32_t> row{root};
    for (int level = 0; level < step.depth; ++level) {
      std::vector<int32_t> below;
      for (int32_t node : row) {
        packed_.predicates_.push_back(node < 0 ? 0 : 8 * static_cast<uint32_t>(predicate_of(node)));
        packed_.nodes_.push_back(step.simple && node >= 0 ? lock_step_node(node) : TreeNode{});
        below.push_back(node < 0 ? node : decision(node).even);
        below.push_back(node < 0 ? node : decision(node).odd);
      }
      row = std::move(below);
    }
    place_tables(row, step);
  }

  TreeNode lock_step_node(int32_t node) const {
    const TreeDecision& d = decision(node);
    return {static_cast<float>(d.boundaries[0]), 2 * feature(node) + d.missing_is_odd()};
  }

  void place_tables(const std::vector<int32_t>& leaves, TreeStep& step) {
    const size_t size = std::max<size_t>(64, leaves.size());
    std::map<int32_t, size_t> table_of;  // by target
    step.tables_begin = static_cast<int32_t>(packed_.tables_.size());
    for (size_t place = 0; place < leaves.size(); ++place) {
      const auto leaf = static_cast<size_t>(~leaves[place]);
      for (int32_t v = forest_.leaves[leaf]; v < forest_.leaves[leaf + 1]; ++v) {
        const TreeVote& vote = forest_.votes[static_cast<size_t>(v)];
        const auto [found, is_new] = table_of.try_emplace(vote.target, packed_.values_.size());
        if (is_new) {
          packed_.tables_.push_back({vote.target, static_cast<int64_t>(found->second)});
          packed_.values_.resize(packed_.values_.size() + size);
        }
        packed_.values_[found->second + place] = static_cast<float>(vote.weight);
      }
    }
    step.tables_end = static_cast<int32_t>(packed_.tables_.size());
  }

  // Nodes in preorder, so that a walk goes forward.
  int32_t place_walked(int32_t root) {
    if (root < 0) return root;
    std::map<int32_t, int32_t> place;
    each_branch(root, [&](int32_t node) {
      place[node] = static_cast<int32_t>(packed_.walk_nodes_.size());
      const TreeDecision& d = decision(node);
      TreeWalkNode& to = packed_.walk_nodes_.emplace_back();
      to.feature = feature(node);
      to.boundary = d.boundaries.empty() ? 0 : d.boundaries[0];
      to.boundaries_begin = static_cast<int32_t>(packed_.boundaries_.size());
      packed_.boundaries_.insert(packed_.boundaries_.end(), d.boundaries.begin(), d.boundaries.end());
      to.boundaries_end = static_cast<int32_t>(packed_.boundaries_.size());
    });
    for (const auto& [node, at] : place) {
      const TreeDecision& d = decision(node);
      const auto child = [&](int32_t c) { return c < 0 ? c : place.at(c); };
      TreeWalkNode& to = packed_.walk_nodes_[static_cast<size_t>(at)];
      to.even = child(d.even), to.odd = child(d.odd), to.missing = child(d.missing);
    }
    return place.at(root);
  }

  // Tables stand one behind the other, each of its own size: four planes take the bytes of its floats.
  void pack_values() {
    packed_.value_bytes_.resize(4 * packed_.values_.size());
    for (const TreeStep& step : packed_.steps_) {
      const size_t size = std::max<size_t>(64, size_t{1} << step.depth);
      for (int32_t t = step.tables_begin; t < step.tables_end; ++t) {
        const auto first = static_cast<size_t>(packed_.tables_[static_cast<size_t>(t)].first);
        for (size_t i = 0; i < 4 * size; ++i) {
          const auto* value = reinterpret_cast<const uint8_t*>(&packed_.values_[first + i % size]);
          packed_.value_bytes_[4 * first + i] = value[i / size];
        }
      }
    }
  }

  const Forest& forest_;
  PackedForest& packed_;
  std::vector<TreeDecision> decisions_;
  std::vector<int> depths_;
  std::map<int32_t, Questions> questions_;
  std::map<std::vector<int32_t>, int32_t> derived_;
};

PackedForest::PackedForest(const Forest& forest) { ForestPacker(forest, *this).pack(); }

TreeArgs PackedForest::args() const {
  TreeArgs args;
  args.columns = columns_.data();
  args.column_count = static_cast<int32_t>(columns_.size());
  args.cuts = cuts_.data();
  args.derived = derived_.data();
  args.derived_end = derived_.data() + derived_.size();
  args.predicate_count = predicate_count_;
  args.steps = steps_.data();
  args.step_count = static_cast<int32_t>(steps_.size());
  args.predicates = predicates_.data();
  args.nodes = nodes_.data();
  args.tables = tables_.data();
  args.values = values_.data();
  args.value_bytes = value_bytes_.data();
  args.walk_nodes = walk_nodes_.data();
  args.boundaries = boundaries_.data();
  args.leaves = leaves_.data();
  args.votes = votes_.data();
  args.targets = targets_;
  args.features = features_;
  args.aggregate = aggregate_;
  return args;
}

}  // namespace oxplow
