# What `cmake --install` (make install) puts where: the command, the library with its one public header, and what CMake's
# find_package(Oxplow) and pkg-config need to find it. Nothing installed knows where it was built.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(libraries oxplow_core)
set_target_properties(oxplow_core PROPERTIES OUTPUT_NAME oxplow EXPORT_NAME oxplow)
target_include_directories(oxplow_core INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

if(OXPLOW_SHARED)
  # Only what the public header marks is visible in it.
  add_library(oxplow_shared SHARED oxplow/oxplow.cc)
  target_link_libraries(oxplow_shared PRIVATE $<BUILD_INTERFACE:oxplow_core>)
  target_link_options(oxplow_shared PRIVATE -Wl,--exclude-libs,ALL)
  target_include_directories(oxplow_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(oxplow_shared PROPERTIES OUTPUT_NAME oxplow VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  list(APPEND libraries oxplow_shared)
endif()

add_custom_target(installable DEPENDS oxplow ${libraries})

set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Oxplow)
install(TARGETS oxplow)
install(TARGETS ${libraries} EXPORT Oxplow)
install(FILES oxplow/oxplow.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/oxplow)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(EXPORT Oxplow NAMESPACE Oxplow:: FILE OxplowTargets.cmake DESTINATION ${cmake_folder})

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/OxplowConfig.cmake @ONLY CONTENT [[
include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/OxplowTargets.cmake)
]])
# Before 1.0 a new minor version may break programs.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/OxplowConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/OxplowConfig.cmake ${PROJECT_BINARY_DIR}/OxplowConfigVersion.cmake DESTINATION ${cmake_folder})

# Paths relative to the file, so that an installation may move.
file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/oxplow.pc @ONLY CONTENT [[
prefix=${pcfiledir}/@to_prefix@
libdir=${prefix}/@CMAKE_INSTALL_LIBDIR@
includedir=${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: Oxplow
Description: ONNX models on CPUs
Version: @PROJECT_VERSION@
Libs: -L${libdir} -loxplow -pthread
Cflags: -I${includedir}
]])
install(FILES ${PROJECT_BINARY_DIR}/oxplow.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
