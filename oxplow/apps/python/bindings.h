#pragma once

#include <nanobind/nanobind.h>

#include "oxplow/oxplow.h"

namespace oxplow::python {

// The themes of the module oxplow._native, each in the file of its name.
void bind_tensors(nanobind::module_& module);
void bind_models(nanobind::module_& module);

// NumPy's and ml_dtypes' name of an element type: "float32", "bfloat16", "int4", "bool".
const char* numpy_name(DType dtype);

}  // namespace oxplow::python
