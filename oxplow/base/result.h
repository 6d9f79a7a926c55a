#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "oxplow/base/check.h"

namespace oxplow {

// needs_values: a shape cannot be told from the input shapes alone, but from the inputs' values. It never leaves the graph's level.
enum class ErrorCode { invalid_argument, invalid_model, unsupported, not_found, out_of_memory, io, internal, needs_values };

// The contract's spelling, e.g. "INVALID_MODEL".
const char* error_code_name(ErrorCode code);

// What went wrong, where, and what to do about it. `message` is one line for a person:
// it names the file or node and the remedy.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

// A value or an Error. `*result` and `result->` need ok(); `take()` moves the value out.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() { return get(); }
  const T& operator*() const { return const_cast<Result*>(this)->get(); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &const_cast<Result*>(this)->get(); }
  T take() { return std::move(get()); }
  const Error& error() const {
    OXPLOW_CHECK(!ok());
    return std::get<1>(state_);
  }

 private:
  T& get() {
    OXPLOW_CHECK(ok());
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    OXPLOW_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// Puts `context` before an error's message: "model.onnx: node Conv_3: kernel_shape is missing".
Error in_context(const std::string& context, Error error);

// Leaves the calling function with the error, if there is one.
#define OXPLOW_TRY(...)                                                                        \
  do {                                                                                         \
    if (auto oxplow_status = (__VA_ARGS__); !oxplow_status.ok()) return oxplow_status.error(); \
  } while (false)

// OXPLOW_ASSIGN(auto file, MappedFile::open(path)): declares or assigns, or leaves with the error.
#define OXPLOW_ASSIGN(target, ...) OXPLOW_ASSIGN_AT(__COUNTER__, target, __VA_ARGS__)
#define OXPLOW_ASSIGN_AT(id, target, ...) OXPLOW_ASSIGN_NAMED(id, target, __VA_ARGS__)
#define OXPLOW_ASSIGN_NAMED(id, target, ...)                       \
  auto oxplow_result_##id = (__VA_ARGS__);                         \
  if (!oxplow_result_##id.ok()) return oxplow_result_##id.error(); \
  target = oxplow_result_##id.take()

}  // namespace oxplow
