# The Python package: build/python/oxplow, importable from there (PYTHONPATH=build/python) and installed into wheels by pyproject.toml.
# Its one native module is oxplow/apps/python/; the rest is python/oxplow/. nanobind is the one of the interpreter that is found.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_ROOT
                OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE nanobind_missing ERROR_QUIET)
if(nanobind_missing)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no nanobind: run tools/python_env.sh build/venv build, or say -DPython_EXECUTABLE=")
endif()
find_package(nanobind CONFIG REQUIRED)

# Exceptions and run-time types are nanobind's way to Python's errors; the library below is built without them.
file(GLOB binding_sources CONFIGURE_DEPENDS oxplow/apps/python/*.cc)
nanobind_add_module(oxplow_python NB_STATIC PROTECT_STACK NB_SUPPRESS_WARNINGS ${binding_sources})
target_compile_options(oxplow_python PRIVATE -frtti)
target_compile_options(nanobind-static-ps PRIVATE -frtti -w)
target_link_libraries(oxplow_python PRIVATE oxplow_core)
target_link_options(oxplow_python PRIVATE -Wl,--exclude-libs,ALL)
set(package ${PROJECT_BINARY_DIR}/python/oxplow)
set_target_properties(oxplow_python PROPERTIES OUTPUT_NAME _native LIBRARY_OUTPUT_DIRECTORY ${package})

# The module by itself, so that it needs no NumPy to build.
nanobind_add_stub(python_package MODULE _native OUTPUT ${package}/_native.pyi PYTHON_PATH ${package} DEPENDS oxplow_python)
file(MAKE_DIRECTORY ${package})
file(GLOB package_sources RELATIVE ${PROJECT_SOURCE_DIR}/python/oxplow CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/python/oxplow/*.py ${PROJECT_SOURCE_DIR}/python/oxplow/py.typed)
foreach(file ${package_sources})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/python/oxplow/${file} ${package}/${file} SYMBOLIC)
endforeach()
# For wheels only; `make install` leaves them out.
install(TARGETS oxplow_python LIBRARY DESTINATION oxplow COMPONENT python EXCLUDE_FROM_ALL)
install(FILES ${package}/_native.pyi DESTINATION oxplow COMPONENT python EXCLUDE_FROM_ALL)
