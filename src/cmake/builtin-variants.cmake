# Compiles the built-in functions in C for CPUs with wider vectors: rp_<variant>_<name>. The OpenCL text is only in
# rp_builtin_<name>. src/core/builtin.c chooses at run time. FLAGS are single extensions, not an architecture level:
# each can be tested on the CPU, and without FMA no product is fused with a sum.
#
#   rowpool_add_builtin_variant(TARGET VARIANT FILES FILE... FLAGS FLAG...)
include(CheckCCompilerFlag)

function(rowpool_add_builtin_variant target variant)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "FILES;FLAGS")
  string(TOUPPER "ROWPOOL_HAVE_${variant}" have)
  list(JOIN arg_FLAGS " " flags)
  check_c_compiler_flag("${flags}" ${have})
  if(NOT ${have})
    return()
  endif()
  foreach(file IN LISTS arg_FILES)
    cmake_path(GET file STEM name)
    set(output "${PROJECT_BINARY_DIR}/kernels/${variant}/${name}.c")
    file(CONFIGURE OUTPUT "${output}" CONTENT
      "#define ROWPOOL_FUNCTION rp_${variant}_${name}\n#define ROWPOOL_TITLE \"${name}\"\n#define ROWPOOL_FILE \"${PROJECT_SOURCE_DIR}/${file}\"\n#include <rowpool/fold.h>\n")
    target_sources(${target} PRIVATE "${output}")
    set_source_files_properties("${output}" PROPERTIES
      COMPILE_OPTIONS "-ffp-contract=off;${arg_FLAGS};$<$<CONFIG:Release,RelWithDebInfo>:-O3>")
  endforeach()
  set_property(SOURCE src/core/builtin.c APPEND PROPERTY COMPILE_DEFINITIONS ${have})
endfunction()
