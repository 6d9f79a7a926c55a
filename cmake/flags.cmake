# Compile and link flags of everything: warnings, hardening, sanitizers. Flags of the kernels' tiers are in tiers.cmake.
option(OXPLOW_WERROR "Warnings are errors" OFF)
option(OXPLOW_FUZZ "Build the fuzz targets too (clang, with OXPLOW_SANITIZE=address)" OFF)
set(OXPLOW_SANITIZE "" CACHE STRING "address (with undefined behaviour), thread or empty")
set_property(CACHE OXPLOW_SANITIZE PROPERTY STRINGS "" address thread)

set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")  # the sanitizers' build: debug assertions stay on

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -fno-rtti)
if(OXPLOW_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # The psABI note concerns vectors passed between translation units of different tiers; kernels pass pointers only.
  add_compile_options(-Wno-psabi)
  add_link_options(-fuse-ld=lld)
else()
  # False alarms of g++ 12, inside its own headers: AVX-512 intrinsics (GCC bug 105593) and std::string (105651).
  add_compile_options(-Wno-uninitialized -Wno-maybe-uninitialized -Wno-restrict)
endif()

if(OXPLOW_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR NOT OXPLOW_SANITIZE STREQUAL "address")
    message(FATAL_ERROR "OXPLOW_FUZZ needs clang and OXPLOW_SANITIZE=address: cmake --preset asan")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(OXPLOW_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(OXPLOW_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(OXPLOW_SANITIZE)
  message(FATAL_ERROR "OXPLOW_SANITIZE=${OXPLOW_SANITIZE}: address, thread or empty")
endif()

# Hardening of what reads other people's bytes. Kernels' bodies take it off again (tiers.cmake): they get checked extents, and
# a canary or a bounds check per call would cost where the time goes.
include(CheckPIESupported)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)  # calls inside the library need no indirection
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
add_compile_options(-fstack-protector-strong -fstack-clash-protection -D_GLIBCXX_ASSERTIONS)
if(NOT OXPLOW_SANITIZE)
  add_compile_options("$<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
endif()
add_link_options(-Wl,-z,relro,-z,now)
