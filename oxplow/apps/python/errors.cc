// Errors of the library as Python exceptions.

#include "oxplow/apps/python/errors.h"

namespace oxplow::python {

namespace nb = nanobind;

void raise(const Error& error) {
  const nb::object exception = nb::module_::import_("oxplow.errors").attr("error_of")(name_of(error.code), error.message.c_str());
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  throw nb::python_error();
}

}  // namespace oxplow::python
