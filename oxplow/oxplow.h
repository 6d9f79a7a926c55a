#pragma once
// Oxplow: machine learning on CPUs. The library's public header: load an ONNX model, run it on tensors of yours.
//
//   auto model = oxplow::Model::load("resnet50.onnx", {.threads = 4});
//   if (!model.ok()) return fail(model.error().message);
//   auto image = oxplow::Tensor::borrow(std::span(pixels), {1, 3, 224, 224});
//   auto results = model->run({&*image, 1});
//
// docs/cpp.md has a complete program. It needs C++20 and nothing but this header and the library. Nothing here throws (but for
// std::bad_alloc of the standard library), prints or exits on what the outside world does wrong: that is an Error. A programmer's
// error (the value of a Result that has none) aborts with one line.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#define OXPLOW_VERSION_MAJOR 0
#define OXPLOW_VERSION_MINOR 1
#define OXPLOW_VERSION_PATCH 0

#define OXPLOW_API __attribute__((visibility("default")))

namespace oxplow {
// The library's own sources have other things of these names in oxplow.
#ifdef OXPLOW_INSIDE
namespace v1 {
#else
inline namespace v1 {
#endif

// The version of the library that is linked, "0.1.0"; the macros above are those of the header.
OXPLOW_API const char* version();

[[noreturn]] OXPLOW_API void abort_because(const char* programming_error);

// ---------------------------------------------------------------------------------------------------------------- errors

enum class ErrorCode { invalid_argument, invalid_model, unsupported, not_found, out_of_memory, io, internal };

// "INVALID_MODEL" and so on.
OXPLOW_API const char* name_of(ErrorCode code);

// What went wrong. `message` is one line that names the file, node or input and the remedy. It may quote names from the model's file,
// with what is not printable escaped.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

// A T or an Error. `*result`, `result->` and take() (which moves the T out) need ok(); error() needs !ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() { return *value(); }
  const T& operator*() const { return *const_cast<Result*>(this)->value(); }
  T* operator->() { return value(); }
  const T* operator->() const { return const_cast<Result*>(this)->value(); }
  T take() { return std::move(*value()); }
  const Error& error() const {
    if (ok()) abort_because("error() of a Result that is ok()");
    return *std::get_if<1>(&state_);
  }

 private:
  T* value() {
    if (!ok()) abort_because(std::get_if<1>(&state_)->message.c_str());
    return std::get_if<0>(&state_);
  }
  std::variant<T, Error> state_;
};

// Nothing, or an Error.
using Status = Result<std::monostate>;

// --------------------------------------------------------------------------------------------------------------- tensors

// Element types. Those of 4 (2) bits are stored two (four) to a byte, lowest bits first; strings as std::string_view
// of characters that the tensor's owner keeps.
enum class DType : uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  i4,
  u64,
  u32,
  u16,
  u8,
  u4,
  boolean,
  f8e4m3fn,
  f8e4m3fnuz,
  f8e5m2,
  f8e5m2fnuz,
  f8e8m0,
  f4e2m1,
  i2,
  u2,
  string
};

// "f32", "boolean" and so on.
OXPLOW_API const char* name_of(DType dtype);
OXPLOW_API int bits_of(DType dtype);

// The element type of a C++ type. f16, bf16 and the smaller ones have none: use Tensor's untyped functions.
template <typename T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<U, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<U, bool>)
    return DType::boolean;
  else if constexpr (std::is_same_v<U, std::string_view>)
    return DType::string;
  else {
    static_assert(std::is_integral_v<U>, "no element type");
    constexpr DType kSigned[] = {DType::i8, DType::i16, DType::i32, DType::i64};
    constexpr DType kUnsigned[] = {DType::u8, DType::u16, DType::u32, DType::u64};
    constexpr int kLog = sizeof(U) == 1 ? 0 : sizeof(U) == 2 ? 1 : sizeof(U) == 4 ? 2 : 3;
    return std::is_signed_v<U> ? kSigned[kLog] : kUnsigned[kLog];
  }
}

inline constexpr size_t kMaxRank = 10;

// A tensor's extents, outermost first: at most kMaxRank. None is a scalar.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) : Shape(std::span<const int64_t>(extents.begin(), extents.size())) {}
  Shape(std::span<const int64_t> extents) : rank_(extents.size()) {
    for (size_t i = 0; i < rank_ && i < kMaxRank; ++i) extents_[i] = extents[i];
  }

  // No more than kMaxRank axes. Others make no tensor: it is an Error to ask for one.
  bool possible() const { return rank_ <= kMaxRank; }
  size_t size() const { return rank_; }
  int64_t operator[](size_t axis) const { return extents_[axis]; }
  const int64_t* begin() const { return extents_.data(); }
  const int64_t* end() const { return extents_.data() + (possible() ? rank_ : kMaxRank); }
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  size_t rank_ = 0;
};

// A dense row-major array: memory of its own (allocate) or of yours (borrow). Copies share the memory.
class Tensor {
 public:
  Tensor() = default;

  // Zeroed memory, aligned for vectors (and for huge pages, from 2 MiB on), freed with the last copy. Errors: invalid_argument (an
  // extent is negative, or the size overflows), out_of_memory.
  OXPLOW_API static Result<Tensor> allocate(DType dtype, const Shape& shape);

  // `data` is yours: aligned for an element, of the size that the shape says, and alive as long as this tensor and its copies are; or
  // as long as `owner` is, which they keep. From a pointer to const it can be an input only. Errors: invalid_argument (extents as above,
  // misaligned, null though there are elements).
  OXPLOW_API static Result<Tensor> borrow(DType dtype, const Shape& shape, void* data,
                                          std::shared_ptr<const void> owner = nullptr);
  OXPLOW_API static Result<Tensor> borrow(DType dtype, const Shape& shape, const void* data,
                                          std::shared_ptr<const void> owner = nullptr);
  // The same; invalid_argument too where `values` are not as many as the shape has elements.
  template <typename T>
  static Result<Tensor> borrow(std::span<T> values, const Shape& shape) {
    auto tensor = borrow(dtype_of<T>(), shape, values.data());
    if (tensor.ok() && tensor->elements() != static_cast<int64_t>(values.size()))
      return Error{ErrorCode::invalid_argument,
                   "a span of " + std::to_string(values.size()) + " values for a shape of " + std::to_string(tensor->elements())};
    return tensor;
  }

  // Strings with characters of their own, as many as the shape says. Errors: invalid_argument (they are not).
  OXPLOW_API static Result<Tensor> strings(std::vector<std::string> values, const Shape& shape);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return elements_; }
  size_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }

  const void* data() const { return data_; }
  // Null where it is not writable().
  void* mutable_data() { return writable_ ? data_ : nullptr; }
  // The elements; T must be the C++ type of dtype().
  template <typename T>
  std::span<const T> values() const {
    if (dtype_of<T>() != dtype_) abort_because("Tensor::values of another element type");
    return {static_cast<const T*>(data_), static_cast<size_t>(elements_)};
  }
  template <typename T>
  std::span<T> mutable_values() {
    if (dtype_of<T>() != dtype_ || !writable_)
      abort_because("Tensor::mutable_values of another element type, or of const memory");
    return {static_cast<T*>(data_), static_cast<size_t>(elements_)};
  }

 private:
  DType dtype_ = DType::f32;
  bool writable_ = false;
  Shape shape_{0};
  int64_t elements_ = 0;
  size_t bytes_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

// What an input or output of a model can be: a tensor, a sequence, a map, or nothing (an optional that is empty; one that holds something
// is that thing).
class Value {
 public:
  enum class Kind { nothing, tensor, sequence, map };

  Value() = default;
  Value(Tensor tensor) : kind_(Kind::tensor), tensors_{std::move(tensor)} {}
  Value(std::vector<Value> elements) : kind_(Kind::sequence), elements_(std::move(elements)) {}
  // keys[i] has values[i]; keys are i64 or strings.
  Value(Tensor keys, Tensor values) : kind_(Kind::map), tensors_{std::move(keys), std::move(values)} {}

  Kind kind() const { return kind_; }
  const Tensor& tensor() const { return at(Kind::tensor, 0); }
  const Tensor& keys() const { return at(Kind::map, 0); }
  const Tensor& values() const { return at(Kind::map, 1); }
  const std::vector<Value>& elements() const {
    if (kind_ != Kind::sequence) abort_because("elements() of a Value that is no sequence");
    return elements_;
  }

 private:
  const Tensor& at(Kind kind, size_t i) const {
    if (kind_ != kind) abort_because("a Value that is of another kind");
    return tensors_[i];
  }
  Kind kind_ = Kind::nothing;
  std::vector<Tensor> tensors_;
  std::vector<Value> elements_;
};

// --------------------------------------------------------------------------------------------------------------- models

// What the model's file says of an axis: an extent, or -1 and perhaps a name. Axes of one name have one extent throughout a run.
struct Axis {
  int64_t extent = -1;
  std::string name;
};

// What the model's file says of an input or output.
struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  bool any_type = false;  // it says nothing of the element type (outputs only)
  bool any_rank = false;  // it says nothing of the axes
  bool tensor = true;     // false: a sequence, a map or an optional
  std::vector<Axis> axes;
};

// "f32[batch, 3, 224, 224]": "?" for a type or an extent that is open and has no name, "f32[...]" for any rank.
OXPLOW_API std::string to_string(const TensorInfo& info);

// bf16: activations and packed weights in bf16, sums in fp32; a model's inputs and outputs keep their types.
enum class Precision { fp32, bf16 };

struct CompileOptions;
struct CompileReport;

// A team of threads that models share, one run at a time. Copies are the same team. Keep it to one a process: two teams that are
// busy at once take turns on the same processors.
class Workers {
 public:
  // `threads` counts the thread that runs a model; 0: OXPLOW_THREADS, OMP_NUM_THREADS, or what this process may keep busy (affinity,
  // hyper-threads counted once, container quotas). Errors: invalid_argument (not from 0 to 1024, or such a variable is not a number).
  OXPLOW_API static Result<Workers> create(int threads = 0);
  OXPLOW_API int threads() const;

 private:
  friend class Model;
  friend Result<CompileReport> compile(const std::string&, const std::string&, const CompileOptions&);
  std::shared_ptr<void> pool_;
};

struct Options {
  int threads = 0;                          // as in Workers::create
  Workers* workers = nullptr;               // a team to share; the model keeps a copy, and `threads` is not looked at
  std::optional<Precision> precision = {};  // none: what the model was compiled for (compile()), else fp32
  std::string isa = {};                     // "avx2" and so on; "": OXPLOW_ISA, or the best this machine has
  size_t max_plans = 16;                    // plans kept for input shapes seen lately: at most so many,
  size_t max_plan_bytes = size_t{1} << 30;  // and no more memory for activations than this (the latest one is always kept)
  int64_t max_steps = 10'000'000;           // of one run of a model with loops: iterations, and nodes evaluated one by one
};

// What compile() makes.
struct CompileReport {
  size_t file_bytes = 0;
  size_t packs = 0;  // weights packed ahead, and their bytes
  size_t packed_bytes = 0;
};

// What compile() is to make: weights packed as runs of these batches want them, `extents` being those of other open axes by their names.
struct CompileOptions {
  Options options = {};
  std::vector<int64_t> batches = {1};
  std::map<std::string, int64_t> extents = {};
};

// Writes the model at `source` (an ONNX file, or a compiled one to make anew) as one file with its weights packed for this machine, which
// Model::load maps and has ready in milliseconds, and processes share. It runs on every other machine too, packing for itself there.
// `target` appears whole or not at all. Errors: those of Model::load; invalid_argument (a batch, extents that miss or name no axis); io.
OXPLOW_API Result<CompileReport> compile(const std::string& source, const std::string& target,
                                         const CompileOptions& options = {});

// One step of a run, as profile() saw it.
struct Step {
  std::string op;      // "Conv"
  std::string node;    // the model's name for it
  std::string result;  // "f32[1, 56, 56, 64]"
  std::string kernel;  // what computes it,
  std::string why;     // and why that was chosen
  double gflop = 0;    // a run
  double milliseconds = 0;
};

// A model, ready to run. A run for input shapes that were not seen lately plans first: that takes from milliseconds to seconds, and
// memory. Results do not depend on the number of threads. All functions may be called from several threads at once; runs then wait for
// one another.
class Model {
 public:
  // From an ONNX file, with its external data beside it, or what compile() made of one.
  // Errors: not_found and io (the file), invalid_model, unsupported (names every op that is not known), invalid_argument (options).
  OXPLOW_API static Result<Model> load(const std::string& path, const Options& options = {});
  // From the bytes of an .onnx file, which are copied; weights must be inside, not in files beside it.
  OXPLOW_API static Result<Model> from_bytes(std::span<const std::byte> bytes, const Options& options = {});

  OXPLOW_API Model(Model&&) noexcept;
  OXPLOW_API Model& operator=(Model&&) noexcept;
  OXPLOW_API ~Model();

  OXPLOW_API const std::vector<TensorInfo>& inputs() const;
  OXPLOW_API const std::vector<TensorInfo>& outputs() const;

  OXPLOW_API int threads() const;
  OXPLOW_API const char* isa() const;      // "avx512_vnni"
  OXPLOW_API Precision precision() const;  // fp32 where bf16 was asked for and this tier has no bf16 kernels

  // Runs the model on `inputs`, in the order of inputs(); gives new tensors in the order of outputs(). Errors: invalid_argument (an
  // input does not fit: which, and what would), out_of_memory, unsupported (a node cannot do these shapes).
  OXPLOW_API Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);

  // The same for models whose inputs or outputs are not all tensors.
  OXPLOW_API Result<std::vector<Value>> run_values(std::span<const Value> inputs);

  // The same into tensors of yours, of the types that allocate_outputs() gives. Allocates nothing if these input shapes were run or
  // allocated for lately. Errors as above, and invalid_argument for an output of another type, of const memory, or that shares memory
  // with an input or another output.
  OXPLOW_API Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs);

  // Plans for inputs of these types (their elements are not looked at) and allocates outputs for them. Error: unsupported also where
  // the outputs' shapes depend on the inputs' values; run(inputs) can do that.
  OXPLOW_API Result<std::vector<Tensor>> allocate_outputs(std::span<const Tensor> inputs);

  // Runs the model `runs` times (at least once), step by step: the mean time of each step, in the order of a run.
  OXPLOW_API Result<std::vector<Step>> profile(std::span<const Tensor> inputs, int runs = 10);

 private:
  struct Implementation;
  explicit Model(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace v1
}  // namespace oxplow
