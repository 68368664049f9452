# Checks that a shared library exports exactly what its public headers declare, with its symbol version, and that all
# global names of the static library begin with rowpool_ or rp_:
#   cmake -D INCLUDE=.../include -D NM=nm -D SHARED=librowpool.so -D STATIC=librowpool.a [-D MPI=librowpool-mpi.so] -P symbols.cmake
cmake_minimum_required(VERSION 3.25)

# The names that nm lists, sorted.
function(list_symbols result)
  execute_process(COMMAND ${NM} --defined-only --format=posix ${ARGN} OUTPUT_VARIABLE output ERROR_QUIET
    COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+ [A-Za-z] [0-9a-f][^\n]*" lines "${output}")
  list(TRANSFORM lines REPLACE " .*" "")
  list(SORT lines)
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

# Fails unless a library exports exactly what these headers declare, under the version's name.
function(check_exports library version)
  set(declared)
  foreach(header IN LISTS ARGN)
    file(READ ${header} text)
    string(REGEX MATCHALL "ROWPOOL_API [^;(#]*[ *]rowpool_[a-z0-9_]+\\(" declarations "${text}")
    list(TRANSFORM declarations REPLACE ".*(rowpool_[a-z0-9_]+)\\($" "\\1@@${version}")
    list(APPEND declared ${declarations})
  endforeach()
  list(SORT declared)
  list_symbols(exported --dynamic ${library})
  list(REMOVE_ITEM exported ${version}@@${version} ${version})
  if(NOT exported STREQUAL declared)
    set(missing ${declared})
    list(REMOVE_ITEM missing ${exported})
    list(REMOVE_ITEM exported ${declared})
    message(SEND_ERROR "${library}: declared and not exported: ${missing}; exported and not declared: ${exported}")
  endif()
endfunction()

file(GLOB_RECURSE headers ${INCLUDE}/*.h)
list(FILTER headers EXCLUDE REGEX "/rowpool_mpi\\.h$")
check_exports(${SHARED} ROWPOOL_0 ${headers})
if(MPI)
  check_exports(${MPI} ROWPOOL_MPI_0 ${INCLUDE}/rowpool_mpi.h)
endif()

list_symbols(globals --extern-only ${STATIC})
list(FILTER globals EXCLUDE REGEX "^(rowpool_|rp_|__odr_asan)") # the last are the address sanitizer's
if(globals)
  message(SEND_ERROR "${STATIC}: names that are not rowpool's: ${globals}")
endif()
