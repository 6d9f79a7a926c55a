// Lets stretches of the graph pass the batch in slices, each slice through all ops of the stretch before the next one comes: so an op
// finds in the L2 caches what the op before it wrote, where a whole batch would go to L3 or memory and come back. Large images want
// small slices, large weights want large ones (a slice reads them anew); the stretches are those that move the fewest bytes over far.

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "oxplow/base/topology.h"
#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

// Bytes from far that a step in a slice costs at the least: waking the threads, ends of rows and panels.
constexpr double kStepBytes = 128 << 10;

// What L2 caches hold. Of two cores, however many there are: results must not depend on the number of threads, and the kernels
// chosen (Winograd or direct) depend on the slice.
double near_bytes() {
  static const double bytes = 2.0 * static_cast<double>(Topology::detect().l2_bytes());
  return bytes;
}

// The share of `bytes`, passed over again and again, that L2 cannot keep.
double far_share(double bytes) { return bytes <= near_bytes() ? 0 : 1 - near_bytes() / bytes; }

// A node as the choice of slices sees it.
struct Load {
  bool by_sample = false;
  bool moves = false;       // false: a view
  double sample_bytes = 0;  // read and written for each sample
  double weight_bytes = 0;  // read in each slice
};

class Slicer {
 public:
  explicit Slicer(Graph& graph) : graph_(graph) {
    for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) nodes_.push_back(it);
  }

  Result<bool> run() {
    batch_ = common_extent();
    if (batch_ < 2) return false;
    for (auto it : nodes_) loads_.push_back(load_of(*it));
    note_crossings();
    const std::vector<int64_t> slices = choose();
    bool changed = false;
    for (size_t first = 0; first < slices.size();) {
      size_t end = first;
      while (end < slices.size() && slices[end] == slices[first]) ++end;
      if (slices[first] < batch_) {
        OXPLOW_TRY(cut(first, end, slices[first]));
        changed = true;
      }
      first = end;
    }
    return changed;
  }

 private:
  // The extent of axis 0 of all inputs of the graph; 0 when they differ.
  int64_t common_extent() const {
    int64_t extent = 0;
    for (ValueId id : graph_.inputs) {
      const Shape& shape = graph_.shape(id);
      if (shape.empty() || (extent != 0 && shape[0] != extent)) return 0;
      extent = shape[0];
    }
    return extent;
  }

  bool has_batch(ValueId id) const { return !graph_.shape(id).empty() && graph_.shape(id)[0] == batch_; }
  bool varies(ValueId id) const { return id != kNoValue && graph_.constant(id) == nullptr; }

  Load load_of(const Node& node) const {
    Load load{.by_sample = node.op->by_sample != nullptr, .moves = node.op->view == nullptr};
    const auto add = [&](ValueId id) {
      load.by_sample = load.by_sample && has_batch(id);
      load.sample_bytes += static_cast<double>(graph_[id].type.bytes()) / static_cast<double>(batch_);
    };
    bool any = false;
    for (ValueId id : node.inputs) {
      if (varies(id)) add(id), any = true;
      if (id != kNoValue && !varies(id)) load.weight_bytes += static_cast<double>(graph_[id].type.bytes());
    }
    for (ValueId id : node.outputs) {
      if (id != kNoValue) add(id);
    }
    const auto operands = graph_.input_operands(node);
    load.by_sample =
        load.by_sample && any && node.op->by_sample({node.attributes, operands, static_cast<int>(node.outputs.size())});
    return load;
  }

  // crossing_[i]: bytes of the values that nodes before i make (or the graph takes) and nodes from i on read.
  void note_crossings() {
    crossing_.assign(nodes_.size() + 1, 0);
    std::map<ValueId, size_t> made, last_read;
    for (ValueId id : graph_.inputs) made[id] = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for (ValueId id : nodes_[i]->inputs) {
        if (varies(id)) last_read[id] = i;
      }
      for (ValueId id : nodes_[i]->outputs) made[id] = i + 1;
    }
    for (const auto& [id, last] : last_read) {
      for (size_t i = made[id]; i <= last; ++i) crossing_[i] += static_cast<double>(graph_[id].type.bytes());
    }
  }

  // What node i moves over far when it passes the batch `slice` samples at a time.
  double far_bytes(size_t i, int64_t slice) const {
    const Load& load = loads_[i];
    if (slice < batch_ && !load.by_sample) return std::numeric_limits<double>::infinity();
    if (!load.moves) return 0;
    const auto n = static_cast<double>(batch_), samples = static_cast<double>(slice);
    return load.sample_bytes * n * far_share(load.sample_bytes * samples) + n / samples * (load.weight_bytes + kStepBytes);
  }

  // The slice of each node, by dynamic programming over nodes and divisors of the batch: least bytes over far, between stretches too.
  std::vector<int64_t> choose() const {
    std::vector<int64_t> sizes;
    for (int64_t size = 1; size <= batch_ && sizes.size() < 64; ++size) {
      if (batch_ % size == 0) sizes.push_back(size);
    }
    if (sizes.back() != batch_) sizes.push_back(batch_);
    const size_t count = sizes.size();
    std::vector<std::vector<size_t>> from(nodes_.size(), std::vector<size_t>(count));
    std::vector<double> least(count, 0);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const auto best = static_cast<size_t>(std::min_element(least.begin(), least.end()) - least.begin());
      const double change = i == 0 ? 0 : 2 * crossing_[i] * far_share(crossing_[i]) + kStepBytes;
      std::vector<double> next(count);
      for (size_t s = 0; s < count; ++s) {
        const bool stay = least[s] <= least[best] + change;
        from[i][s] = stay ? s : best;
        next[s] = (stay ? least[s] : least[best] + change) + far_bytes(i, sizes[s]);
      }
      least = std::move(next);
    }
    std::vector<int64_t> result(nodes_.size());
    auto s = static_cast<size_t>(std::min_element(least.begin(), least.end()) - least.begin());
    for (size_t i = nodes_.size(); i-- > 0;) {
      result[i] = sizes[s];
      s = from[i][s];
    }
    return result;
  }

  // Makes nodes [first, end) a loop over slices of `slice` samples.
  Status cut(size_t first, size_t end, int64_t slice) {
    Attributes attributes;
    attributes.set("slices", batch_ / slice);
    std::set<ValueId> inside;
    std::map<ValueId, ValueId> sliced;
    for (size_t i = first; i < end; ++i) {
      for (ValueId& id : nodes_[i]->inputs) {
        if (!varies(id) || inside.contains(id)) continue;
        if (!sliced.contains(id)) {
          OXPLOW_ASSIGN(sliced[id], graph_.emit1(nodes_[first], "BatchSlice", graph_[id].name + " (slice)", {id}, attributes));
        }
        id = sliced[id];
      }
      for (ValueId id : nodes_[i]->outputs) {
        if (id == kNoValue) continue;
        inside.insert(id);
        graph_[id].type.shape[0] = slice;
      }
      if (nodes_[i]->is("Reshape")) set_target(*nodes_[i]);
    }
    return join(inside, end, attributes);
  }

  // A Reshape spells out the extents that its result has now.
  void set_target(Node& reshape) {
    const Shape& shape = graph_.shape(reshape.outputs[0]);
    const std::vector<int64_t> extents(shape.begin(), shape.end());
    reshape.inputs[1] = graph_.add_constant(Tensor::of<int64_t>(extents, Shape{shape.rank()}), reshape.name + " (slice)");
  }

  // Nodes from `end` on, and who takes the graph's outputs, read the whole of what the loop before made.
  Status join(const std::set<ValueId>& inside, size_t end, const Attributes& attributes) {
    std::map<ValueId, ValueId> whole;
    const auto at = end < nodes_.size() ? nodes_[end] : graph_.nodes.end();
    const auto read_whole = [&](ValueId& id) -> Status {
      if (id == kNoValue || !inside.contains(id)) return {};
      if (!whole.contains(id)) {
        OXPLOW_ASSIGN(whole[id], graph_.emit1(at, "BatchJoin", graph_[id].name, {id}, attributes));
      }
      id = whole[id];
      return {};
    };
    for (size_t i = end; i < nodes_.size(); ++i) {
      for (ValueId& id : nodes_[i]->inputs) OXPLOW_TRY(read_whole(id));
    }
    for (ValueId& id : graph_.outputs) OXPLOW_TRY(read_whole(id));
    return {};
  }

  Graph& graph_;
  std::vector<Graph::NodeIterator> nodes_;
  std::vector<Load> loads_;
  std::vector<double> crossing_;
  int64_t batch_ = 0;
};

}  // namespace

Result<bool> slice_batch(Graph& graph, const PassContext&) { return Slicer(graph).run(); }

}  // namespace oxplow::passes
