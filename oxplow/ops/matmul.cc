// Linear: y = activation(x W + bias + residual), x [..., K], W [K, N] (or [N, K] with trans_w), constant or computed.
// MatMul: numpy's batched matrix product of two computed tensors.

#include <algorithm>

#include "oxplow/kernels/gemm/gemm.h"
#include "oxplow/ops/conv_geometry.h"
#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/wide_matmul.h"

namespace oxplow {
namespace {

// The one stride between rows of the last axis, if the axes before it walk as one.
std::optional<int64_t> leading_stride(const Operand& o) {
  Shape rows = o.type.shape;
  Dims strides = o.strides;
  if (!o.rows_contiguous()) return std::nullopt;
  rows.erase(rows.rank() - 1);
  strides.erase(strides.rank() - 1);
  if (rows.empty()) return o.type.shape.back();
  merge_axes(rows, {&strides, 1});
  if (rows.rank() != 1) return std::nullopt;
  return rows[0] == 1 ? o.type.shape.back() : strides[0];
}

struct LinearShape {
  int64_t m, n, k;
};

Result<LinearShape> linear_shape(const Attributes& attributes, const Shape& x, const Shape& w) {
  const bool transposed = attributes.integer("trans_w", 0) != 0;
  if (x.rank() < 1 || w.rank() != 2)
    return Error{ErrorCode::invalid_model, "a matrix product of " + to_string(x) + " and " + to_string(w)};
  const int64_t k = w[transposed ? 1 : 0], n = w[transposed ? 0 : 1];
  if (x.back() != k)
    return Error{ErrorCode::invalid_model,
                 "a matrix product of " + to_string(x) + " and weights for " + std::to_string(k) + " features"};
  return LinearShape{product(x, 0, x.rank() - 1), n, k};
}

Result<TensorTypes> infer_linear(const InferContext& c) {
  OXPLOW_ASSIGN(const LinearShape s, linear_shape(c.attributes, c.shape(0), c.shape(1)));
  TensorType type = c.type(0);
  type.shape[type.shape.rank() - 1] = s.n;
  if (c.has(2) && c.type(2) != TensorType{DType::f32, Shape{s.n}})
    return Error{ErrorCode::invalid_model, "a bias of " + to_string(c.type(2)) + " for " + std::to_string(s.n) + " columns"};
  if (c.has(3) && c.type(3) != type)
    return Error{ErrorCode::invalid_model, "a residual of " + to_string(c.type(3)) + " for a result of " + to_string(type)};
  return TensorTypes{type};
}

// Tasks are row_parts x panel_parts, the panels of one part of the rows next to each other: a thread's share of them is a few rows
// that stay in its cache while the weights pass by.
struct GemmSplit {
  int row_parts = 1, panel_parts = 1;
  int tasks() const { return row_parts * panel_parts; }
};

// Cuts by rows while each part still has enough of them to multiply longer by a panel of weights than the panel takes to arrive;
// else by panels, so that no weight is read twice.
GemmSplit split_gemm(int64_t m, int64_t n, int64_t k, const GemmKernel& kernel, int threads) {
  // Takes four times as long as reading from L3, and still longer than from memory. bf16 is up to eight times as fast.
  const int64_t enough_rows = kernel.a == DType::bf16 ? 256 : 48;
  const int64_t panels = std::max<int64_t>((n + kernel.panel_columns - 1) / kernel.panel_columns, 1);
  const int64_t tiles = std::max<int64_t>((m + kernel.tile_rows - 1) / kernel.tile_rows, 1);
  const double flops = 2.0 * static_cast<double>(m * n * k);
  const double weight_ns = static_cast<double>(n * k) * 4 / 20;  // few rows: reading the weights is the work
  const int tasks = task_count(1 << 20, std::max(flops / 200, weight_ns) / (1 << 20), threads);
  GemmSplit split;
  if (tasks >= threads && m >= enough_rows * threads) {
    // As many parts for each thread, so that all begin on rows of their own; each part reads the weights again, so more than one
    // must be worth that.
    const int64_t worth = std::min<int64_t>(m / (2 * enough_rows), tasks) / threads * threads;
    split.row_parts = part_count(std::max<int64_t>(worth, threads), tiles);
  }
  split.panel_parts = part_count((tasks + split.row_parts - 1) / split.row_parts, panels);
  if (split.row_parts == 1) split.row_parts = part_count((tasks + split.panel_parts - 1) / split.panel_parts, tiles);
  return split;
}

class LinearStep final : public Step {
 public:
  LinearStep(const PrepareContext& c, const LinearShape& s, const GemmKernel& k) : kernel_(k) {
    args_.m = s.m, args_.n = s.n, args_.k = s.k;
    args_.lda = *leading_stride(c.in(0));
    args_.ldc = *leading_stride(c.out());
    args_.epilogue = epilogue_of(c.attributes);
    has_bias_ = c.has(2);
    has_residual_ = c.has(3);
    if (has_residual_) args_.ld_residual = *leading_stride(c.in(3));
    transposed_ = c.attributes.integer("trans_w", 0) != 0;
    panels_ = (s.n + k.panel_columns - 1) / k.panel_columns;
    split_ = split_gemm(s.m, s.n, s.k, k, c.threads());
    kernel = k.name;
    why = s.m == 1 ? "one row: bound by reading the weights" : "rows x panels";
  }

  Status pack(const PrepareContext& c) {
    const size_t bytes = kernel_.packed_bytes(args_.k, args_.n);
    const Operand& w = c.in(1);
    if (w.constant == nullptr) {
      workspace_bytes = bytes;
      phase_tasks = {static_cast<int>(std::min<int64_t>(panels_, 4 * c.threads())), split_.tasks()};
      return {};
    }
    OXPLOW_ASSIGN(packed_,
                  c.packs.get(*w.constant, std::string(kernel_.name) + (transposed_ ? "/t" : ""), bytes, [&](void* packed) {
                    c.pool.run(static_cast<int>(panels_), [&](int panel, int) {
                      pack_panels(static_cast<const float*>(w.constant->data()), {panel, panel + 1}, packed);
                    });
                  }));
    phase_tasks = {split_.tasks()};
    return {};
  }

  void run(const Buffers& b, int phase, int task, int) const override {
    if (!packed_ && phase == 0) {
      pack_panels(b.in<float>(1), task_range(panels_, phase_tasks[0], task), b.workspace);
      return;
    }
    GemmArgs args = args_;
    args.a = b.inputs[0];
    args.b = packed_ ? packed_->data() : b.workspace;
    args.c = b.outputs[0];
    if (has_bias_) args.epilogue.bias = b.in<float>(2);
    if (has_residual_) args.epilogue.residual = b.inputs[3];
    const int64_t tiles = (args.m + kernel_.tile_rows - 1) / kernel_.tile_rows;
    const Range rows = task_range(tiles, split_.row_parts, task / split_.panel_parts);
    const Range panels = task_range(panels_, split_.panel_parts, task % split_.panel_parts);
    kernel_.run(args, rows.begin * kernel_.tile_rows, std::min(rows.end * kernel_.tile_rows, args.m), panels.begin, panels.end);
  }

 private:
  void pack_panels(const float* w, Range panels, void* packed) const {
    kernel_.pack(w, transposed_ ? 1 : args_.n, transposed_ ? args_.k : 1, args_.k, args_.n, panels.begin, panels.end, packed);
  }

  GemmArgs args_;
  const GemmKernel& kernel_;
  bool has_bias_ = false, has_residual_ = false, transposed_ = false;
  int64_t panels_ = 0;
  GemmSplit split_;
  std::shared_ptr<const Buffer> packed_;
};

Result<const GemmKernel*> gemm_for(const PrepareContext& c, int64_t k, int64_t n) {
  const DType x = c.in(0).type.dtype, y = c.out().type.dtype;
  const GemmKernel* kernel = find_gemm(c.isa, x, y, k, n);
  if (kernel == nullptr)
    return Error{ErrorCode::unsupported,
                 "no matrix product of " + std::string(name_of(x)) + " on " + std::string(name_of(c.isa))};
  if (c.in(1).type.dtype != DType::f32)
    return Error{ErrorCode::unsupported, "weights of type " + std::string(name_of(c.in(1).type.dtype))};
  return kernel;
}

// Types without a kernel.
bool is_wide(const PrepareContext& c, int64_t k, int64_t n) {
  return c.in(1).type.dtype != DType::f32 || find_gemm(c.isa, c.in(0).type.dtype, c.out().type.dtype, k, n) == nullptr;
}

Result<std::unique_ptr<Step>> prepare_wide_linear(const PrepareContext& c, const LinearShape& s) {
  if (c.has(2) || c.has(3) || c.attributes.has("activation"))
    return Error{ErrorCode::unsupported, "a fused matrix product of " + std::string(name_of(c.in(0).type.dtype))};
  const Operand& w = c.in(1);
  const bool transposed = c.attributes.integer("trans_w", 0) != 0;
  WideMatMul matmul{.batch = {}, .m = s.m, .n = s.n, .k = s.k};
  matmul.a_strides = {*leading_stride(c.in(0)), 1};
  matmul.b_strides = {w.strides[transposed ? 1 : 0], w.strides[transposed ? 0 : 1]};
  matmul.y_row = *leading_stride(c.out());
  return wide_matmul(c, matmul);
}

Result<std::unique_ptr<Step>> prepare_linear(const PrepareContext& c) {
  OXPLOW_ASSIGN(const LinearShape s, linear_shape(c.attributes, c.in(0).type.shape, c.in(1).type.shape));
  if (is_wide(c, s.k, s.n)) return prepare_wide_linear(c, s);
  OXPLOW_ASSIGN(const GemmKernel* kernel, gemm_for(c, s.k, s.n));
  auto step = std::make_unique<LinearStep>(c, s, *kernel);
  OXPLOW_TRY(step->pack(c));
  return std::unique_ptr<Step>(std::move(step));
}

bool linear_accepts_input(const PrepareContext& c, int i) { return (i == 0 || i == 3) && leading_stride(c.in(i)).has_value(); }
bool linear_accepts_output(const PrepareContext& c, int i) { return leading_stride(c.out(i)).has_value(); }

Cost linear_cost(const PrepareContext& c) {
  const Shape& w = c.in(1).type.shape;
  Cost cost;
  cost.flops = 2.0 * static_cast<double>(product(c.in(0).type.shape, 0, c.in(0).type.shape.rank() - 1) * elements_of(w));
  cost.bytes = static_cast<double>(c.in(0).type.bytes() + c.out().type.bytes() +
                                   bytes_of(c.in(0).type.dtype, static_cast<size_t>(elements_of(w))));
  return cost;
}

// The matrices of a batched product: [batch...][M][K] x [batch...][K][N].
struct BatchedShape {
  Shape batch;
  int64_t m = 1, n = 1, k = 1;
};

Shape with_matrix_axes(const Shape& shape, bool left) {
  Shape s = shape;
  if (s.rank() == 1) s.insert(left ? 0 : 1, 1);
  return s;
}

Result<BatchedShape> batched_shape(const Shape& a_given, const Shape& b_given) {
  if (a_given.empty() || b_given.empty()) return Error{ErrorCode::invalid_model, "a matrix product of a scalar"};
  const Shape a = with_matrix_axes(a_given, true), b = with_matrix_axes(b_given, false);
  BatchedShape s;
  s.m = a[a.rank() - 2], s.k = a.back(), s.n = b.back();
  if (b[b.rank() - 2] != s.k)
    return Error{ErrorCode::invalid_model, "a matrix product of " + to_string(a_given) + " and " + to_string(b_given)};
  const auto lead = [](const Shape& shape) { return Shape(std::span(shape.begin(), shape.size() - 2)); };
  OXPLOW_ASSIGN(s.batch, broadcast(lead(a), lead(b)));
  return s;
}

Result<TensorTypes> infer_matmul(const InferContext& c) {
  OXPLOW_ASSIGN(const BatchedShape s, batched_shape(c.shape(0), c.shape(1)));
  if (c.type(0).dtype != c.type(1).dtype)
    return Error{ErrorCode::invalid_model, "a matrix product of types " + to_string(c.type(0)) + " and " + to_string(c.type(1))};
  Shape to = s.batch;
  if (c.shape(0).rank() > 1) to.push_back(s.m);
  if (c.shape(1).rank() > 1) to.push_back(s.n);
  return TensorTypes{{c.type(0).dtype, to}};
}

// Where each matrix of the batch starts, in elements.
std::vector<int64_t> matrix_offsets(const Operand& operand, bool left, const Shape& batch) {
  Operand lead = operand;
  lead.type.shape = with_matrix_axes(operand.type.shape, left);
  lead.strides = lead.type.shape.rank() == operand.strides.rank() ? operand.strides : dense_strides(lead.type.shape);
  for (int i = 0; i < 2; ++i) lead.type.shape.erase(lead.type.shape.rank() - 1), lead.strides.erase(lead.strides.rank() - 1);
  const Dims strides = broadcast_strides(lead, batch);
  std::vector<int64_t> offsets;
  Dims index = Dims::filled(batch.rank(), 0);
  for (int64_t i = 0; i < elements_of(batch); ++i) {
    int64_t at = 0;
    for (int d = 0; d < batch.rank(); ++d) at += index[d] * strides[d];
    offsets.push_back(at);
    for (int d = batch.rank() - 1; d >= 0 && ++index[d] == batch[d]; --d) index[d] = 0;
  }
  return offsets;
}

// Packs each right-hand matrix into the workspace, then multiplies.
class BatchedMatMulStep final : public Step {
 public:
  BatchedMatMulStep(const PrepareContext& c, const BatchedShape& s, const GemmKernel& k) : kernel_(k) {
    const Operand& a = c.in(0);
    const Operand& b = c.in(1);
    a_ = matrix_offsets(a, true, s.batch);
    b_ = matrix_offsets(b, false, s.batch);
    const int ra = a.type.shape.rank(), rb = b.type.shape.rank();
    args_.m = s.m, args_.n = s.n, args_.k = s.k;
    args_.lda = ra > 1 ? a.strides[ra - 2] : s.k;
    args_.ldc = s.n;
    b_row_ = rb > 1 ? b.strides[rb - 2] : b.strides[0];
    b_column_ = rb > 1 ? b.strides[rb - 1] : 1;
    panels_ = (s.n + k.panel_columns - 1) / k.panel_columns;
    packed_bytes_ = round_up(k.packed_bytes(s.k, s.n), kCacheLine);
    split_ = a_.size() >= static_cast<size_t>(2 * c.threads()) ? GemmSplit{} : split_gemm(s.m, s.n, s.k, k, c.threads());
    const int count = static_cast<int>(a_.size());
    workspace_bytes = packed_bytes_ * a_.size();
    phase_tasks = {count, count * split_.tasks()};
    kernel = k.name;
    why = "a product a batch entry, right side packed on the way";
  }

  void run(const Buffers& b, int phase, int task, int) const override {
    if (phase == 0) {
      const auto i = static_cast<size_t>(task);
      kernel_.pack(b.in<float>(1) + b_[i], b_row_, b_column_, args_.k, args_.n, 0, panels_, b.workspace + i * packed_bytes_);
      return;
    }
    const auto i = static_cast<size_t>(task / split_.tasks());
    const int part = task % split_.tasks();
    GemmArgs args = args_;
    args.a = b.in<float>(0) + a_[i];
    args.b = b.workspace + i * packed_bytes_;
    args.c = b.out<float>() + static_cast<int64_t>(i) * args.m * args.n;
    const int64_t tiles = (args.m + kernel_.tile_rows - 1) / kernel_.tile_rows;
    const Range rows = task_range(tiles, split_.row_parts, part / split_.panel_parts);
    const Range panels = task_range(panels_, split_.panel_parts, part % split_.panel_parts);
    kernel_.run(args, rows.begin * kernel_.tile_rows, std::min(rows.end * kernel_.tile_rows, args.m), panels.begin, panels.end);
  }

 private:
  GemmArgs args_;
  const GemmKernel& kernel_;
  std::vector<int64_t> a_, b_;
  int64_t b_row_ = 0, b_column_ = 0, panels_ = 0;
  size_t packed_bytes_ = 0;
  GemmSplit split_;
};

// Strides of the batch's axes, of rows and of columns.
Dims matrix_strides(const Operand& operand, bool left, const Shape& batch) {
  Operand matrices = operand;
  matrices.type.shape = with_matrix_axes(operand.type.shape, left);
  if (matrices.type.shape.rank() != operand.strides.rank()) matrices.strides.insert(left ? 0 : 1, 0);
  Shape all = batch;
  for (int i = 2; i > 0; --i) all.push_back(matrices.type.shape[matrices.type.shape.rank() - i]);
  return broadcast_strides(matrices, all);
}

Result<std::unique_ptr<Step>> prepare_matmul(const PrepareContext& c) {
  OXPLOW_ASSIGN(const BatchedShape s, batched_shape(c.in(0).type.shape, c.in(1).type.shape));
  if (c.in(0).type.dtype != DType::f32) {
    WideMatMul matmul{.batch = s.batch, .m = s.m, .n = s.n, .k = s.k, .y_row = s.n};
    matmul.a_strides = matrix_strides(c.in(0), true, s.batch);
    matmul.b_strides = matrix_strides(c.in(1), false, s.batch);
    return wide_matmul(c, matmul);
  }
  OXPLOW_ASSIGN(const GemmKernel* kernel, gemm_for(c, s.k, s.n));
  return std::unique_ptr<Step>(std::make_unique<BatchedMatMulStep>(c, s, *kernel));
}

// Left matrices want contiguous rows, right ones are packed from anywhere.
bool matmul_accepts(const PrepareContext& c, int i) { return i == 1 || c.in(0).rows_contiguous(); }

Cost matmul_cost(const PrepareContext& c) {
  const BatchedShape s = *batched_shape(c.in(0).type.shape, c.in(1).type.shape);
  return {.flops = 2.0 * static_cast<double>(elements_of(s.batch) * s.m * s.n * s.k),
          .bytes = static_cast<double>(c.in(0).type.bytes() + c.in(1).type.bytes() + c.out().type.bytes())};
}

bool linear_by_sample(const InferContext& c) {
  return c.shape(0).rank() > 1 && c.constant(1) && (!c.has(2) || c.constant(2)) && !c.constant(3);
}

}  // namespace

namespace ops {
constinit const OpSpec Linear{.name = "Linear",
                              .infer = infer_linear,
                              .prepare = prepare_linear,
                              .accepts_input = linear_accepts_input,
                              .accepts_output = linear_accepts_output,
                              .cost = linear_cost,
                              .required_inputs = 2,
                              .by_sample = linear_by_sample};
constinit const OpSpec MatMul{.name = "MatMul",
                              .infer = infer_matmul,
                              .prepare = prepare_matmul,
                              .accepts_input = matmul_accepts,
                              .cost = matmul_cost,
                              .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
