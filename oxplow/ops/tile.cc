// Ops that are one strided copy.
//   Tile: y is x repeated repeats[d] times along each axis d.
//   DepthToSpace: blocks of channels become blocks of pixels, [N, C b b, H, W] -> [N, C, H b, W b]; mode "DCR" (block before channel)
//   or "CRD". SpaceToDepth: its inverse.

#include "oxplow/kernels/copy/copy.h"
#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

// One copy of elements that lie under `extents` with these strides on either side.
Result<std::unique_ptr<Step>> strided_copy(const PrepareContext& c, std::string_view op, const Shape& extents, const Dims& from,
                                           const Dims& to) {
  const DType dtype = c.out().type.dtype;
  OXPLOW_ASSIGN([[maybe_unused]] const int64_t bytes, element_bytes(dtype, op));
  const CopyPlan plan = plan_copy(dtype, dtype, extents, from, to);
  const CopyKernels& kernels = copy_kernels(c.isa);
  const int tasks = task_count(plan.units, static_cast<double>(plan.unit_bytes) * 0.1, c.threads());
  auto step = make_step(std::string("copy_") + kernels.isa, tasks, [plan, &kernels, tasks](const Buffers& b, int task, int) {
    const Range range = task_range(plan.units, tasks, task);
    kernels.run(plan, b.inputs[0], b.outputs[0], range.begin, range.end);
  });
  step->why = "elements move";
  return step;
}

Result<TensorTypes> infer_tile(const InferContext& c) {
  OXPLOW_ASSIGN(const auto repeats, c.integers(1, "repeats"));
  TensorType type = c.type(0);
  if (repeats.size() != type.shape.size())
    return Error{ErrorCode::invalid_model, std::to_string(repeats.size()) + " repeats for the axes of " + to_string(type.shape)};
  int axes = 0;
  for (int d = 0; d < type.shape.rank(); ++d) {
    const int64_t times = repeats[static_cast<size_t>(d)];
    axes += times == 1 || type.shape[d] == 1 ? 1 : 2;
    if (times < 0 || __builtin_mul_overflow(type.shape[d], times, &type.shape[d]))
      return Error{ErrorCode::invalid_model, "impossible repeats"};
  }
  if (axes > kMaxRank) return Error{ErrorCode::unsupported, "a Tile of more than five axes at once"};
  return TensorTypes{type};
}

Result<std::unique_ptr<Step>> prepare_tile(const PrepareContext& c) {
  const Operand &x = c.in(0), &y = c.out();
  Shape extents;
  Dims from, to;
  for (int d = 0; d < x.type.shape.rank(); ++d) {
    const int64_t extent = x.type.shape[d], times = extent == 0 ? 0 : y.type.shape[d] / extent;
    if (times != 1) {
      extents.push_back(times);
      from.push_back(0);
      to.push_back(y.strides[d] * extent);
    }
    if (times == 1 || extent != 1) {
      extents.push_back(extent);
      from.push_back(x.strides[d]);
      to.push_back(y.strides[d]);
    }
  }
  return strided_copy(c, "Tile", extents, from, to);
}

Result<int64_t> block_of(const InferContext& c) {
  const int64_t block = c.attributes.integer("blocksize", 0);
  if (c.shape(0).rank() != 4 || block < 1 || block > (int64_t{1} << 20))
    return Error{ErrorCode::invalid_model, "blocks of " + std::to_string(block) + " in " + to_string(c.type(0))};
  return block;
}

// Whether the channels of a block lie with its pixels apart ("DCR"), or a channel's pixels together ("CRD").
Result<bool> block_first(const Attributes& attributes) {
  const std::string mode = attributes.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return Error{ErrorCode::unsupported, "the mode '" + mode + "'"};
  return mode == "DCR";
}

Result<TensorTypes> infer_depth_to_space(const InferContext& c) {
  OXPLOW_ASSIGN(const int64_t block, block_of(c));
  const Shape& x = c.shape(0);
  OXPLOW_ASSIGN([[maybe_unused]] const bool apart, block_first(c.attributes));
  Shape to{x[0], x[1] / (block * block), x[2], x[3]};
  if (x[1] % (block * block) != 0 || __builtin_mul_overflow(x[2], block, &to[2]) || __builtin_mul_overflow(x[3], block, &to[3]))
    return Error{ErrorCode::invalid_model, "blocks of " + std::to_string(block) + " in " + to_string(c.type(0))};
  return TensorTypes{{c.type(0).dtype, to}};
}

Result<std::unique_ptr<Step>> prepare_depth_to_space(const PrepareContext& c) {
  const Operand &x = c.in(0), &y = c.out();
  const int64_t block = *block_of(c.infer()), channels = y.type.shape[1], channel = x.strides[1];
  const bool apart = *block_first(c.attributes);
  const int64_t across = apart ? channels * channel : channel;  // from one column of a block to the next
  // [n, channel, row, row in block, column, column in block]
  const Shape extents{x.type.shape[0], channels, x.type.shape[2], block, x.type.shape[3], block};
  const Dims from{x.strides[0], apart ? channel : block * block * channel, x.strides[2], block * across, x.strides[3], across};
  const Dims to{y.strides[0], y.strides[1], block * y.strides[2], y.strides[2], block * y.strides[3], y.strides[3]};
  return strided_copy(c, "DepthToSpace", extents, from, to);
}

Result<TensorTypes> infer_space_to_depth(const InferContext& c) {
  OXPLOW_ASSIGN(const int64_t block, block_of(c));
  OXPLOW_ASSIGN([[maybe_unused]] const bool apart, block_first(c.attributes));
  const Shape& x = c.shape(0);
  Shape to{x[0], x[1], x[2] / block, x[3] / block};
  if (x[2] % block != 0 || x[3] % block != 0 || __builtin_mul_overflow(x[1], block * block, &to[1]))
    return Error{ErrorCode::invalid_model, "blocks of " + std::to_string(block) + " in " + to_string(c.type(0))};
  return TensorTypes{{c.type(0).dtype, to}};
}

Result<std::unique_ptr<Step>> prepare_space_to_depth(const PrepareContext& c) {
  const Operand &x = c.in(0), &y = c.out();
  const int64_t block = *block_of(c.infer()), channels = x.type.shape[1];
  // [n, row in block, column in block, channel, row, column]
  const Shape extents{x.type.shape[0], block, block, channels, y.type.shape[2], y.type.shape[3]};
  const Dims from{x.strides[0], x.strides[2], x.strides[3], x.strides[1], block * x.strides[2], block * x.strides[3]};
  const bool apart = *block_first(c.attributes);
  const int64_t channel = y.strides[1], column = apart ? channels * channel : channel;
  const Dims to{y.strides[0], block * column, column, apart ? channel : block * block * channel, y.strides[2], y.strides[3]};
  return strided_copy(c, "SpaceToDepth", extents, from, to);
}

bool copy_accepts(const PrepareContext&, int i) { return i == 0; }

}  // namespace

namespace ops {
constinit const OpSpec Tile{.name = "Tile",
                            .infer = infer_tile,
                            .prepare = prepare_tile,
                            .accepts_input = copy_accepts,
                            .accepts_output = writes_any,
                            .required_inputs = 2};
constinit const OpSpec DepthToSpace{.name = "DepthToSpace",
                                    .infer = infer_depth_to_space,
                                    .prepare = prepare_depth_to_space,
                                    .accepts_input = copy_accepts,
                                    .accepts_output = writes_any};
constinit const OpSpec SpaceToDepth{.name = "SpaceToDepth",
                                    .infer = infer_space_to_depth,
                                    .prepare = prepare_space_to_depth,
                                    .accepts_input = copy_accepts,
                                    .accepts_output = writes_any};
}  // namespace ops
}  // namespace oxplow
