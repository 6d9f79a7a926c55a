// TreeEnsemble: what the trees of a forest (kernels/tree/forest.h, as attributes) say of each row of x [N, F], plus the constants of
// input 1 (optional, one a target). The result is [N, targets], f32, or of x's type with `as_input`.

#include <algorithm>
#include <memory>

#include "oxplow/kernels/tree/pack.h"
#include "oxplow/ops/ml/forest_attributes.h"
#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

constexpr int64_t kFewRows = 24;  // take less time one by one than as a block

Result<TensorTypes> infer_tree_ensemble(const InferContext& c) {
  const Shape& x = c.shape(0);
  if (x.rank() != 1 && x.rank() != 2)
    return Error{ErrorCode::invalid_model, "rows of features have two axes, not those of " + to_string(c.type(0))};
  const int64_t wanted = c.attributes.integer("feature_count", 0), targets = c.attributes.integer("targets", 1);
  if (x.back() < wanted)
    return Error{ErrorCode::invalid_model, "its trees ask about feature " + std::to_string(wanted - 1) + ", but the input " +
                                               to_string(c.type(0)) + " has " + std::to_string(x.back()) + " features"};
  if (c.has(1) && (c.type(1).dtype != DType::f32 || c.type(1).elements() != targets))
    return Error{ErrorCode::invalid_model,
                 "base values of " + to_string(c.type(1)) + " for " + std::to_string(targets) + " targets"};
  const DType result = c.attributes.integer("as_input", 0) != 0 ? c.type(0).dtype : DType::f32;
  return TensorTypes{{result, Shape{x.rank() == 2 ? x[0] : 1, targets}}};
}

template <typename T>
void convert(const void* from, DType type, int64_t begin, int64_t count, T* to) {
  visit(type, [&](auto example) {
    using From = decltype(example);
    const From* at = static_cast<const From*>(from) + begin;
    for (int64_t i = 0; i < count; ++i)
      to[i] = static_cast<T>(static_cast<std::conditional_t<sizeof(From) == 8, From, float>>(at[i]));
  });
}

template <typename T>
void convert_back(const T* from, int64_t count, void* to, DType type, int64_t begin) {
  visit(type, [&](auto example) {
    using To = decltype(example);
    for (int64_t i = 0; i < count; ++i) static_cast<To*>(to)[begin + i] = static_cast<To>(static_cast<float>(from[i]));
  });
}
template <>
void convert_back(const double* from, int64_t count, void* to, DType type, int64_t begin) {
  if (type == DType::f64) {
    std::copy_n(from, count, static_cast<double*>(to) + begin);
    return;
  }
  for (int64_t i = 0; i < count; ++i) static_cast<float*>(to)[begin + i] = static_cast<float>(from[i]);
}

// Computes in T; rows go through the workspace where they are not of that type.
template <typename T>
class TreeStepRunner {
 public:
  TreeStepRunner(const PrepareContext& c, std::shared_ptr<const PackedForest> forest)
      : forest_(std::move(forest)),
        args_(forest_->args()),
        kernels_(tree_kernels(c.isa)),
        x_type_(c.in(0).type.dtype),
        y_type_(c.out().type.dtype),
        rows_(c.out().type.shape[0]),
        features_(c.in(0).type.shape.back()),
        has_base_(c.has(1)) {
    in_blocks_ = std::is_same_v<T, float> && forest_->sliced() && rows_ >= kFewRows;
    const int64_t few = rows_ <= 4 ? std::max<int64_t>(rows_, 1) : 16;
    block_rows_ = in_blocks_ ? kernels_.block_rows : few;
    const size_t kernel = in_blocks_ ? kernels_.workspace_bytes(args_) : 2 * static_cast<size_t>(args_.features) * sizeof(float);
    kernel_bytes_ = round_up(kernel, kCacheLine);
    x_bytes_ = is_computed(x_type_) ? 0 : round_up(static_cast<size_t>(block_rows_ * features_) * sizeof(T), kCacheLine);
    y_bytes_ = is_computed(y_type_) ? 0 : round_up(static_cast<size_t>(block_rows_ * args_.targets) * sizeof(T), kCacheLine);
  }

  int64_t blocks() const { return (rows_ + block_rows_ - 1) / block_rows_; }
  bool in_blocks() const { return in_blocks_; }
  double block_nanoseconds() const {
    return static_cast<double>(args_.step_count) * (in_blocks_ ? 200 : 10.0 * static_cast<double>(block_rows_));
  }
  size_t workspace_bytes() const { return kernel_bytes_ + x_bytes_ + y_bytes_; }

  void run(const Buffers& b, int64_t block, int worker) const {
    std::byte* space = b.workspace + static_cast<size_t>(worker) * workspace_bytes();
    const int64_t begin = block * block_rows_, rows = std::min(block_rows_, rows_ - begin), targets = args_.targets;
    const T* x = static_cast<const T*>(b.inputs[0]) + begin * features_;
    if (x_bytes_ > 0) {
      T* converted = reinterpret_cast<T*>(space + kernel_bytes_);
      convert(b.inputs[0], x_type_, begin * features_, rows * features_, converted);
      x = converted;
    }
    T* y = y_bytes_ > 0 ? reinterpret_cast<T*>(space + kernel_bytes_ + x_bytes_) : b.out<T>() + begin * targets;
    compute(x, rows, y, space);
    if (has_base_) {
      for (int64_t i = 0; i < rows * targets; ++i) y[i] += static_cast<T>(b.in<float>(1)[i % targets]);
    }
    if (y_bytes_ > 0) convert_back(y, rows * targets, b.outputs[0], y_type_, begin * targets);
  }

 private:
  static bool is_computed(DType type) { return type == dtype_of<T>(); }

  void compute(const T* x, int64_t rows, T* y, std::byte* space) const {
    if constexpr (std::is_same_v<T, double>) {
      kernels_.walk_f64(args_, x, features_, rows, y);
    } else if (in_blocks_) {
      kernels_.block(args_, x, features_, rows, y, space);
    } else if (forest_->sliced()) {
      kernels_.rows(args_, x, features_, rows, y, reinterpret_cast<float*>(space));
    } else {
      kernels_.walk_f32(args_, x, features_, rows, y);
    }
  }

  std::shared_ptr<const PackedForest> forest_;
  TreeArgs args_;
  const TreeKernels& kernels_;
  DType x_type_, y_type_;
  int64_t rows_, features_;
  bool has_base_, in_blocks_ = false;
  int64_t block_rows_ = 1;
  size_t kernel_bytes_ = 0, x_bytes_ = 0, y_bytes_ = 0;
};

template <typename T>
std::unique_ptr<Step> make_tree_step(const PrepareContext& c, std::shared_ptr<const PackedForest> forest, int64_t trees) {
  const TreeStepRunner<T> runner(c, forest);
  const int64_t blocks = runner.blocks();
  const int tasks = task_count(blocks, runner.block_nanoseconds(), c.threads());
  auto step = make_step(runner.in_blocks() ? "tree_bits" : "tree_walk", tasks, [=](const Buffers& b, int task, int worker) {
    const Range range = task_range(blocks, tasks, task);
    for (int64_t block = range.begin; block < range.end; ++block) runner.run(b, block, worker);
  });
  step->workspace_bytes = static_cast<size_t>(c.threads()) * runner.workspace_bytes();
  step->why = std::to_string(forest->sliced_trees()) + " of " + std::to_string(trees) + " trees are at most " +
              std::to_string(kMostSlicedDepth) + " deep";
  if (!runner.in_blocks()) step->why += ", few rows or none of them";
  return step;
}

Result<std::unique_ptr<Step>> prepare_tree_ensemble(const PrepareContext& c) {
  OXPLOW_ASSIGN(Forest forest, forest_of(c.attributes));
  const DType x = c.in(0).type.dtype, y = c.out().type.dtype;
  if (bits_of(x) < 8 || (is_float(y) && y != DType::f32 && y != DType::f64 && y != DType::f16) || !is_float(y))
    return Error{ErrorCode::unsupported, "trees over " + to_string(c.in(0).type)};
  if (forest.features() > c.in(0).type.shape.back())
    return Error{ErrorCode::invalid_model, "its trees ask about more features than the input has"};
  forest.f64 = forest.f64 || x == DType::f64;
  if (forest.f64 && y == DType::f16) return Error{ErrorCode::unsupported, "trees of f64 with results of f16"};
  const auto trees = static_cast<int64_t>(forest.roots.size());
  auto packed = std::make_shared<const PackedForest>(forest);
  return forest.f64 ? make_tree_step<double>(c, std::move(packed), trees) : make_tree_step<float>(c, std::move(packed), trees);
}

// A comparison for each level of each tree.
Cost cost_of_trees(const PrepareContext& c) {
  const Tensor* roots = c.attributes.tensor("roots");
  const Tensor* tests = c.attributes.tensor("tests");
  if (roots == nullptr || tests == nullptr || roots->elements() == 0) return {};
  const double trees = static_cast<double>(roots->elements()), branches = static_cast<double>(tests->elements()) / trees;
  double levels = 0;
  for (double below = 1; below < branches + 1; below *= 2) levels += 1;
  return {static_cast<double>(c.out().type.shape[0]) * trees * levels,
          static_cast<double>(c.in(0).type.bytes() + c.out().type.bytes())};
}

}  // namespace

namespace ops {
constinit const OpSpec TreeEnsemble{
    .name = "TreeEnsemble", .infer = infer_tree_ensemble, .prepare = prepare_tree_ensemble, .cost = cost_of_trees};
}  // namespace ops
}  // namespace oxplow
