// Chain: several elementwise functions in one pass over memory. The fusion pass makes these; single elementwise ops run the same way.

#include "oxplow/ops/chain.h"

#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// About how long one element of a step takes one thread.
double nanoseconds(EltwiseOp op) {
  switch (op) {
    case EltwiseOp::exp:
    case EltwiseOp::erf:
    case EltwiseOp::tanh:
    case EltwiseOp::sigmoid:
    case EltwiseOp::silu:
    case EltwiseOp::gelu:
    case EltwiseOp::gelu_tanh:
    case EltwiseOp::log:
    case EltwiseOp::pow: return 1.0;
    default: return 0.05;
  }
}

Result<ChainArgs> chain_args(const PrepareContext& context, std::span<const ChainStep> steps) {
  const Shape& shape = context.out().type.shape;
  Shape extents = shape;
  std::vector<Dims> strides;
  for (const Operand& input : context.inputs) strides.push_back(broadcast_strides(input, shape));
  strides.push_back(context.out().strides);
  if (extents.empty()) {
    extents.push_back(1);
    for (Dims& s : strides) s.push_back(1);
  }
  merge_axes(extents, strides);
  if (extents.rank() > kMaxChainDims)
    return Error{ErrorCode::unsupported, "an elementwise function over more than 6 axes that cannot be merged"};
  ChainArgs args;
  args.dims = extents.rank();
  args.num_inputs = static_cast<int>(context.inputs.size());
  args.num_steps = static_cast<int>(steps.size());
  args.num_outputs = 1;
  std::copy(extents.begin(), extents.end(), args.extents);
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    args.inputs[i].type = context.inputs[i].type.dtype;
    std::copy(strides[i].begin(), strides[i].end(), args.inputs[i].strides);
  }
  std::copy(steps.begin(), steps.end(), args.steps);
  args.outputs[0].type = context.out().type.dtype;
  args.outputs[0].value = static_cast<uint8_t>(args.num_inputs + args.num_steps - 1);
  std::copy(strides.back().begin(), strides.back().end(), args.outputs[0].strides);
  OXPLOW_CHECK(is_valid(args));
  return args;
}

Result<TensorTypes> infer_chain(const InferContext& c) {
  Shape shape = c.shape(0);
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    OXPLOW_ASSIGN(shape, broadcast(shape, c.shape(static_cast<int>(i))));
  }
  return TensorTypes{{static_cast<DType>(c.attributes.integer("dtype", 0)), shape}};
}

Result<std::unique_ptr<Step>> prepare_chain_node(const PrepareContext& context) {
  return prepare_chain(context, chain_steps(context.attributes));
}

}  // namespace

void set_chain_steps(Attributes& attributes, std::span<const ChainStep> steps) {
  std::vector<int64_t> codes;
  std::vector<float> numbers;
  for (const ChainStep& step : steps) {
    codes.insert(codes.end(), {static_cast<int64_t>(step.op), step.a, step.b, step.c});
    numbers.insert(numbers.end(), {step.alpha, step.beta});
  }
  attributes.set("steps", codes);
  attributes.set("numbers", numbers);
}

std::vector<ChainStep> chain_steps(const Attributes& attributes) {
  const auto codes = attributes.integers("steps");
  const auto numbers = attributes.numbers("numbers");
  std::vector<ChainStep> steps;
  for (size_t i = 0; i + 3 < codes.size(); i += 4) {
    steps.push_back({static_cast<EltwiseOp>(codes[i]), static_cast<uint8_t>(codes[i + 1]), static_cast<uint8_t>(codes[i + 2]),
                     static_cast<uint8_t>(codes[i + 3]), numbers[i / 2], numbers[i / 2 + 1]});
  }
  return steps;
}

Result<std::unique_ptr<Step>> prepare_chain(const PrepareContext& context, std::span<const ChainStep> steps) {
  OXPLOW_ASSIGN(const ChainArgs args, chain_args(context, steps));
  double per_element = 0.1;
  for (const ChainStep& step : steps) per_element += nanoseconds(step.op);
  constexpr int64_t kGrain = 4096;
  const int64_t elements = args.elements();
  const int64_t units = (elements + kGrain - 1) / kGrain;
  const int tasks = task_count(units, per_element * kGrain, context.threads());
  const EltwiseKernels& kernels = eltwise_kernels(context.isa);
  auto step = make_step("chain", tasks, [args, &kernels, tasks, units, elements](const Buffers& b, int task, int) {
    ChainArgs bound = args;
    for (int i = 0; i < bound.num_inputs; ++i) bound.inputs[i].data = b.inputs[i];
    bound.outputs[0].data = b.outputs[0];
    const Range range = task_range(units, tasks, task);
    kernels.chain(bound, range.begin * kGrain, std::min(range.end * kGrain, elements));
  });
  step->kernel = "chain";
  for (const ChainStep& s : steps) step->kernel += " " + std::string(name_of(s.op));
  step->why = "elementwise";
  return step;
}

namespace ops {
constinit const OpSpec Chain{.name = "Chain",
                             .infer = infer_chain,
                             .prepare = prepare_chain_node,
                             .accepts_input = accepts_any,
                             .accepts_output = writes_any,
                             .by_sample = samples_broadcast};
}  // namespace ops
}  // namespace oxplow
