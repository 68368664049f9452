# Makes the packages, runs lintian on them, and unpacks them for consumer.cmake:
#   cmake -D BUILD=... -D WORK=... -D CPACK=cpack -D LINTIAN=lintian -D LIBDIR=lib -D MPI=ON -P packages.cmake
cmake_minimum_required(VERSION 3.25)

# Runs a command, and ends the test with its output when it fails.
function(run)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\n${output}\nfailed: ${result}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run(${CPACK} --config ${BUILD}/CPackConfig.cmake -B ${WORK})

file(GLOB packages ${WORK}/*.deb)
list(LENGTH packages count)
set(expected 3)
if(MPI)
  set(expected 6)
endif()
if(NOT count EQUAL expected)
  message(FATAL_ERROR "not ${expected} packages: ${packages}")
endif()
foreach(package IN LISTS packages)
  run(dpkg-deb --extract ${package} root)
endforeach()
file(GLOB archive ${WORK}/*.tar.gz)
run(${CMAKE_COMMAND} -E tar xzf ${archive})
cmake_path(GET archive STEM LAST_ONLY folder)
cmake_path(REPLACE_EXTENSION folder LAST_ONLY "")

# The programs find the library and the helper, wherever they are unpacked.
unset(ENV{ROWPOOL_HELPER})
set(device fork)
if(EXISTS ${WORK}/root/usr/libexec/rowpool-helper)
  set(device isolated)
endif()
foreach(prefix root/usr ${folder})
  run(${WORK}/${prefix}/bin/rowpool count --head 1 --device ${device} ${CMAKE_CURRENT_LIST_DIR}/data/seattle-temps.npy)
endforeach()

if(NOT LINTIAN)
  message("lintian is not installed: skipped")
  return()
endif()
# This build may install libraries into another folder than Debian's packages do; lintian must report nothing else.
set(suppressed)
if(NOT LIBDIR MATCHES "/")
  set(suppressed --suppress-tags pkg-config-unavailable-for-cross-compilation,pkg-config-multi-arch-wrong-dir)
endif()
run(${LINTIAN} --allow-root --fail-on error,warning ${suppressed} ${packages})
