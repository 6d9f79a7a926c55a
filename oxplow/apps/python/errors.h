#pragma once

#include <nanobind/nanobind.h>

#include "oxplow/oxplow.h"

namespace oxplow::python {

// Throws the exception of oxplow.errors that belongs to the error's code. Needs the interpreter's lock.
[[noreturn]] void raise(const Error& error);

// The value, or raise().
template <typename T>
T value_of(Result<T> result) {
  if (!result.ok()) raise(result.error());
  return result.take();
}

}  // namespace oxplow::python
