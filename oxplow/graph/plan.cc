#include "oxplow/graph/plan.h"

#include <algorithm>
#include <map>

#include "oxplow/graph/memory_plan.h"
#include "oxplow/ops/copy.h"

namespace oxplow {
namespace {

// Memory that values share: a part of the arena, or an input, output or constant of the graph.
struct Storage {
  Location::Where where = Location::Where::arena;
  int index = 0;      // of the graph input, graph output or constant value
  size_t bytes = 0;   // arena only
  size_t origin = 0;  // bytes from the start to the storage's element (0, ..., 0): behind the border
  std::string bordered_layout = {};
};

// How one value lies: a window into a storage.
struct Placement {
  int storage = -1;
  int64_t offset = 0;  // elements, from the storage's origin
  TensorType type;
  Dims strides;
  Border border;
  int64_t advance = 0;  // elements further in each turn of a loop
};

// What a turn of a loop of `slices` turns sees of what lies as `whole` says.
Placement slice_of(const Placement& whole, int64_t slices) {
  Placement slice = whole;
  slice.type.shape[0] /= slices;
  slice.advance = whole.strides[0] * slice.type.shape[0];
  return slice;
}

// What will become a step: a node, or (node null) a copy that the planner adds.
struct Item {
  const Node* node = nullptr;
  std::string name;
  std::vector<Placement> inputs;  // storage -1: absent
  std::vector<Placement> outputs;
  std::vector<const Tensor*> constants;  // beside inputs
};

Border joined(const Border& a, const Border& b) {
  return {std::max(a.top, b.top), std::max(a.left, b.left), std::max(a.bottom, b.bottom), std::max(a.right, b.right)};
}

Operand operand_of(const Placement& placement, const Tensor* constant = nullptr) {
  return {.type = placement.type,
          .strides = placement.strides,
          .border = placement.border,
          .constant = constant,
          .present = placement.storage >= 0};
}

class Planner {
 public:
  Planner(const Graph& graph, const Machine& machine)
      : graph_(graph), machine_(machine), placements_(graph.values.size()), readers_(graph.values.size()) {}

  Result<Plan> plan() {
    note_readers();
    place_givens();
    for (const Node& node : graph_.nodes) {
      if (node.is("BatchSlice")) {
        enter_loop(node);
      } else if (node.is("BatchJoin")) {
        leave_loop(node);
      } else if (node.op->view) {
        place_view(node);
      } else {
        place_node(node);
      }
    }
    copy_to_outputs();
    return finish();
  }

 private:
  // Somebody who reads a value, or (slices > 1) a slice of it.
  struct Reader {
    const Node* node;
    int input;
    int64_t slices = 1;
  };

  static int64_t slices_of(const Node& bound) { return bound.attributes.integer("slices", 1); }

  // Readers of slices count as readers of the whole that the slices are parts of, in the memory of the whole.
  void note_readers() {
    for (const Node& node : graph_.nodes) {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] != kNoValue) readers_[static_cast<size_t>(node.inputs[i])].push_back({&node, static_cast<int>(i)});
      }
      if (node.is("BatchJoin")) joins_[node.inputs[0]] = &node;
    }
    for (auto& [slice, join] : joins_) move_readers(slice, join->outputs[0], slices_of(*join));
    for (const Node& node : graph_.nodes) {
      if (node.is("BatchSlice")) move_readers(node.outputs[0], node.inputs[0], slices_of(node));
    }
    is_output_.assign(graph_.values.size(), false);
    for (ValueId id : graph_.outputs) is_output_[static_cast<size_t>(id)] = true;
  }

  void move_readers(ValueId slice, ValueId whole, int64_t slices) {
    std::vector<Reader>& to = readers_[static_cast<size_t>(whole)];
    for (Reader reader : readers_[static_cast<size_t>(slice)]) {
      reader.slices = slices;
      to.push_back(reader);
    }
    std::erase_if(to, [](const Reader& reader) { return reader.node->is("BatchSlice") || reader.node->is("BatchJoin"); });
  }

  void place_givens() {
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      place(graph_.inputs[i], add_storage(Location::Where::input, static_cast<int>(i)));
    }
    for (size_t id = 0; id < graph_.values.size(); ++id) {
      if (graph_.values[id].constant)
        place(static_cast<ValueId>(id), add_storage(Location::Where::constant, static_cast<int>(id)));
    }
  }

  int add_storage(Location::Where where, int index) {
    storages_.push_back({.where = where, .index = index});
    return static_cast<int>(storages_.size()) - 1;
  }

  Placement dense(const TensorType& type, int storage) { return {storage, 0, type, dense_strides(type.shape), {}}; }
  void place(ValueId id, int storage) { placements_[static_cast<size_t>(id)] = dense(graph_[id].type, storage); }
  Placement& placement(ValueId id) { return placements_[static_cast<size_t>(id)]; }

  Placement dense_temporary(const TensorType& type) {
    const int storage = add_storage(Location::Where::arena, 0);
    storages_.back().bytes = type.bytes();
    return dense(type, storage);
  }

  // An NHWC tensor in the arena with zeros around it and `pixel` elements from pixel to pixel.
  Placement image_temporary(const TensorType& type, const Border& border, int64_t pixel) {
    const int64_t n = type.shape[0], h = type.shape[1], w = type.shape[2];
    const int64_t row = (w + border.left + border.right) * pixel;
    const int64_t image = (h + border.top + border.bottom) * row;
    const int storage = add_storage(Location::Where::arena, 0);
    Storage& s = storages_.back();
    s.bytes = bytes_of(type.dtype, static_cast<size_t>(n * image));
    s.origin = bytes_of(type.dtype, static_cast<size_t>(border.top * row + border.left * pixel));
    Placement result{storage, 0, type, Dims{image, row, pixel, 1}, border};
    if (!border.none())
      s.bordered_layout = to_string(type) + to_string(Dims{border.top, border.left, border.bottom, border.right, pixel});
    return result;
  }

  // The distance of pixels at which an image is read and written fastest. At multiples of 1 KiB they would share a few sets of
  // the caches: one more line spreads them. Views would have to copy that.
  int64_t best_pixel(ValueId id) const {
    constexpr size_t kColliding = 1024;
    const TensorType& type = graph_[id].type;
    const int64_t c = type.shape[3];
    if (bytes_of(type.dtype, static_cast<size_t>(c)) % kColliding != 0 || type.shape[1] * type.shape[2] == 1) return c;
    for (const Reader& reader : readers_[static_cast<size_t>(id)]) {
      if (reader.node->op->view) return c;
    }
    return c + static_cast<int64_t>(kCacheLine / bytes_of(type.dtype, 1));
  }

  PrepareContext context(const Node& node, std::span<const Operand> inputs, std::span<const Operand> outputs) const {
    return {node.attributes, inputs, outputs, machine_.isa, machine_.pool, machine_.packs};
  }

  // Whether everybody who reads `id` could read it lying like `candidate`. Views can: at worst they copy.
  bool readers_accept(ValueId id, const Placement& candidate) const {
    if (is_output_[static_cast<size_t>(id)]) return false;
    for (const Reader& reader : readers_[static_cast<size_t>(id)]) {
      if (reader.node->op->view && reader.input == 0) continue;
      auto operands = graph_.input_operands(*reader.node);
      operands[static_cast<size_t>(reader.input)] = operand_of(slice_of(candidate, reader.slices));
      if (!accepts(*reader.node, operands, reader.input)) return false;
    }
    return true;
  }

  bool accepts(const Node& node, const std::vector<Operand>& operands, int input) const {
    const Operand& operand = operands[static_cast<size_t>(input)];
    if (operand.dense()) return true;
    const auto outputs = graph_.output_operands(node);
    return node.op->accepts_input && node.op->accepts_input(context(node, operands, outputs), input);
  }

  Border border_wanted(const Node& node) const {
    if (!node.op->wants_border) return {};
    const auto inputs = graph_.input_operands(node);
    const auto outputs = graph_.output_operands(node);
    return node.op->wants_border(context(node, inputs, outputs));
  }

  // The place of a value that a step computes: in a loop whose turns together make a larger value, a part of that one's.
  Placement new_placement(ValueId id, const Node* producer, int output) {
    const auto join = joins_.find(id);
    if (join == joins_.end()) return whole_placement(id, producer, output, 1);
    const ValueId whole = join->second->outputs[0];
    const int64_t slices = slices_of(*join->second);
    placement(whole) = whole_placement(whole, producer, output, slices);
    return slice_of(placement(whole), slices);
  }

  // An output of the graph, or the arena, with the border that the readers want and the pixels spread if all concerned can do with it.
  Placement whole_placement(ValueId id, const Node* producer, int output, int64_t slices) {
    const TensorType& type = graph_[id].type;
    if (is_output_[static_cast<size_t>(id)]) {
      const auto k = std::find(graph_.outputs.begin(), graph_.outputs.end(), id) - graph_.outputs.begin();
      return dense(type, add_storage(Location::Where::output, static_cast<int>(k)));
    }
    Border border;
    for (const Reader& reader : readers_[static_cast<size_t>(id)]) {
      if (reader.input == 0) border = joined(border, border_wanted(*reader.node));
    }
    if (type.shape.rank() != 4) return dense_temporary(type);
    const int64_t channels = type.shape[3];
    for (const int64_t pixel : {best_pixel(id), channels}) {
      if (border.none() && pixel == channels) break;
      Placement candidate = image_temporary(type, border, pixel);
      if (readers_accept(id, candidate) && (producer == nullptr || writes(*producer, output, slice_of(candidate, slices))))
        return candidate;
      storages_.pop_back();
    }
    return dense_temporary(type);
  }

  bool writes(const Node& node, int output, const Placement& candidate) const {
    if (!node.op->accepts_output) return false;
    const auto inputs = graph_.input_operands(node);
    auto outputs = graph_.output_operands(node);
    outputs[static_cast<size_t>(output)] = operand_of(candidate);
    return node.op->accepts_output(context(node, inputs, outputs), output);
  }

  void add_copy(const std::string& name, const Placement& from, const Placement& to) {
    items_.push_back({.node = nullptr, .name = name, .inputs = {from}, .outputs = {to}, .constants = {nullptr}});
  }

  void place_view(const Node& node) {
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const ValueId id = node.outputs[o];
      if (id == kNoValue) continue;
      const TensorType& type = graph_[id].type;
      Placement source = placement(node.inputs[0]);
      auto window = view_of(node, source, type, static_cast<int>(o));
      if (!window) {
        // A view of these strides cannot be: make the input dense first, in the output's own memory where that is due.
        Placement target = is_output_[static_cast<size_t>(id)] ? new_placement(id, nullptr, 0) : dense_temporary(source.type);
        Placement as_source = dense(source.type, target.storage);
        add_copy(node.name, source, as_source);
        window = view_of(node, as_source, type, static_cast<int>(o));
        OXPLOW_CHECK(window.has_value());
        placement(id) = *window;
        continue;
      }
      if (readers_accept(id, *window)) {
        placement(id) = *window;
        continue;
      }
      placement(id) = new_placement(id, nullptr, 0);
      add_copy(node.name, *window, placement(id));
    }
  }

  std::optional<Placement> view_of(const Node& node, const Placement& source, const TensorType& type, int output) const {
    auto operands = graph_.input_operands(node);
    operands[0] = operand_of(source);
    auto view = node.op->view({node.attributes, operands, static_cast<int>(node.outputs.size())}, type.shape, output);
    if (!view) return std::nullopt;
    return Placement{source.storage, source.offset + view->offset, type, view->strides, {}, source.advance};
  }

  // BatchSlice nodes open a loop, the BatchJoin nodes behind its ops close it.
  void enter_loop(const Node& slice) {
    const auto turns = static_cast<int>(slices_of(slice));
    const auto next = static_cast<int>(items_.size());
    if (loops_.empty() || loops_.back().end >= 0) loops_.push_back({.first = next, .end = -1, .turns = turns});
    placement(slice.outputs[0]) = slice_of(placement(slice.inputs[0]), turns);
  }

  void leave_loop(const Node& join) {
    Placement& whole = placement(join.outputs[0]);
    if (whole.storage < 0) {  // a view, or what came in: the loop's last act is to copy it
      whole = whole_placement(join.outputs[0], nullptr, 0, 1);
      add_copy(join.name, placement(join.inputs[0]), slice_of(whole, slices_of(join)));
    }
    loops_.back().end = static_cast<int>(items_.size());
  }

  void place_node(const Node& node) {
    Item item{.node = &node, .name = node.name, .inputs = {}, .outputs = {}, .constants = {}};
    for (ValueId id : node.inputs) {
      item.inputs.push_back(id == kNoValue ? Placement{} : placement(id));
      item.constants.push_back(graph_.constant(id));
    }
    for (size_t i = 0; i < item.inputs.size(); ++i) {
      if (item.inputs[i].storage >= 0) fit_input(node, item, i);
    }
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const ValueId id = node.outputs[o];
      if (id == kNoValue) {
        item.outputs.push_back({});
        continue;
      }
      placement(id) = new_placement(id, &node, static_cast<int>(o));
      item.outputs.push_back(placement(id));
    }
    items_.push_back(std::move(item));
  }

  // Copies input `i` where the node cannot read it as it lies.
  void fit_input(const Node& node, Item& item, size_t i) {
    Placement& source = item.inputs[i];
    const Border wanted = i == 0 ? border_wanted(node) : Border{};
    if (!source.border.covers(wanted)) {
      Placement target = image_temporary(source.type, wanted, source.type.shape[3]);
      add_copy(node.name + " (border)", source, target);
      source = target;
      return;
    }
    auto operands = graph_.input_operands(node);
    operands[i] = operand_of(source, item.constants[i]);
    if (accepts(node, operands, static_cast<int>(i))) return;
    Placement target = dense_temporary(source.type);
    add_copy(node.name + " (dense)", source, target);
    source = target;
  }

  // Outputs of the graph that are inputs, constants, views, or outputs already placed under another index.
  void copy_to_outputs() {
    for (size_t k = 0; k < graph_.outputs.size(); ++k) {
      const Placement& source = placement(graph_.outputs[k]);
      const Storage& storage = storages_[static_cast<size_t>(source.storage)];
      if (storage.where == Location::Where::output && storage.index == static_cast<int>(k)) continue;
      add_copy(graph_[graph_.outputs[k]].name, source,
               dense(source.type, add_storage(Location::Where::output, static_cast<int>(k))));
    }
  }

  Result<Plan> finish() {
    Plan plan;
    for (ValueId id : graph_.inputs) plan.inputs.push_back(graph_[id].type);
    for (ValueId id : graph_.outputs) plan.outputs.push_back(graph_[id].type);
    std::vector<int> workspaces;
    for (const Item& item : items_) {
      auto step = prepare(item);
      if (!step.ok()) return in_context("node '" + item.name + "'", step.error());
      workspaces.push_back(add_storage(Location::Where::arena, 0));
      storages_.back().bytes = (*step).step->workspace_bytes;
      plan.steps.push_back(step.take());
    }
    for (const BatchLoop& loop : loops_) {
      for (int i = loop.first; i < loop.end; ++i) note_turns(plan.steps[static_cast<size_t>(i)], loop.turns);
      if (loop.first < loop.end) plan.loops.push_back(loop);
    }
    locate(plan, workspaces);
    return plan;
  }

  static void note_turns(PlannedStep& planned, int turns) {
    planned.cost.flops *= turns;
    planned.cost.bytes *= turns;
    planned.step->why += "; " + std::to_string(turns) + " slices of the batch";
  }

  Result<PlannedStep> prepare(const Item& item) const {
    std::vector<Operand> inputs, outputs;
    for (size_t i = 0; i < item.inputs.size(); ++i) inputs.push_back(operand_of(item.inputs[i], item.constants[i]));
    for (const Placement& p : item.outputs) outputs.push_back(operand_of(p));
    static const Attributes kNone;
    const PrepareContext prepare_context{
        item.node ? item.node->attributes : kNone, inputs, outputs, machine_.isa, machine_.pool, machine_.packs};
    PlannedStep planned;
    planned.node = item.name;
    planned.result = to_string(item.outputs[0].type);
    planned.bf16 = !inputs.empty() && inputs[0].type.dtype == DType::bf16;
    if (item.node == nullptr) {
      planned.op = "Copy";
      planned.cost.bytes = 2.0 * static_cast<double>(item.outputs[0].type.bytes());
      OXPLOW_ASSIGN(planned.step, prepare_copy(prepare_context));
    } else {
      planned.op = item.node->op->name;
      planned.cost = cost_of(*item.node->op, prepare_context);
      if (!item.node->op->prepare)
        return Error{ErrorCode::unsupported, std::string(item.node->op->name) + " can only be folded before the run"};
      OXPLOW_ASSIGN(planned.step, item.node->op->prepare(prepare_context));
    }
    return planned;
  }

  // Places the arena's storages and writes every operand's location.
  void locate(Plan& plan, const std::vector<int>& workspaces) {
    const int last = static_cast<int>(items_.size());
    std::vector<Lifetime> lives(storages_.size(), Lifetime{.first = last, .last = -1});
    const auto touch = [&](int storage, int step) {
      Lifetime& life = lives[static_cast<size_t>(storage)];
      life.first = std::min(life.first, step);
      life.last = std::max(life.last, step);
    };
    for (int i = 0; i < last; ++i) {
      for (const Placement& p : items_[static_cast<size_t>(i)].inputs) {
        if (p.storage >= 0) touch(p.storage, i);
      }
      for (const Placement& p : items_[static_cast<size_t>(i)].outputs) {
        if (p.storage >= 0) touch(p.storage, i);
      }
      touch(workspaces[static_cast<size_t>(i)], i);
    }
    // What comes into a loop or leaves it is there in every turn.
    for (const BatchLoop& loop : loops_) {
      for (Lifetime& life : lives) {
        const bool inside = life.first < loop.end && life.last >= loop.first;
        if (!inside || (life.first >= loop.first && life.last < loop.end)) continue;
        life.first = std::min(life.first, loop.first);
        life.last = std::max(life.last, loop.end - 1);
      }
    }
    for (size_t s = 0; s < storages_.size(); ++s) {
      if (storages_[s].where != Location::Where::arena) continue;
      lives[s].bytes = lives[s].last < 0 ? 0 : storages_[s].bytes;
      lives[s].bordered_layout = storages_[s].bordered_layout;
    }
    const MemoryPlan memory = plan_memory(lives);
    plan.arena_bytes = memory.bytes;
    std::vector<int> constant_index(graph_.values.size(), -1);
    const auto location = [&](const Placement& p) -> Location {
      if (p.storage < 0) return {};
      const Storage& storage = storages_[static_cast<size_t>(p.storage)];
      Location result{storage.where, storage.index, storage.origin + bytes_of(p.type.dtype, static_cast<size_t>(p.offset)),
                      p.advance * static_cast<int64_t>(bits_of(p.type.dtype)) / 8};
      if (storage.where == Location::Where::arena) result.offset += memory.offsets[static_cast<size_t>(p.storage)];
      if (storage.where == Location::Where::constant) {
        int& index = constant_index[static_cast<size_t>(storage.index)];
        if (index < 0) {
          index = static_cast<int>(plan.constants.size());
          plan.constants.push_back(*graph_.constant(storage.index));
        }
        result.index = index;
      }
      return result;
    };
    for (size_t i = 0; i < items_.size(); ++i) {
      for (const Placement& p : items_[i].inputs) plan.steps[i].inputs.push_back(location(p));
      for (const Placement& p : items_[i].outputs) plan.steps[i].outputs.push_back(location(p));
      plan.steps[i].workspace = {Location::Where::arena, 0, memory.offsets[static_cast<size_t>(workspaces[i])]};
    }
  }

  const Graph& graph_;
  const Machine& machine_;
  std::vector<Storage> storages_;
  std::vector<Placement> placements_;  // by value
  std::vector<std::vector<Reader>> readers_;
  std::map<ValueId, const Node*> joins_;  // by the slice that they join
  std::vector<bool> is_output_;
  std::vector<Item> items_;
  std::vector<BatchLoop> loops_;  // over items_; end -1: not closed yet
};

}  // namespace

Result<Plan> make_plan(const Graph& graph, const Machine& machine) { return Planner(graph, machine).plan(); }

}  // namespace oxplow
