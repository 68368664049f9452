# Compiles and embeds row functions (rowpool/row_function.h), each in a file of its own.
#
#   rowpool_add_functions(TARGET [FOLDS FILE...] [BODIES FILE...] [DTYPES DTYPE...] [PREFIX PREFIX])
#
# For each FILE, say longest_run.cl, the target gets the constant
#
#   const rowpool_function PREFIXlongest_run;
#
# which the header longest_run.h declares, for C and C++, in a folder that is added to the target's include folders.
# With DTYPES (int8 ... float64) the functions are compiled only for these. A file may #include "other" files beside it.
cmake_policy(SET CMP0116 NEW) # Ninja understands the paths in a DEPFILE
set(ROWPOOL_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

function(_rowpool_add_function target form file prefix dtypes)
  get_filename_component(path "${file}" ABSOLUTE)
  get_filename_component(name "${path}" NAME_WE)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "rowpool_add_functions: there is no file ${path}")
  endif()
  string(MAKE_C_IDENTIFIER "${prefix}${name}" symbol)
  file(RELATIVE_PATH label "${CMAKE_SOURCE_DIR}" "${path}")
  string(REPLACE ";" "," dtypes "${dtypes}")
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/rowpool-functions/${target}")
  string(CONCAT header "#include <rowpool.h>\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
    "extern const rowpool_function ${symbol};\n" "#ifdef __cplusplus\n}\n#endif\n")
  file(CONFIGURE OUTPUT "${folder}/${name}.h" CONTENT "${header}")
  add_custom_command(OUTPUT "${folder}/${name}.c"
    COMMAND "${CMAKE_COMMAND}" -D "INPUT=${path}" -D "LABEL=${label}" -D "OUTPUT=${folder}/${name}.c"
            -D "DEPFILE=${folder}/${name}.d" -D "SYMBOL=${symbol}" -D "NAME=${name}" -D "FORM=${form}" -D "DTYPES=${dtypes}"
            -D "TEMPLATE=${ROWPOOL_CMAKE_DIR}/function.c.in" -P "${ROWPOOL_CMAKE_DIR}/embed.cmake"
    DEPENDS "${path}" "${ROWPOOL_CMAKE_DIR}/function.c.in" "${ROWPOOL_CMAKE_DIR}/embed.cmake"
    DEPFILE "${folder}/${name}.d"
    VERBATIM)
  target_sources(${target} PRIVATE "${folder}/${name}.c")
  target_include_directories(${target} PRIVATE "${folder}")
  # gcc vectorises these loops only with -O3. Products are not fused with sums, as on devices.
  set_source_files_properties("${folder}/${name}.c" PROPERTIES
    COMPILE_OPTIONS "-ffp-contract=off;$<$<CONFIG:Release,RelWithDebInfo>:-O3>")
endfunction()

function(rowpool_add_functions target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PREFIX" "FOLDS;BODIES;DTYPES")
  if(arg_UNPARSED_ARGUMENTS OR NOT (arg_FOLDS OR arg_BODIES))
    message(FATAL_ERROR "rowpool_add_functions takes TARGET, then FOLDS or BODIES with files; unknown: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT C IN_LIST languages)
    message(FATAL_ERROR "rowpool_add_functions needs the language C, since it generates C: project(${PROJECT_NAME} LANGUAGES C CXX)")
  endif()
  foreach(file IN LISTS arg_FOLDS)
    _rowpool_add_function(${target} fold "${file}" "${arg_PREFIX}" "${arg_DTYPES}")
  endforeach()
  foreach(file IN LISTS arg_BODIES)
    _rowpool_add_function(${target} body "${file}" "${arg_PREFIX}" "${arg_DTYPES}")
  endforeach()
endfunction()
