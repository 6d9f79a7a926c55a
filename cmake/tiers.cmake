# The instruction-set tiers: name and compiler flags, features named one by one (g++ 12 knows no znver4). Adding a tier is one line
# here, one in oxplow/base/isa.inc and a file in oxplow/kernels/simd/.
set(OXPLOW_FLAGS_x86_64 "")
set(OXPLOW_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt -mmovbe)
set(OXPLOW_FLAGS_avx512 ${OXPLOW_FLAGS_avx2} -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(OXPLOW_FLAGS_avx512_vnni ${OXPLOW_FLAGS_avx512} -mavx512vnni -mavx512vbmi -mavx512vbmi2 -mavx512bitalg -mavx512vpopcntdq
    -mavx512ifma -mavx512bf16)
set(OXPLOW_FLAGS_amx ${OXPLOW_FLAGS_avx512_vnni} -mamx-tile -mamx-bf16 -mamx-int8)
set(OXPLOW_FLAGS_neon "")
set(OXPLOW_FLAGS_neon_dot -march=armv8.2-a+dotprod+fp16)
set(OXPLOW_FLAGS_neon_i8mm -march=armv8.2-a+dotprod+fp16+i8mm+bf16)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(OXPLOW_TIERS neon neon_dot neon_i8mm)
else()
  set(OXPLOW_TIERS x86_64 avx2 avx512 avx512_vnni amx)
endif()

# Compiles every kernel family's <family>.isa.cc once for each tier that its kernels.inc lists (OXPLOW_KERNEL(tier)) and this
# architecture has. The body sees its tier as the macro OXPLOW_ISA, which is also its namespace.
function(oxplow_add_kernel_tiers target)
  file(GLOB families RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS oxplow/kernels/*/kernels.inc)
  foreach(list ${families})
    get_filename_component(folder ${list} DIRECTORY)
    file(GLOB bodies CONFIGURE_DEPENDS ${folder}/*.isa.cc)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
    file(STRINGS ${list} lines REGEX "^OXPLOW_KERNEL\\(")
    foreach(line ${lines})
      string(REGEX REPLACE "^OXPLOW_KERNEL\\(([a-z0-9_]+)\\).*" "\\1" tier ${line})
      if(NOT tier IN_LIST OXPLOW_TIERS)
        continue()
      endif()
      foreach(body ${bodies})
        get_filename_component(stem ${body} NAME_WE)
        set(object "kernel_${stem}_${tier}")
        add_library(${object} OBJECT ${body})
        target_include_directories(${object} PRIVATE ${PROJECT_SOURCE_DIR})
        target_compile_definitions(${object} PRIVATE OXPLOW_ISA=${tier} OXPLOW_TIER_${tier}=1)
        target_compile_options(${object} PRIVATE ${OXPLOW_FLAGS_${tier}} -fno-math-errno -fno-trapping-math -ffp-contract=fast
                               -fno-stack-protector -fno-stack-clash-protection
                               "SHELL:-U_FORTIFY_SOURCE -U_GLIBCXX_ASSERTIONS" $<$<BOOL:${OXPLOW_FUZZ}>:-fno-sanitize=fuzzer-no-link>)
        if(OXPLOW_SANITIZE STREQUAL "address")
          # Pointers of absent operands (no residual, an empty tensor) move along with the others, null plus something, unread.
          target_compile_options(${object} PRIVATE -fno-sanitize=pointer-overflow)
        endif()
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
      endforeach()
    endforeach()
  endforeach()
endfunction()
