# The ABI of the library is that of the last release, and what was added since:
#   cmake -D ABIDIFF=abidiff -D LIBRARY=librowpool.so -D BASELINE=librowpool.abi -P abi.cmake
# A change that programs do not mind, a member at the end of a struct that has its size, is reported all the same: then,
# and with each release, the target abi-baseline writes the file anew, and the commit says why.
cmake_minimum_required(VERSION 3.25)
if(NOT ABIDIFF)
  message("skipped: there is no abidiff (Debian: abigail-tools)")
  return()
endif()
execute_process(COMMAND ${ABIDIFF} --no-added-syms ${BASELINE} ${LIBRARY}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${output}\nabidiff: ${result}")
endif()
