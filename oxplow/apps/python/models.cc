// Models: load, run and profile, the interpreter's lock let go meanwhile.

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "oxplow/apps/python/bindings.h"
#include "oxplow/apps/python/errors.h"

namespace oxplow::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// What `work` gives, done without the interpreter's lock.
template <typename F>
auto unlocked(F work) {
  const nb::gil_scoped_release unlock;
  return work();
}

// "" names none.
std::optional<Precision> precision_named(std::string_view name) {
  if (name.empty()) return std::nullopt;
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  raise({ErrorCode::invalid_argument, "precision '" + std::string(name) + "': want fp32 or bf16"});
}

Options options_of(Workers& workers, std::string_view precision, std::string isa) {
  return {.workers = &workers, .precision = precision_named(precision), .isa = std::move(isa)};
}

Model load(const std::string& path, Workers workers, std::string_view precision, std::string isa) {
  const Options options = options_of(workers, precision, std::move(isa));
  return value_of(unlocked([&] { return Model::load(path, options); }));
}

Model from_bytes(const nb::bytes& bytes, Workers workers, std::string_view precision, std::string isa) {
  const Options options = options_of(workers, precision, std::move(isa));
  const std::span data(static_cast<const std::byte*>(bytes.data()), bytes.size());
  return value_of(unlocked([&] { return Model::from_bytes(data, options); }));
}

CompileReport compile_model(const std::string& source, const std::string& target, Workers workers, std::string_view precision,
                            std::string isa, std::vector<int64_t> batches, std::map<std::string, int64_t> extents) {
  const CompileOptions options{options_of(workers, precision, std::move(isa)), std::move(batches), std::move(extents)};
  return value_of(unlocked([&] { return compile(source, target, options); }));
}

// None, a list, a Tensor; maps are only given back, as a pair of keys and values.
Value value_in(nb::handle object) {
  if (object.is_none()) return {};
  if (!nb::isinstance<nb::list>(object)) return nb::cast<Tensor>(object);
  std::vector<Value> elements;
  for (nb::handle element : nb::cast<nb::list>(object)) elements.emplace_back(nb::cast<Tensor>(element));
  return elements;
}

nb::object value_out(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::nothing: return nb::none();
    case Value::Kind::tensor: return nb::cast(value.tensor());
    case Value::Kind::map: return nb::make_tuple(value.keys(), value.values());
    case Value::Kind::sequence: break;
  }
  nb::list list;
  for (const Value& element : value.elements()) list.append(value_out(element));
  return list;
}

nb::list run(Model& model, const nb::list& inputs) {
  std::vector<Value> given;
  bool tensors = true;
  for (nb::handle input : inputs) {
    given.push_back(value_in(input));
    tensors = tensors && given.back().kind() == Value::Kind::tensor;
  }
  for (const TensorInfo& output : model.outputs()) tensors = tensors && output.tensor;
  nb::list results;
  if (!tensors) {
    for (const Value& value : value_of(unlocked([&] { return model.run_values(given); }))) results.append(value_out(value));
    return results;
  }
  std::vector<Tensor> plain;
  for (const Value& value : given) plain.push_back(value.tensor());
  for (const Tensor& tensor : value_of(unlocked([&] { return model.run(plain); }))) results.append(nb::cast(tensor));
  return results;
}

std::vector<Step> profile(Model& model, const std::vector<Tensor>& inputs, int runs) {
  return value_of(unlocked([&] { return model.profile(inputs, runs); }));
}

nb::object shape_of(const TensorInfo& info) {
  if (info.any_rank) return nb::none();
  nb::list axes;
  for (const Axis& axis : info.axes) {
    if (axis.extent >= 0)
      axes.append(axis.extent);
    else if (axis.name.empty())
      axes.append(nb::none());
    else
      axes.append(axis.name);
  }
  return nb::tuple(axes);
}

nb::object dtype_of(const TensorInfo& info) { return info.any_type ? nb::none() : nb::object(nb::str(numpy_name(info.dtype))); }

std::string described(const TensorInfo& info) { return "<TensorInfo " + info.name + ": " + to_string(info) + ">"; }

void bind_descriptions(nb::module_& module) {
  nb::class_<TensorInfo>(module, "TensorInfo", "What a model's file says of an input or output.")
      .def_ro("name", &TensorInfo::name, "The name that run() takes or gives.")
      .def_prop_ro("dtype", &dtype_of, nb::sig("def dtype(self) -> str | None"),
                   "NumPy's name of the element type, \"float32\" and so on; None where the file does not say.")
      .def_prop_ro("shape", &shape_of, nb::sig("def shape(self) -> tuple[int | str | None, ...] | None"),
                   "Extents, outermost first; an open axis is its name or None. None where the file says nothing of the axes.")
      .def_ro("tensor", &TensorInfo::tensor, "False for a sequence, a map or an optional.")
      .def(
          "__str__", [](const TensorInfo& info) { return to_string(info); },
          "\"f32[batch, 3, 224, 224]\"; what is open and has no name is ?.")
      .def("__repr__", &described);
  nb::class_<Step>(module, "Step", "One step of a run.")
      .def_ro("op", &Step::op, "The op, \"Conv\".")
      .def_ro("node", &Step::node, "The model's name for it.")
      .def_ro("result", &Step::result, "Type of the result, \"f32[1, 56, 56, 64]\".")
      .def_ro("kernel", &Step::kernel, "The kernel that computes it.")
      .def_ro("why", &Step::why, "Why this kernel.")
      .def_ro("gflop", &Step::gflop, "Billions of floating point operations a run.")
      .def_ro("milliseconds", &Step::milliseconds, "Mean time of a run.");
}

}  // namespace

void bind_models(nb::module_& module) {
  bind_descriptions(module);
  nb::class_<CompileReport>(module, "CompileReport", "What compile() wrote.")
      .def_ro("file_bytes", &CompileReport::file_bytes, "Bytes of the file.")
      .def_ro("packs", &CompileReport::packs, "How many weights lie in it packed,")
      .def_ro("packed_bytes", &CompileReport::packed_bytes, "and their bytes.");
  module.def("compile", &compile_model, "source"_a, "target"_a, "workers"_a, "precision"_a, "isa"_a, "batches"_a, "extents"_a);
  nb::class_<Workers>(module, "Workers", "A team of threads that models share, one run at a time.")
      .def_static(
          "create", [](int threads) { return value_of(Workers::create(threads)); }, "threads"_a)
      .def_prop_ro("threads", &Workers::threads);
  nb::class_<Model>(module, "Model", "A model, ready to run on tensors.")
      .def_static("load", &load, "path"_a, "workers"_a, "precision"_a, "isa"_a)
      .def_static("from_bytes", &from_bytes, "data"_a, "workers"_a, "precision"_a, "isa"_a)
      .def("run", &run, "inputs"_a, nb::sig("def run(self, inputs: list[typing.Any]) -> list[typing.Any]"),
           "New tensors, lists of such (sequences), pairs of keys and values (maps) or None, in the order of `outputs`.")
      .def("profile", &profile, "inputs"_a, "runs"_a, "The mean time of each step over so many runs.")
      .def_prop_ro("inputs", [](const Model& model) { return model.inputs(); })
      .def_prop_ro("outputs", [](const Model& model) { return model.outputs(); })
      .def_prop_ro("threads", &Model::threads)
      .def_prop_ro("isa", &Model::isa)
      .def_prop_ro("precision", [](const Model& model) { return model.precision() == Precision::bf16 ? "bf16" : "fp32"; });
}

}  // namespace oxplow::python
