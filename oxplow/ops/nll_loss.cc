// NegativeLogLikelihoodLoss: with x [N, C, d...] and classes t [N, d...], the loss of a position is -w[t] x[t], w being input 2 or 1. Attribute
// reduction: none (a loss a position), sum, or mean (the sum over that of the w[t]). Positions of class ignore_index have neither loss nor
// weight, nor do classes that there are not: they are data, and a run must not fail.

#include <cmath>

#include "oxplow/base/elements.h"
#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

enum class Reduction { none, sum, mean };

Result<Reduction> reduction_of(const Attributes& attributes) {
  const std::string name = attributes.text("reduction", "mean");
  if (name == "none") return Reduction::none;
  if (name == "sum") return Reduction::sum;
  if (name == "mean") return Reduction::mean;
  return Error{ErrorCode::invalid_model, "reduction must be none, sum or mean"};
}

Result<TensorTypes> infer_nll(const InferContext& c) {
  OXPLOW_ASSIGN(const Reduction reduction, reduction_of(c.attributes));
  const Shape &x = c.shape(0), &classes = c.shape(1);
  if (!is_float(c.type(0).dtype)) return Error{ErrorCode::unsupported, "a loss of " + to_string(c.type(0))};
  if (c.type(1).dtype != DType::i32 && c.type(1).dtype != DType::i64)
    return Error{ErrorCode::invalid_model, "classes must be i32 or i64"};
  Shape positions = x;
  if (x.rank() >= 2) positions.erase(1);
  if (x.rank() < 2 || classes != positions)
    return Error{ErrorCode::invalid_model, "classes of " + to_string(classes) + " for scores of " + to_string(x)};
  if (c.has(2) && c.type(2) != TensorType{c.type(0).dtype, Shape{x[1]}})
    return Error{ErrorCode::invalid_model, "weights of " + to_string(c.type(2)) + " for " + std::to_string(x[1]) + " classes"};
  return TensorTypes{{c.type(0).dtype, reduction == Reduction::none ? positions : Shape{}}};
}

struct Losses {
  DType dtype, class_dtype;
  int64_t classes, inner;  // positions of an image
  bool weighted;
  std::optional<int64_t> ignored;

  struct Loss {
    double value = 0, weight = 0;
  };
  Loss at(const Buffers& b, int64_t position) const {
    int64_t label;
    load_elements(class_dtype, b.inputs[1], position, 1, 1, &label);
    if (label == ignored || label < 0 || label >= classes) return {};
    double x, w = 1;
    load_elements(dtype, b.inputs[0], (position / inner * classes + label) * inner + position % inner, 1, 1, &x);
    if (weighted) load_elements(dtype, b.inputs[2], label, 1, 1, &w);
    return {-w * x, w};
  }
};

Result<std::unique_ptr<Step>> prepare_nll(const PrepareContext& c) {
  const Shape& x = c.in(0).type.shape;
  const Reduction reduction = *reduction_of(c.attributes);
  Losses losses{c.in(0).type.dtype, c.in(1).type.dtype, x[1], product(x, 2, x.rank()), c.has(2), std::nullopt};
  if (c.attributes.has("ignore_index")) losses.ignored = c.attributes.integer("ignore_index", 0);
  const int64_t positions = c.in(1).type.elements();
  if (reduction == Reduction::none) {
    const int tasks = task_count(positions, 20, c.threads());
    return make_step("nll_loss", tasks, [=](const Buffers& b, int task, int) {
      const Range range = task_range(positions, tasks, task);
      for (int64_t i = range.begin; i < range.end; ++i) {
        const double loss = losses.at(b, i).value;
        store_elements(losses.dtype, b.outputs[0], i, 1, 1, &loss);
      }
    });
  }
  return make_step("nll_loss", 1, [=](const Buffers& b, int, int) {
    Losses::Loss total;
    for (int64_t i = 0; i < positions; ++i) {
      const auto loss = losses.at(b, i);
      total.value += loss.value;
      total.weight += loss.weight;
    }
    if (reduction == Reduction::mean) total.value /= total.weight;
    store_elements(losses.dtype, b.outputs[0], 0, 1, 1, &total.value);
  });
}

}  // namespace

namespace ops {
constinit const OpSpec NegativeLogLikelihoodLoss{
    .name = "NegativeLogLikelihoodLoss", .infer = infer_nll, .prepare = prepare_nll, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
