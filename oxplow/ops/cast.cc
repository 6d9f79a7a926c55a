// Elements in another type. Floats to integers truncate and saturate (below 8 bits they wrap; NaN gives 0), anything to boolean is "not zero".
//   Cast: to the type of attribute `to`.   CastLike: to the type of input 1, whose values nobody reads.
//   Attributes for small floats: saturate (1), round_mode of f8e8m0 (up, down, nearest).

#include "oxplow/base/elements.h"
#include "oxplow/ops/copy.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/strings.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_cast(const InferContext& c) {
  const int64_t code = c.attributes.integer("to", -1);
  if (code < 0 || code >= kDTypes) return Error{ErrorCode::invalid_model, "a cast to type " + std::to_string(code)};
  return TensorTypes{{static_cast<DType>(code), c.shape(0)}};
}

Result<TensorTypes> infer_cast_like(const InferContext& c) { return TensorTypes{{c.type(1).dtype, c.shape(0)}}; }

SmallFloatRounding rounding_of(const Attributes& attributes) {
  SmallFloatRounding rounding;
  rounding.saturate = attributes.integer("saturate", 1) != 0;
  const std::string mode = attributes.text("round_mode", "up");
  rounding.power = mode == "down" ? PowerRounding::down : mode == "nearest" ? PowerRounding::nearest : PowerRounding::up;
  return rounding;
}

// Elements [begin, end) of dense tensors.
void cast_elements(const TensorType& from, const void* x, DType to, void* y, Range range, const SmallFloatRounding& rounding) {
  visit_wide(from.dtype, [&](auto wide) {
    decltype(wide) block[kRunBlock];
    for (int64_t i = range.begin; i < range.end; i += kRunBlock) {
      const int64_t n = std::min(kRunBlock, range.end - i);
      load_elements(from.dtype, x, i, 1, n, block);
      store_elements(to, y, i, 1, n, block, rounding);
    }
  });
}

// The vector kernels' types.
bool copies(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16; }

Result<std::unique_ptr<Step>> prepare_cast(const PrepareContext& c) {
  const TensorType from = c.in(0).type;
  const DType to = c.out().type.dtype;
  if (from.dtype == to || (copies(from.dtype) && copies(to)))
    return prepare_copy({c.attributes, c.inputs.first(1), c.outputs, c.isa, c.pool, c.packs});
  const SmallFloatRounding rounding = rounding_of(c.attributes);
  const int64_t elements = from.elements(), blocks = (elements + kRunBlock - 1) / kRunBlock;
  const int tasks = task_count(blocks, 1.0 * kRunBlock, c.threads());
  return make_step("cast", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(blocks, tasks, task);
    cast_elements(from, b.inputs[0], to, b.outputs[0], {range.begin * kRunBlock, std::min(range.end * kRunBlock, elements)},
                  rounding);
  });
}

// A constant in the type that input 1 turns out to have.
std::optional<Tensor> known_cast_like(const InferContext& c) {
  const Tensor* x = c.constant(0);
  if (x == nullptr || x->elements() > kRunBlock || x->dtype() == DType::string || c.type(1).dtype == DType::string)
    return std::nullopt;
  auto y = Tensor::allocate({c.type(1).dtype, x->shape()});
  if (!y.ok()) return std::nullopt;
  cast_elements(x->type(), x->data(), y->dtype(), y->mutable_data(), {0, x->elements()}, rounding_of(c.attributes));
  return y.take();
}

bool cast_accepts(const PrepareContext& c, int i) { return i == 1 || (copies(c.in(0).type.dtype) && copies(c.out().type.dtype)); }

// Samples that begin within a byte stay together.
bool cast_by_sample(const InferContext& c) {
  return bits_of(c.type(0).dtype) >= 8 && bits_of(static_cast<DType>(c.attributes.integer("to", 0))) >= 8;
}

bool cast_writes(const PrepareContext& c, int i) { return copies(c.in(0).type.dtype) && copies(c.out(i).type.dtype); }

}  // namespace

namespace ops {
constinit const OpSpec Cast{.name = "Cast",
                            .infer = infer_cast,
                            .prepare = prepare_cast,
                            .accepts_input = cast_accepts,
                            .accepts_output = cast_writes,
                            .by_sample = cast_by_sample,
                            .compute = cast_strings};
constinit const OpSpec CastLike{.name = "CastLike",
                                .infer = infer_cast_like,
                                .prepare = prepare_cast,
                                .known = known_cast_like,
                                .accepts_input = cast_accepts,
                                .accepts_output = cast_writes,
                                .required_inputs = 2,
                                .compute = cast_strings};
}  // namespace ops
}  // namespace oxplow
