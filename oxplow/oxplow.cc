#define OXPLOW_INSIDE  // here oxplow::Model is the library's own, v1::Model the public one
#include "oxplow/oxplow.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "oxplow/base/cpu_budget.h"
#include "oxplow/base/printable.h"
#include "oxplow/formats/artifact.h"
#include "oxplow/graph/artifact.h"
#include "oxplow/graph/import/onnx.h"
#include "oxplow/graph/model.h"
#include "oxplow/tensor/strings.h"

namespace oxplow::v1 {

#define OXPLOW_DTYPE(name, bits, type)                                                    \
  static_assert(static_cast<int>(DType::name) == static_cast<int>(oxplow::DType::name) && \
                oxplow::bits_of(oxplow::DType::name) == bits);
#include "oxplow/base/dtype.inc"
#undef OXPLOW_DTYPE
static_assert(static_cast<int>(ErrorCode::invalid_argument) == static_cast<int>(oxplow::ErrorCode::invalid_argument) &&
              static_cast<int>(ErrorCode::internal) == static_cast<int>(oxplow::ErrorCode::internal));
static_assert(kMaxRank == oxplow::kMaxRank);

namespace {

oxplow::DType inside(DType dtype) { return static_cast<oxplow::DType>(dtype); }
DType outside(oxplow::DType dtype) { return static_cast<DType>(dtype); }
Error outside(const oxplow::Error& error) {
  const auto code = error.code == oxplow::ErrorCode::needs_values ? ErrorCode::unsupported : static_cast<ErrorCode>(error.code);
  return {code, printable(error.message)};
}
Shape outside(const Dims& dims) { return Shape(std::span(dims.begin(), dims.size())); }

oxplow::TensorType type_of(const Tensor& tensor) {
  return {inside(tensor.dtype()), Dims(std::span(tensor.shape().begin(), tensor.shape().size()))};
}

Error invalid(std::string message) { return {ErrorCode::invalid_argument, std::move(message)}; }

Result<oxplow::TensorType> possible_type(DType dtype, const Shape& shape) {
  if (static_cast<int>(dtype) >= oxplow::kDTypes) return invalid("an element type that there is not");
  if (!shape.possible())
    return invalid("a shape of " + std::to_string(shape.size()) + " axes; at most " + std::to_string(kMaxRank) + " can be");
  oxplow::TensorType type{inside(dtype), Dims(std::span(shape.begin(), shape.size()))};
  if (!is_possible(type)) return invalid("no tensor can be " + to_string(type));
  return type;
}

bool overlap(const Tensor& a, const Tensor& b) {
  const auto begin = [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.data()); };
  return a.bytes() > 0 && b.bytes() > 0 && begin(a) < begin(b) + b.bytes() && begin(b) < begin(a) + a.bytes();
}

oxplow::Tensor inside(const Tensor& tensor, std::shared_ptr<const void> owner) {
  return oxplow::Tensor::borrow(type_of(tensor), tensor.data(), std::move(owner));
}

// The copy of a tensor that the owner keeps keeps the memory.
Datum inside(const Value& value) {
  const auto kept = [](const Tensor& tensor) { return inside(tensor, std::make_shared<const Tensor>(tensor)); };
  switch (value.kind()) {
    case Value::Kind::nothing: return {};
    case Value::Kind::tensor: return inside(value.tensor(), nullptr);
    case Value::Kind::map: return Map{kept(value.keys()), kept(value.values())};
    case Value::Kind::sequence: break;
  }
  Sequence elements;
  for (const Value& element : value.elements()) {
    // A map or nothing is no deeper; sequences of sequences are nobody's input.
    elements.push_back(element.kind() == Value::Kind::sequence ? Datum() : inside(element));
  }
  return elements;
}

Result<Tensor> outside(const oxplow::Tensor& tensor) {
  return Tensor::borrow(outside(tensor.dtype()), outside(tensor.shape()), const_cast<void*>(tensor.data()), tensor.owner());
}

Result<Value> outside(const Datum& datum) {
  if (datum.empty()) return Value();
  if (datum.tensor()) {
    auto tensor = outside(*datum.tensor());
    return tensor.ok() ? Result<Value>(tensor.take()) : tensor.error();
  }
  if (datum.map()) {
    auto keys = outside(datum.map()->keys), values = outside(datum.map()->values);
    if (!keys.ok() || !values.ok()) return keys.ok() ? values.error() : keys.error();
    return Value(keys.take(), values.take());
  }
  std::vector<Value> elements;
  for (const Datum& element : *datum.sequence()) {
    auto value = outside(element);
    if (!value.ok()) return value.error();
    elements.push_back(value.take());
  }
  return Value(std::move(elements));
}

TensorInfo outside(const DeclaredTensor& declared) {
  TensorInfo info{.name = declared.name,
                  .dtype = outside(declared.dtype),
                  .any_type = declared.any_type,
                  .any_rank = !declared.dims,
                  .tensor = declared.tensor,
                  .axes = {}};
  if (declared.dims) {
    for (const DeclaredDim& dim : *declared.dims) info.axes.push_back({dim.value, dim.symbol});
  }
  return info;
}

}  // namespace

const char* version() { return OXPLOW_VERSION; }

void abort_because(const char* programming_error) {
  std::fprintf(stderr, "oxplow: %s\n", programming_error);
  std::abort();
}

const char* name_of(ErrorCode code) { return error_code_name(static_cast<oxplow::ErrorCode>(code)); }
const char* name_of(DType dtype) { return oxplow::name_of(inside(dtype)).data(); }
int bits_of(DType dtype) { return oxplow::bits_of(inside(dtype)); }

std::string to_string(const TensorInfo& info) {
  DeclaredTensor declared{.name = {}, .dtype = inside(info.dtype), .dims = std::nullopt, .any_type = info.any_type};
  if (!info.any_rank) {
    declared.dims.emplace();
    for (const Axis& axis : info.axes) declared.dims->push_back({axis.extent, axis.name});
  }
  return oxplow::to_string(declared);
}

// --------------------------------------------------------------------------------------------------------------- tensors

Result<Tensor> Tensor::allocate(DType dtype, const Shape& shape) {
  auto type = possible_type(dtype, shape);
  if (!type.ok()) return type.error();
  auto memory = oxplow::Tensor::allocate(*type);
  if (!memory.ok()) return outside(memory.error());
  return borrow(dtype, shape, memory->mutable_data(), memory->owner());
}

Result<Tensor> Tensor::borrow(DType dtype, const Shape& shape, void* data, std::shared_ptr<const void> owner) {
  auto type = possible_type(dtype, shape);
  if (!type.ok()) return type.error();
  if (data == nullptr && type->bytes() > 0) return invalid("no memory given for " + to_string(*type));
  if (reinterpret_cast<uintptr_t>(data) % static_cast<size_t>(std::clamp(bits_of(dtype) / 8, 1, 8)) != 0)
    return invalid("the memory for " + to_string(*type) + " is not aligned for its elements");
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.writable_ = true;
  tensor.shape_ = shape;
  tensor.elements_ = type->elements();
  tensor.bytes_ = type->bytes();
  tensor.data_ = data;
  tensor.owner_ = std::move(owner);
  return tensor;
}

Result<Tensor> Tensor::borrow(DType dtype, const Shape& shape, const void* data, std::shared_ptr<const void> owner) {
  auto tensor = borrow(dtype, shape, const_cast<void*>(data), std::move(owner));
  if (tensor.ok()) tensor->writable_ = false;
  return tensor;
}

Result<Tensor> Tensor::strings(std::vector<std::string> values, const Shape& shape) {
  auto type = possible_type(DType::string, shape);
  if (!type.ok()) return type.error();
  if (type->elements() != static_cast<int64_t>(values.size()))
    return invalid(std::to_string(values.size()) + " strings for a shape of " + std::to_string(type->elements()));
  oxplow::Tensor strings = string_tensor(std::move(values), type->shape);
  return borrow(DType::string, shape, strings.mutable_data(), strings.owner());
}

// ---------------------------------------------------------------------------------------------------------------- models

Result<Workers> Workers::create(int threads) {
  if (threads < 0 || threads > 1024)
    return invalid("threads = " + std::to_string(threads) + ": want 1 to 1024, or 0 to let the machine say");
  const auto count = thread_count(CpuBudget::detect(), threads == 0 ? std::nullopt : std::optional(threads));
  if (!count.ok()) return outside(count.error());
  Workers workers;
  workers.pool_ = std::make_shared<ThreadPool>(*count);
  return workers;
}

int Workers::threads() const { return pool_ ? static_cast<const ThreadPool*>(pool_.get())->threads() : 0; }

namespace {

Result<ModelOptions> model_options(const Options& options) {
  ModelOptions wanted;
  const auto isa = options.isa.empty() ? isa_from_environment() : isa_named(options.isa);
  if (!isa.ok()) return outside(isa.error());
  wanted.isa = *isa;
  wanted.max_plans = options.max_plans;
  wanted.max_plan_bytes = options.max_plan_bytes;
  wanted.max_steps = options.max_steps;
  if (options.precision == Precision::bf16 && computes_in_bf16(*isa)) wanted.passes.precision = oxplow::Precision::bf16;
  return wanted;
}

Result<Workers> workers_of(const Options& options) {
  const bool given = options.workers != nullptr && options.workers->threads() > 0;
  return given ? Result<Workers>(*options.workers) : Workers::create(options.threads);
}

// The options with the precision that a compiled model asks for, where they name none.
Result<Options> with_precision_of(const std::string& path, Options options) {
  if (options.precision || !is_artifact(std::filesystem::path(path))) return options;
  const auto compiled = artifact_precision(path);
  if (!compiled.ok()) return outside(compiled.error());
  options.precision = *compiled == oxplow::Precision::bf16 ? Precision::bf16 : Precision::fp32;
  return options;
}

}  // namespace

struct Model::Implementation {
  std::unique_ptr<oxplow::Model> model;
  std::vector<TensorInfo> inputs, outputs;

  // Of the run that is under way; kept, so that no run allocates them anew.
  std::mutex one_run;
  std::atomic<bool> by_values = false;  // no plan can run this model
  TensorTypes types;
  std::vector<const void*> in;
  std::vector<void*> out;

  // The model that `make` gives for the options.
  using Make = oxplow::Result<std::unique_ptr<oxplow::Model>>(const ModelOptions&, std::shared_ptr<ThreadPool>);
  static Result<Model> load(const Options& options, FunctionRef<Make> make);
  Result<Execution*> prepare(std::span<const Tensor> given);
  Result<std::vector<Tensor>> allocate(const Plan& plan);
  static Result<std::vector<Tensor>> run_by_values(Model& model, std::span<const Tensor> given);
  Status bind(const Plan& plan, std::span<const Tensor> given, std::span<Tensor> results);
};

Result<Model> Model::Implementation::load(const Options& options, FunctionRef<Make> make) {
  const auto wanted = model_options(options);
  if (!wanted.ok()) return wanted.error();
  auto workers = workers_of(options);
  if (!workers.ok()) return workers.error();
  auto model = make(*wanted, std::static_pointer_cast<ThreadPool>(workers->pool_));
  if (!model.ok()) return outside(model.error());
  auto made = std::make_unique<Implementation>();
  made->model = model.take();
  for (const DeclaredTensor& input : made->model->inputs()) made->inputs.push_back(outside(input));
  for (const DeclaredTensor& output : made->model->declared_outputs()) made->outputs.push_back(outside(output));
  return Model(std::move(made));
}

Result<Execution*> Model::Implementation::prepare(std::span<const Tensor> given) {
  types.clear();
  in.clear();
  for (const Tensor& tensor : given) {
    types.push_back(type_of(tensor));
    in.push_back(tensor.data());
  }
  auto execution = model->prepare(types);
  if (!execution.ok()) {
    by_values = execution.error().code == oxplow::ErrorCode::needs_values;
    return outside(execution.error());
  }
  out.reserve((*execution)->plan().outputs.size());
  return *execution;
}

Result<std::vector<Tensor>> Model::Implementation::allocate(const Plan& plan) {
  std::vector<Tensor> results;
  for (const oxplow::TensorType& type : plan.outputs) {
    auto tensor = Tensor::allocate(outside(type.dtype), outside(type.shape));
    if (!tensor.ok()) return tensor.error();
    results.push_back(tensor.take());
  }
  return results;
}

Status Model::Implementation::bind(const Plan& plan, std::span<const Tensor> given, std::span<Tensor> results) {
  if (results.size() != plan.outputs.size())
    return invalid("the model has " + std::to_string(plan.outputs.size()) + " outputs, not " + std::to_string(results.size()));
  out.clear();
  for (size_t i = 0; i < results.size(); ++i) {
    Tensor& result = results[i];
    const auto misfit = [&](const std::string& why) { return invalid("output '" + printable(outputs[i].name) + "' " + why); };
    if (const oxplow::TensorType type = type_of(result); type != plan.outputs[i])
      return misfit("is " + to_string(type) + "; for these inputs the model gives " + to_string(plan.outputs[i]));
    if (!result.writable()) return misfit("may not be written");
    for (const Tensor& input : given) {
      if (overlap(result, input)) return misfit("shares memory with an input");
    }
    for (const Tensor& before : results.first(i)) {
      if (overlap(result, before)) return misfit("shares memory with an output before it");
    }
    out.push_back(result.mutable_data());
  }
  return std::monostate{};
}

Model::Model(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Result<Model> Model::load(const std::string& path, const Options& options) {
  const auto precise = with_precision_of(path, options);
  if (!precise.ok()) return precise.error();
  return Implementation::load(*precise, [&](const ModelOptions& wanted, std::shared_ptr<ThreadPool> pool) {
    return oxplow::Model::load(path, wanted, std::move(pool));
  });
}

Result<Model> Model::from_bytes(std::span<const std::byte> bytes, const Options& options) {
  struct Kept {
    std::vector<std::byte> bytes;
    OnnxModel model;
  };
  auto kept = std::make_shared<Kept>();
  kept->bytes.assign(bytes.begin(), bytes.end());
  auto parsed = parse_onnx(kept->bytes);
  if (!parsed.ok()) return outside(parsed.error());
  kept->model = parsed.take();
  using Made = oxplow::Result<std::unique_ptr<oxplow::Model>>;
  return Implementation::load(options, [&](const ModelOptions& wanted, std::shared_ptr<ThreadPool> pool) -> Made {
    auto graph = import_onnx(std::shared_ptr<const OnnxModel>(kept, &kept->model));
    if (!graph.ok()) return graph.error();
    return oxplow::Model::from_graph(graph.take(), wanted, std::move(pool));
  });
}

Result<CompileReport> compile(const std::string& source, const std::string& target, const CompileOptions& options) {
  const auto precise = with_precision_of(source, options.options);
  if (!precise.ok()) return precise.error();
  const auto wanted = model_options(*precise);
  if (!wanted.ok()) return wanted.error();
  const auto workers = workers_of(*precise);
  if (!workers.ok()) return workers.error();
  for (const int64_t batch : options.batches) {
    if (batch < 1) return invalid("a batch of " + std::to_string(batch) + ": want 1 or more");
  }
  const auto report = compile_artifact(source, target, {*wanted, options.batches, options.extents},
                                       std::static_pointer_cast<ThreadPool>(workers->pool_));
  if (!report.ok()) return outside(report.error());
  return CompileReport{report->file_bytes, report->packs, report->packed_bytes};
}

const std::vector<TensorInfo>& Model::inputs() const { return implementation_->inputs; }
const std::vector<TensorInfo>& Model::outputs() const { return implementation_->outputs; }
int Model::threads() const { return implementation_->model->pool().threads(); }
const char* Model::isa() const { return oxplow::name_of(implementation_->model->options().isa).data(); }
Precision Model::precision() const {
  return implementation_->model->options().passes.precision == oxplow::Precision::bf16 ? Precision::bf16 : Precision::fp32;
}

Status Model::run(std::span<const Tensor> inputs, std::span<Tensor> outputs) {
  Implementation& self = *implementation_;
  const std::lock_guard lock(self.one_run);
  auto execution = self.prepare(inputs);
  if (!execution.ok()) return execution.error();
  if (Status bound = self.bind((*execution)->plan(), inputs, outputs); !bound.ok()) return bound;
  (*execution)->run(self.in, self.out, self.model->pool());
  return std::monostate{};
}

Result<std::vector<Tensor>> Model::allocate_outputs(std::span<const Tensor> inputs) {
  const std::lock_guard lock(implementation_->one_run);
  auto execution = implementation_->prepare(inputs);
  if (!execution.ok()) return execution.error();
  return implementation_->allocate((*execution)->plan());
}

// Models whose outputs' shapes depend on values: no plan could give them beforehand.
Result<std::vector<Value>> Model::run_values(std::span<const Value> inputs) {
  std::vector<Datum> data;
  for (const Value& input : inputs) data.push_back(inside(input));
  const std::lock_guard lock(implementation_->one_run);
  auto results = implementation_->model->run_data(data);
  if (!results.ok()) return outside(results.error());
  std::vector<Value> values;
  for (const Datum& result : *results) {
    auto value = outside(result);
    if (!value.ok()) return value.error();
    values.push_back(value.take());
  }
  return values;
}

Result<std::vector<Tensor>> Model::Implementation::run_by_values(Model& model, std::span<const Tensor> given) {
  const std::vector<Value> data(given.begin(), given.end());
  auto results = model.run_values(data);
  if (!results.ok()) return results.error();
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < results->size(); ++i) {
    const Value& result = (*results)[i];
    if (result.kind() != Value::Kind::tensor)
      return Error{ErrorCode::unsupported,
                   "output '" + printable(model.outputs()[i].name) + "' is no tensor: run_values() gives it"};
    tensors.push_back(result.tensor());
  }
  return tensors;
}

Result<std::vector<Tensor>> Model::run(std::span<const Tensor> inputs) {
  if (implementation_->by_values) return Implementation::run_by_values(*this, inputs);
  auto outputs = allocate_outputs(inputs);
  if (!outputs.ok() && implementation_->by_values) return run(inputs);
  if (!outputs.ok()) return outputs;
  if (Status done = run(inputs, *outputs); !done.ok()) return done.error();
  return outputs;
}

Result<std::vector<Step>> Model::profile(std::span<const Tensor> inputs, int runs) {
  auto outputs = allocate_outputs(inputs);
  if (!outputs.ok()) return outputs.error();
  Implementation& self = *implementation_;
  const std::lock_guard lock(self.one_run);
  auto execution = self.prepare(inputs);
  if (!execution.ok()) return execution.error();
  const Plan& plan = (*execution)->plan();
  if (Status bound = self.bind(plan, inputs, *outputs); !bound.ok()) return bound.error();
  std::vector<double> seconds(plan.steps.size(), 0);
  runs = std::max(runs, 1);
  for (int i = 0; i < runs; ++i) (*execution)->run_profiled(self.in, self.out, self.model->pool(), seconds);
  std::vector<Step> steps;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlannedStep& step = plan.steps[i];
    steps.push_back(
        {step.op, step.node, step.result, step.step->kernel, step.step->why, step.cost.flops / 1e9, seconds[i] / runs * 1e3});
  }
  return steps;
}

}  // namespace oxplow::v1
