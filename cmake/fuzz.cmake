# Every oxplow/**/<name>_fuzz.cc is a libFuzzer program <name>_fuzz; its seeds are in tests/fuzz/<name>/. tools/test.sh fuzz runs
# them all.
add_custom_target(fuzz_targets)
file(GLOB_RECURSE fuzz_sources CONFIGURE_DEPENDS oxplow/*_fuzz.cc)
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE oxplow_core)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endforeach()
