// The native module oxplow._native: doors to oxplow/oxplow.h. What a Python user sees of it is in python/oxplow/.

#include "oxplow/apps/python/bindings.h"

NB_MODULE(_native, module) {
  nanobind::set_leak_warnings(false);  // models in a program's globals outlive the module, and that is well
  module.attr("version") = oxplow::version();
  oxplow::python::bind_tensors(module);
  oxplow::python::bind_models(module);
}
