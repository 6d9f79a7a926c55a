#pragma once
// What an op is: one OpSpec of plain functions. ops.inc lists them all; the graph, the planner, the docs and the tests walk that list.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "oxplow/base/isa.h"
#include "oxplow/base/memory.h"
#include "oxplow/base/result.h"
#include "oxplow/base/thread_pool.h"
#include "oxplow/ops/attributes.h"
#include "oxplow/ops/pack_cache.h"
#include "oxplow/tensor/datum.h"

namespace oxplow {

// Rows and columns of zeros that lie around axes 1 and 2 of an NHWC tensor, in its memory but not in its extents.
struct Border {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool covers(const Border& other) const {
    return top >= other.top && left >= other.left && bottom >= other.bottom && right >= other.right;
  }
  bool none() const { return top == 0 && left == 0 && bottom == 0 && right == 0; }
  bool operator==(const Border&) const = default;
};

// A tensor as a step meets it: type, place of its elements, and its value when that is known before the run.
struct Operand {
  TensorType type;
  Dims strides;  // elements
  Border border;
  const Tensor* constant = nullptr;
  bool present = false;  // false: an optional input left out, or an output nobody reads

  bool dense() const { return !present || strides_are_dense(); }
  bool strides_are_dense() const;
  // The last axis is contiguous (or has one element).
  bool rows_contiguous() const;
};

// What a shape rule sees.
struct InferContext {
  const Attributes& attributes;
  std::span<const Operand> inputs;
  int outputs = 1;  // how many the node names

  bool has(int i) const { return i < static_cast<int>(inputs.size()) && inputs[static_cast<size_t>(i)].present; }
  const TensorType& type(int i) const { return inputs[static_cast<size_t>(i)].type; }
  const Shape& shape(int i) const { return type(i).shape; }
  const Tensor* constant(int i) const { return has(i) ? inputs[static_cast<size_t>(i)].constant : nullptr; }
  // The value of integer input i; the error needs_values when it is not known before the run.
  Result<std::vector<int64_t>> integers(int i, std::string_view what) const;
};

using TensorTypes = std::vector<TensorType>;

struct PrepareContext {
  const Attributes& attributes;
  std::span<const Operand> inputs;
  std::span<const Operand> outputs;
  Isa isa = Isa{};
  ThreadPool& pool;
  PackCache& packs;

  int threads() const { return pool.threads(); }
  bool has(int i) const { return i < static_cast<int>(inputs.size()) && inputs[static_cast<size_t>(i)].present; }
  const Operand& in(int i) const { return inputs[static_cast<size_t>(i)]; }
  const Operand& out(int i = 0) const { return outputs[static_cast<size_t>(i)]; }
  // The rule's context of the same node.
  InferContext infer() const { return {attributes, inputs, static_cast<int>(outputs.size())}; }
};

// Where a step's tensors are in this run. Pointers are to element (0, ..., 0); null for absent operands.
struct Buffers {
  void* const* inputs = nullptr;
  void* const* outputs = nullptr;
  std::byte* workspace = nullptr;

  template <typename T>
  const T* in(size_t i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <typename T>
  T* out(size_t i = 0) const {
    return static_cast<T*>(outputs[i]);
  }
};

// A node made ready for one set of shapes: kernels chosen, weights packed, work split. Immutable, so runs may share it.
class Step {
 public:
  virtual ~Step() = default;
  // Task `task` of phase `phase` on worker `worker`. Tasks of one phase may run at once; must not fail.
  virtual void run(const Buffers& buffers, int phase, int task, int worker) const = 0;

  std::vector<int> phase_tasks;  // tasks of each phase
  size_t workspace_bytes = 0;    // shared by all tasks of the step
  std::string kernel;            // the kernel's name, for explain
  std::string why;               // why this one
};

// Floating point operations and bytes moved at the least.
struct Cost {
  double flops = 0;
  double bytes = 0;
};

// Output `output` as a window into input 0's memory.
struct View {
  Dims strides;
  int64_t offset = 0;  // elements from input 0's first element
};

// Runs the bodies of control flow ops; the executor has one.
class BodyRunner {
 public:
  virtual ~BodyRunner() = default;
  // The body's outputs for its inputs, in the order of the graph's.
  virtual Result<std::vector<Datum>> run_body(const Graph& body, std::span<const Datum> inputs) = 0;
  // Counts a step of the run (an iteration, say). An error when the run has taken more than its budget of steps.
  virtual Status count_step() = 0;
};

// What an op sees that is evaluated at once, values and all.
struct ComputeContext {
  const Attributes& attributes;
  std::span<const Datum> inputs;  // nothing for optional inputs left out
  int outputs = 1;                // how many the node names
  Isa isa = Isa{};
  ThreadPool& pool;
  PackCache& packs;
  BodyRunner* bodies = nullptr;  // null where there is no run: folding constants

  bool has(int i) const { return i < static_cast<int>(inputs.size()) && !inputs[static_cast<size_t>(i)].empty(); }
  // Input i, or nothing where the node names fewer.
  const Datum& in(int i) const;
  // Input i as a tensor; invalid_model when it is something else. `what` for the message: "the indices".
  Result<Tensor> tensor(int i, std::string_view what) const;
};

struct OpSpec {
  const char* name;
  // Types of the outputs, or why the inputs do not fit. Called by infer_types(), with at least `required_inputs` inputs present.
  // Null for ops that always `compute`.
  Result<TensorTypes> (*infer)(const InferContext&) = nullptr;
  // Null for views (the planner aliases or copies).
  Result<std::unique_ptr<Step>> (*prepare)(const PrepareContext&) = nullptr;
  // For ops that only rename elements: the view of output `output`, or nothing when these strides do not allow one.
  std::optional<View> (*view)(const InferContext&, const Shape& result, int output) = nullptr;
  // The value of output 0 where the inputs' types alone give it (Shape, Size).
  std::optional<Tensor> (*known)(const InferContext&) = nullptr;
  // Whether input i (output i) may lie as the operand says. Null: dense and without border only.
  bool (*accepts_input)(const PrepareContext&, int i) = nullptr;
  bool (*accepts_output)(const PrepareContext&, int i) = nullptr;
  // The zeros that the op wants around input 0. Null: none.
  Border (*wants_border)(const PrepareContext&) = nullptr;
  // Null: no flops, and each operand once.
  Cost (*cost)(const PrepareContext&) = nullptr;
  int required_inputs = 1;
  // The op's result depends on more than its inputs (random numbers, state): never folded nor merged.
  bool impure = false;
  // Asked where every input that is no constant, and every output, has the same extent N along axis 0: whether element n of the
  // outputs along that axis depends on elements n of those inputs alone. Such an op may treat a batch in slices. Null: no.
  bool (*by_sample)(const InferContext&) = nullptr;
  // For ops that need values: whose results' shapes depend on data, whose inputs or results are no tensors, who run bodies. They are
  // evaluated between plans. Called by evaluate() where infer is null or says needs_values or an input is no tensor, with at least
  // `required_inputs` inputs present; gives `outputs` data or more.
  Result<std::vector<Datum>> (*compute)(const ComputeContext&) = nullptr;
  // Moves elements about without looking at them, so that strings will do.
  bool strings = false;
};

// The specs themselves, each defined in its own file.
namespace ops {
#define OXPLOW_OP(name) extern const OpSpec name;
#include "oxplow/ops/ops.inc"
#undef OXPLOW_OP
}  // namespace ops

// All ops, by name; null when there is none.
const OpSpec* find_op(std::string_view name);
std::span<const OpSpec* const> all_ops();

// The cost by the op's own rule or the default.
Cost cost_of(const OpSpec& op, const PrepareContext& context);

// The types of the outputs by the op's rule, checked: enough inputs, as many outputs as the node names, extents that can be.
Result<TensorTypes> infer_types(const OpSpec& op, const InferContext& context);

// Ready-made answers for accepts_*.
bool accepts_rows(const PrepareContext& context, int i);  // input i: last axis contiguous, other strides free
bool accepts_any(const PrepareContext& context, int i);   // input i: any strides
bool writes_rows(const PrepareContext& context, int i);   // output i: last axis contiguous, other strides free
bool writes_any(const PrepareContext& context, int i);

// Ready-made answers for by_sample.
bool samples_apart(const InferContext& context);      // always: constants are weights or the like, the same for all samples
bool samples_broadcast(const InferContext& context);  // elementwise by numpy's rules: if no constant has a value for each sample

// A step of one phase from a callable (Buffers, task, worker).
template <typename F>
std::unique_ptr<Step> make_step(std::string kernel, int tasks, F body) {
  struct OnePhase final : Step {
    explicit OnePhase(F f) : function(std::move(f)) {}
    void run(const Buffers& buffers, int, int task, int worker) const override { function(buffers, task, worker); }
    F function;
  };
  auto step = std::make_unique<OnePhase>(std::move(body));
  step->phase_tasks = {tasks};
  step->kernel = std::move(kernel);
  return step;
}

// How many tasks to cut `units` of work into, each unit costing about `nanoseconds`: enough for every thread to have several
// (stealing evens out) of some microseconds, or one of a single microsecond.
int task_count(int64_t units, double nanoseconds, int threads);
// `wanted` parts, but at least one and no more than there are units to share.
int part_count(int64_t wanted, int64_t units);
// The part of [0, units) that task `task` of `tasks` has.
struct Range {
  int64_t begin, end;
};
Range task_range(int64_t units, int tasks, int task);

}  // namespace oxplow
