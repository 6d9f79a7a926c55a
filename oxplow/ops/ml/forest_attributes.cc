#include "oxplow/ops/ml/forest_attributes.h"

#include <string>

namespace oxplow {
namespace {

// Lists of one element type that fill or are filled from tensors.
template <typename T>
void put(Attributes& attributes, std::string_view name, const std::vector<T>& values) {
  attributes.set(name, Tensor::of<T>(values, Shape{static_cast<int64_t>(values.size())}));
}
template <typename T, typename Item, typename F>
void put_each(Attributes& attributes, std::string_view name, const std::vector<Item>& items, F value_of) {
  std::vector<T> values;
  values.reserve(items.size());
  for (const Item& item : items) values.push_back(static_cast<T>(value_of(item)));
  put(attributes, name, values);
}

class ForestReader {
 public:
  explicit ForestReader(const Attributes& attributes) : attributes_(attributes) {}

  template <typename T>
  Status list(std::string_view name, std::vector<T>& to) const {
    const Tensor* tensor = attributes_.tensor(name);
    if (tensor == nullptr || tensor->dtype() != dtype_of<T>() || tensor->shape().rank() != 1)
      return Error{ErrorCode::invalid_model, "tree ensemble: its list " + std::string(name) + " is missing or of another type"};
    const auto values = tensor->values<T>();
    to.assign(values.begin(), values.end());
    return {};
  }

  // Sets a field of each item, of which there are as many as values.
  template <typename T, typename Item, typename F>
  Status each(std::string_view name, std::vector<Item>& items, F set) const {
    std::vector<T> values;
    OXPLOW_TRY(list(name, values));
    if (values.size() != items.size())
      return Error{ErrorCode::invalid_model, "tree ensemble: its list " + std::string(name) + " has " +
                                                 std::to_string(values.size()) + " elements, not " +
                                                 std::to_string(items.size())};
    for (size_t i = 0; i < items.size(); ++i) set(items[i], values[i]);
    return {};
  }

 private:
  const Attributes& attributes_;
};

}  // namespace

Attributes attributes_of(const Forest& forest) {
  Attributes a;
  using Branch = const TreeBranch&;
  put_each<int32_t>(a, "tests", forest.branches, [](Branch b) { return static_cast<int32_t>(b.test); });
  put_each<int32_t>(a, "missing_is_true", forest.branches, [](Branch b) { return b.missing_is_true; });
  put_each<int32_t>(a, "features", forest.branches, [](Branch b) { return b.feature; });
  put_each<double>(a, "thresholds", forest.branches, [](Branch b) { return b.threshold; });
  put_each<int32_t>(a, "members_begin", forest.branches, [](Branch b) { return b.members_begin; });
  put_each<int32_t>(a, "members_end", forest.branches, [](Branch b) { return b.members_end; });
  put_each<int32_t>(a, "when_true", forest.branches, [](Branch b) { return b.when_true; });
  put_each<int32_t>(a, "when_false", forest.branches, [](Branch b) { return b.when_false; });
  put_each<int32_t>(a, "vote_targets", forest.votes, [](const TreeVote& v) { return v.target; });
  put_each<double>(a, "vote_weights", forest.votes, [](const TreeVote& v) { return v.weight; });
  put(a, "leaves", forest.leaves);
  put(a, "roots", forest.roots);
  put(a, "members", forest.members);
  a.set("targets", int64_t{forest.targets});
  a.set("aggregate", static_cast<int64_t>(forest.aggregate));
  a.set("f64", int64_t{forest.f64});
  a.set("feature_count", forest.features());
  return a;
}

Result<Forest> forest_of(const Attributes& attributes) {
  Forest forest;
  const ForestReader reader(attributes);
  std::vector<int32_t> tests;
  OXPLOW_TRY(reader.list("tests", tests));
  forest.branches.resize(tests.size());
  using Branch = TreeBranch&;
  OXPLOW_TRY(reader.each<int32_t>("tests", forest.branches, [](Branch b, int32_t v) {
    b.test = static_cast<TreeTest>(v < 0 || v > 6 ? 255 : v);  // verify() refuses it
  }));
  OXPLOW_TRY(reader.each<int32_t>("missing_is_true", forest.branches, [](Branch b, int32_t v) { b.missing_is_true = v != 0; }));
  OXPLOW_TRY(reader.each<int32_t>("features", forest.branches, [](Branch b, int32_t v) { b.feature = v; }));
  OXPLOW_TRY(reader.each<double>("thresholds", forest.branches, [](Branch b, double v) { b.threshold = v; }));
  OXPLOW_TRY(reader.each<int32_t>("members_begin", forest.branches, [](Branch b, int32_t v) { b.members_begin = v; }));
  OXPLOW_TRY(reader.each<int32_t>("members_end", forest.branches, [](Branch b, int32_t v) { b.members_end = v; }));
  OXPLOW_TRY(reader.each<int32_t>("when_true", forest.branches, [](Branch b, int32_t v) { b.when_true = v; }));
  OXPLOW_TRY(reader.each<int32_t>("when_false", forest.branches, [](Branch b, int32_t v) { b.when_false = v; }));
  std::vector<int32_t> targets;
  OXPLOW_TRY(reader.list("vote_targets", targets));
  forest.votes.resize(targets.size());
  OXPLOW_TRY(reader.each<int32_t>("vote_targets", forest.votes, [](TreeVote& vote, int32_t v) { vote.target = v; }));
  OXPLOW_TRY(reader.each<double>("vote_weights", forest.votes, [](TreeVote& vote, double v) { vote.weight = v; }));
  OXPLOW_TRY(reader.list("leaves", forest.leaves));
  OXPLOW_TRY(reader.list("roots", forest.roots));
  OXPLOW_TRY(reader.list("members", forest.members));
  const int64_t aggregate = attributes.integer("aggregate", 1), count = attributes.integer("targets", 1);
  if (forest.leaves.empty() || forest.leaves[0] < 0 || aggregate < 0 || aggregate > 3 || count < 1 || count > INT32_MAX)
    return Error{ErrorCode::invalid_model, "tree ensemble: its leaves, targets or aggregate cannot be"};
  forest.targets = static_cast<int32_t>(count);
  forest.aggregate = static_cast<TreeAggregate>(aggregate);
  forest.f64 = attributes.integer("f64", 0) != 0;
  OXPLOW_TRY(forest.verify());
  return forest;
}

}  // namespace oxplow
