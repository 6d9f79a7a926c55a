// Ops whose results are random; the same for any number of threads.
//   RandomUniform in [low, high) and RandomNormal(mean, scale): extents by attribute shape; ...Like: by the input's. Attribute dtype.
//   Bernoulli: 1 with the probability that the input says, else 0.
//   Multinomial: sample_size classes for each row of logarithms of probabilities that need not add up to 1.
//   Dropout: y = x / (1 - ratio) with probability 1 - ratio, else 0, where input 2 says that this is training, else x; output 1 says which
//   elements stayed. Input 1 is the ratio (0.5).
// With attribute seed, the first run of a plan always gives the same numbers, the next run the next ones; without it all differ.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <random>

#include "oxplow/base/elements.h"
#include "oxplow/base/random_numbers.h"
#include "oxplow/ops/op.h"
#include "oxplow/ops/runs.h"

namespace oxplow {
namespace {

// A sequence of random numbers of this run.
struct Sequence {
  uint64_t key, run;
  double uniform(int64_t i) const { return uniform_number(key, run, static_cast<uint64_t>(i)); }
  double normal(int64_t i) const { return normal_number(key, run, static_cast<uint64_t>(i)); }
};

uint64_t key_of(const Attributes& attributes) {
  if (attributes.has("seed"))
    return std::bit_cast<uint32_t>(attributes.number("seed", static_cast<float>(attributes.integer("seed", 0))));
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// function(buffers, sequence, range) on ranges of `units`, after one task has taken the run's number.
template <typename Function>
class RandomStep final : public Step {
 public:
  RandomStep(const PrepareContext& c, std::string name, int64_t units, double nanoseconds, Function f)
      : key_(key_of(c.attributes)), units_(units), function_(std::move(f)) {
    phase_tasks = {1, task_count(units, nanoseconds, c.threads())};
    workspace_bytes = sizeof(uint64_t);
    kernel = std::move(name);
    why = c.attributes.has("seed") ? "from the model's seed" : "from a seed of this plan";
  }
  void run(const Buffers& b, int phase, int task, int) const override {
    auto* run = reinterpret_cast<uint64_t*>(b.workspace);
    if (phase == 0) {
      *run = runs_.fetch_add(1, std::memory_order_relaxed);
    } else {
      function_(b, Sequence{key_, *run}, task_range(units_, phase_tasks[1], task));
    }
  }

 private:
  uint64_t key_;
  int64_t units_;
  Function function_;
  mutable std::atomic<uint64_t> runs_ = 0;
};

template <typename Function>
std::unique_ptr<Step> random_step(const PrepareContext& c, std::string name, int64_t units, double nanoseconds, Function f) {
  return std::make_unique<RandomStep<Function>>(c, std::move(name), units, nanoseconds, std::move(f));
}

// A step that gives value(buffers, sequence, i) for each element i of output 0.
template <typename Value>
std::unique_ptr<Step> random_elements(const PrepareContext& c, std::string name, Value value) {
  const TensorType y = c.out().type;
  const int64_t elements = y.elements(), blocks = (elements + kRunBlock - 1) / kRunBlock;
  return random_step(c, std::move(name), blocks, 20.0 * kRunBlock, [=](const Buffers& b, const Sequence& sequence, Range range) {
    double block[kRunBlock];
    for (int64_t i = range.begin * kRunBlock; i < std::min(range.end * kRunBlock, elements); i += kRunBlock) {
      const int64_t n = std::min(kRunBlock, elements - i);
      for (int64_t k = 0; k < n; ++k) block[k] = value(b, sequence, i + k);
      store_elements(y.dtype, b.outputs[0], i, 1, n, block);
    }
  });
}

// The type that attribute dtype says.
Result<DType> stated_type(const InferContext& c, DType otherwise) {
  const int64_t code = c.attributes.integer("dtype", static_cast<int64_t>(otherwise));
  if (code < 0 || code >= kDTypes || !is_arithmetic(static_cast<DType>(code)))
    return Error{ErrorCode::unsupported, "random numbers of type " + std::to_string(code)};
  return static_cast<DType>(code);
}

Result<TensorTypes> infer_shaped(const InferContext& c) {
  OXPLOW_ASSIGN(const DType dtype, stated_type(c, DType::f32));
  if (!c.attributes.has("shape")) return Error{ErrorCode::invalid_model, "the shape is missing"};
  const auto extents = c.attributes.integers("shape");
  if (extents.size() > static_cast<size_t>(kMaxRank)) return Error{ErrorCode::unsupported, "more than 10 axes"};
  return TensorTypes{{dtype, Shape(std::span<const int64_t>(extents))}};
}

Result<TensorTypes> infer_like(const InferContext& c) {
  OXPLOW_ASSIGN(const DType dtype, stated_type(c, c.type(0).dtype));
  return TensorTypes{{dtype, c.shape(0)}};
}

Result<std::unique_ptr<Step>> prepare_uniform(const PrepareContext& c) {
  const auto low = static_cast<double>(c.attributes.number("low", 0)), high = static_cast<double>(c.attributes.number("high", 1));
  return random_elements(c, "random_uniform",
                         [=](const Buffers&, const Sequence& s, int64_t i) { return low + (high - low) * s.uniform(i); });
}

Result<std::unique_ptr<Step>> prepare_normal(const PrepareContext& c) {
  const auto mean = static_cast<double>(c.attributes.number("mean", 0)),
             scale = static_cast<double>(c.attributes.number("scale", 1));
  return random_elements(c, "random_normal",
                         [=](const Buffers&, const Sequence& s, int64_t i) { return mean + scale * s.normal(i); });
}

Result<std::unique_ptr<Step>> prepare_bernoulli(const PrepareContext& c) {
  const DType dtype = c.in(0).type.dtype;
  return random_elements(c, "bernoulli", [dtype](const Buffers& b, const Sequence& s, int64_t i) {
    double probability;
    load_elements(dtype, b.inputs[0], i, 1, 1, &probability);
    return s.uniform(i) < probability ? 1.0 : 0.0;
  });
}

Result<TensorTypes> infer_multinomial(const InferContext& c) {
  OXPLOW_ASSIGN(const DType dtype, stated_type(c, DType::i32));
  const int64_t samples = c.attributes.integer("sample_size", 1);
  if (c.shape(0).rank() != 2 || c.shape(0)[1] == 0 || !is_float(c.type(0).dtype) || samples < 0)
    return Error{ErrorCode::invalid_model, "samples by probabilities of " + to_string(c.type(0)) + "; [rows, classes] would do"};
  return TensorTypes{{dtype, Shape{c.shape(0)[0], samples}}};
}

Result<std::unique_ptr<Step>> prepare_multinomial(const PrepareContext& c) {
  const DType from = c.in(0).type.dtype, to = c.out().type.dtype;
  const int64_t rows = c.in(0).type.shape[0], classes = c.in(0).type.shape[1], samples = c.out().type.shape[1];
  const double nanoseconds = 20.0 * static_cast<double>(classes) * static_cast<double>(samples + 1);
  return random_step(c, "multinomial", rows, nanoseconds, [=](const Buffers& b, const Sequence& s, Range range) {
    const auto score = [&](int64_t row, int64_t k) {
      double x;
      load_elements(from, b.inputs[0], row * classes + k, 1, 1, &x);
      return x;
    };
    for (int64_t row = range.begin; row < range.end; ++row) {
      double greatest = -INFINITY, total = 0;
      for (int64_t k = 0; k < classes; ++k) greatest = std::max(greatest, score(row, k));
      for (int64_t k = 0; k < classes; ++k) total += std::exp(score(row, k) - greatest);
      for (int64_t i = row * samples; i < (row + 1) * samples; ++i) {
        double rest = s.uniform(i) * total;
        int64_t chosen = 0;
        while (chosen + 1 < classes && (rest -= std::exp(score(row, chosen) - greatest)) >= 0) ++chosen;
        store_elements(to, b.outputs[0], i, 1, 1, &chosen);
      }
    }
  });
}

Result<TensorTypes> infer_dropout(const InferContext& c) {
  if (!is_float(c.type(0).dtype)) return Error{ErrorCode::unsupported, "Dropout of " + to_string(c.type(0))};
  for (int i : {1, 2}) {
    if (c.has(i) && (elements_of(c.shape(i)) != 1 || (i == 1 ? !is_float(c.type(i).dtype) : c.type(i).dtype != DType::boolean)))
      return Error{ErrorCode::invalid_model, "a ratio or training mode of " + to_string(c.type(i))};
  }
  return TensorTypes{c.type(0), {DType::boolean, c.shape(0)}};
}

Result<std::unique_ptr<Step>> prepare_dropout(const PrepareContext& c) {
  const DType dtype = c.in(0).type.dtype, ratio_type = c.has(1) ? c.in(1).type.dtype : DType::f32;
  const bool has_ratio = c.has(1), has_mode = c.has(2), writes = c.out().present,
             has_mask = c.outputs.size() > 1 && c.out(1).present;
  const int64_t elements = c.in(0).type.elements(), blocks = (elements + kRunBlock - 1) / kRunBlock;
  return random_step(c, "dropout", blocks, 20.0 * kRunBlock, [=](const Buffers& b, const Sequence& s, Range range) {
    double ratio = 0.5;
    if (has_ratio) load_elements(ratio_type, b.inputs[1], 0, 1, 1, &ratio);
    if (!has_mode || !*b.in<bool>(2)) ratio = 0;
    double x[kRunBlock], kept[kRunBlock];
    for (int64_t i = range.begin * kRunBlock; i < std::min(range.end * kRunBlock, elements); i += kRunBlock) {
      const int64_t n = std::min(kRunBlock, elements - i);
      load_elements(dtype, b.inputs[0], i, 1, n, x);
      for (int64_t k = 0; k < n; ++k) {
        kept[k] = ratio == 0 || s.uniform(i + k) >= ratio ? 1 : 0;
        x[k] = kept[k] != 0 ? x[k] / (1 - ratio) : 0;
      }
      if (writes) store_elements(dtype, b.outputs[0], i, 1, n, x);
      if (has_mask) store_elements(DType::boolean, b.outputs[1], i, 1, n, kept);
    }
  });
}

}  // namespace

namespace ops {
constinit const OpSpec RandomUniform{
    .name = "RandomUniform", .infer = infer_shaped, .prepare = prepare_uniform, .required_inputs = 0, .impure = true};
constinit const OpSpec RandomNormal{
    .name = "RandomNormal", .infer = infer_shaped, .prepare = prepare_normal, .required_inputs = 0, .impure = true};
constinit const OpSpec RandomUniformLike{
    .name = "RandomUniformLike", .infer = infer_like, .prepare = prepare_uniform, .impure = true};
constinit const OpSpec RandomNormalLike{
    .name = "RandomNormalLike", .infer = infer_like, .prepare = prepare_normal, .impure = true};
constinit const OpSpec Bernoulli{.name = "Bernoulli", .infer = infer_like, .prepare = prepare_bernoulli, .impure = true};
constinit const OpSpec Multinomial{
    .name = "Multinomial", .infer = infer_multinomial, .prepare = prepare_multinomial, .impure = true};
constinit const OpSpec Dropout{.name = "Dropout", .infer = infer_dropout, .prepare = prepare_dropout, .impure = true};
}  // namespace ops
}  // namespace oxplow
