# Kills a rank while it maps or writes a file: the job must fail with a message, and leave a complete file or none.
#   cmake -D LAUNCH=mpirun;... -D PROGRAM=test_mpi -D WORK=... -P mpi_kill.cmake
cmake_minimum_required(VERSION 3.25)

# result: what the job left besides a complete file: other files in its folder, or a file of the wrong size.
function(find_remains result)
  file(GLOB remains LIST_DIRECTORIES true ${WORK}/* ${WORK}/.rowpool-*)
  if(EXISTS ${WORK}/file)
    list(REMOVE_ITEM remains ${WORK}/file)
    file(SIZE ${WORK}/file size)
    if(NOT size EQUAL 3145728) # of three ranks
      list(APPEND remains "${size} bytes of the file")
    endif()
  endif()
  set(${result} "${remains}" PARENT_SCOPE)
endfunction()

foreach(work map write)
  foreach(rank 0 1 2)
    foreach(microseconds 1 20000)
      file(REMOVE_RECURSE ${WORK})
      file(MAKE_DIRECTORY ${WORK})
      set(which "rank ${rank} killed after ${microseconds} us of ${work}")
      execute_process(COMMAND ${LAUNCH} -n 3 ${PROGRAM} ${work} ${WORK}/file ${rank} ${microseconds} TIMEOUT 300
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE messages)
      if(NOT result MATCHES "^[1-9][0-9]*$" OR "${output}${messages}" STREQUAL "")
        message(SEND_ERROR "${which}: ${result}: ${output}${messages}")
      endif()
      find_remains(remains)
      if(remains) # the process that removes the temporary file may outlive the launcher
        message(STATUS "${which}: waiting until this is gone: ${remains}")
      endif()
      while(remains)
        execute_process(COMMAND ${CMAKE_COMMAND} -E sleep 0.1)
        find_remains(remains)
      endwhile()
      if(work STREQUAL map AND EXISTS ${WORK}/file)
        message(SEND_ERROR "${which}: there is a file")
      endif()
    endforeach()
  endforeach()
endforeach()
