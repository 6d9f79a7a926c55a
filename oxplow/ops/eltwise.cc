// The elementwise ops of eltwise.inc: floating types through fused chains, integers, booleans and f64 an element at a time.

#include <cmath>

#include "oxplow/ops/chain.h"
#include "oxplow/ops/scalar_eltwise.h"
#include "oxplow/ops/shape_rules.h"
#include "oxplow/ops/strings.h"

namespace oxplow {
namespace {

enum class Kind { number, compare, logic, select };

struct Row {
  const char* name;
  EltwiseOp op;
  Kind kind;
  const char* alpha;
  float alpha_default;
  const char* beta;
  float beta_default;
};

constexpr Row kRows[] = {
#define OXPLOW_ELTWISE(name, op, kind, alpha, alpha_default, beta, beta_default) \
  {#name, EltwiseOp::op, Kind::kind, alpha, alpha_default, beta, beta_default},
#include "oxplow/ops/eltwise.inc"
#undef OXPLOW_ELTWISE
};

enum RowIndex : int {
#define OXPLOW_ELTWISE(name, op, kind, alpha, alpha_default, beta, beta_default) k##name,
#include "oxplow/ops/eltwise.inc"
#undef OXPLOW_ELTWISE
};

ChainStep step_of(const Row& row, const Attributes& attributes) {
  ChainStep step{.op = row.op, .a = 0, .b = 1, .c = 2, .alpha = row.alpha_default, .beta = row.beta_default};
  if (row.alpha[0]) step.alpha = attributes.number(row.alpha, row.alpha_default);
  if (row.beta[0]) step.beta = attributes.number(row.beta, row.beta_default);
  return step;
}

Result<TensorTypes> infer(const Row& row, const InferContext& c) {
  const int arity = arity_of(row.op);
  if (static_cast<int>(c.inputs.size()) != arity)
    return Error{ErrorCode::invalid_model, std::string(row.name) + " takes " + std::to_string(arity) + " inputs"};
  Shape shape = c.shape(0);
  const int first = row.kind == Kind::select ? 1 : 0;
  for (int i = 0; i < arity; ++i) {
    if (!c.has(i)) return Error{ErrorCode::invalid_model, "input " + std::to_string(i) + " is missing"};
    // An exponent may have a type of its own.
    if (i > first && c.type(i).dtype != c.type(first).dtype && row.op != EltwiseOp::pow) {
      return Error{ErrorCode::invalid_model, "inputs of types " + std::string(name_of(c.type(first).dtype)) + " and " +
                                                 std::string(name_of(c.type(i).dtype))};
    }
    if (i > 0) {
      OXPLOW_ASSIGN(shape, broadcast(shape, c.shape(i)));
    }
  }
  if (row.kind == Kind::select && c.type(0).dtype != DType::boolean) {
    return Error{ErrorCode::invalid_model, "a condition of type " + std::string(name_of(c.type(0).dtype))};
  }
  const bool boolean = row.kind == Kind::compare || row.kind == Kind::logic;
  return TensorTypes{{boolean ? DType::boolean : c.type(first).dtype, shape}};
}

bool in_chain(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16; }

Result<std::unique_ptr<Step>> prepare(const Row& row, const PrepareContext& context) {
  const ChainStep step = step_of(row, context.attributes);
  bool chain = false, all = true;
  for (const Operand& input : context.inputs) {
    chain = chain || in_chain(input.type.dtype);
    all = all && (in_chain(input.type.dtype) || input.type.dtype == DType::boolean);
  }
  if (chain && all) return prepare_chain(context, {&step, 1});
  return prepare_scalar(context, step);
}

template <int kIndex>
Result<TensorTypes> infer_row(const InferContext& c) {
  return infer(kRows[kIndex], c);
}

template <int kIndex>
Result<std::unique_ptr<Step>> prepare_row(const PrepareContext& context) {
  return prepare(kRows[kIndex], context);
}

// What comes here is strings: of numbers the shape rule knows everything.
template <int kIndex>
Result<std::vector<Datum>> compute_strings(const ComputeContext& c) {
  const std::string_view name = kRows[kIndex].name;
  if (name == "Equal") return equal_strings(c);
  if (name == "Select") return select_strings(c);
  return Error{ErrorCode::unsupported, std::string(name) + " of strings"};
}

// Integer results are written densely; floating ones anyhow.
bool writes_floats_anyhow(const PrepareContext& context, int i) { return in_chain(context.out(i).type.dtype); }

}  // namespace

std::optional<ChainStep> chain_step_of(const OpSpec& op, const Attributes& attributes) {
  for (const Row& row : kRows) {
    if (std::string_view(row.name) == op.name) return step_of(row, attributes);
  }
  return std::nullopt;
}

namespace ops {
#define OXPLOW_ELTWISE(op, function, kind, alpha, alpha_default, beta, beta_default) \
  constinit const OpSpec op{.name = #op,                                             \
                            .infer = infer_row<k##op>,                               \
                            .prepare = prepare_row<k##op>,                           \
                            .accepts_input = accepts_any,                            \
                            .accepts_output = writes_floats_anyhow,                  \
                            .by_sample = samples_broadcast,                          \
                            .compute = compute_strings<k##op>};
#include "oxplow/ops/eltwise.inc"
#undef OXPLOW_ELTWISE
}  // namespace ops
}  // namespace oxplow
