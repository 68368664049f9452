# Installs the build into a folder of its own, or takes what packages.cmake has unpacked in PREFIX, and uses it from
# there, by find_package and by pkg-config:
#   cmake -D BUILD=... -D SOURCE=... -D WORK=... -D LIBDIR=lib -D CC=cc -D GENERATOR=Ninja -D FLAGS=... -D CONFIG=Release -D MPI=ON -P consumer.cmake
cmake_minimum_required(VERSION 3.25)

# Runs a command, and ends the test with its output when it fails.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\n${output}\nfailed: ${result}")
  endif()
  message("${output}")
endfunction()

file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
if(PREFIX)
  file(COPY ${PREFIX}/ DESTINATION ${prefix})
else()
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --config ${CONFIG})
endif()

# Exactly the public headers are installed.
file(GLOB_RECURSE headers RELATIVE ${prefix}/include ${prefix}/*.h)
file(GLOB_RECURSE expected RELATIVE ${SOURCE}/../include ${SOURCE}/../include/*.h)
if(NOT MPI)
  list(REMOVE_ITEM expected rowpool_mpi.h)
endif()
if(NOT headers STREQUAL expected)
  message(FATAL_ERROR "installed headers: ${headers}")
endif()

foreach(completion bash-completion/completions/rowpool zsh/site-functions/_rowpool fish/vendor_completions.d/rowpool.fish)
  if(NOT EXISTS ${prefix}/share/${completion})
    message(FATAL_ERROR "not installed: ${completion}")
  endif()
endforeach()

run(${CMAKE_COMMAND} -G "${GENERATOR}" -S ${SOURCE}/consumer -B ${WORK}/build -D CMAKE_BUILD_TYPE=${CONFIG} -D CMAKE_C_COMPILER=${CC}
    -D CMAKE_C_FLAGS=${FLAGS} -D CMAKE_PREFIX_PATH=${prefix} -D MPI=${MPI})
run(${CMAKE_COMMAND} --build ${WORK}/build --config ${CONFIG})
set(programs consumer consumer_static)
set(mpi_runs ${MPI})
if(FLAGS MATCHES "-fsanitize") # MPI libraries have leaks and races
  set(mpi_runs OFF)
endif()
if(mpi_runs)
  list(APPEND programs consumer_mpi)
endif()
foreach(program IN LISTS programs)
  run(${WORK}/build/${program})
endforeach()

# Row functions of a user's own.
run(${CMAKE_COMMAND} -G "${GENERATOR}" -S ${SOURCE}/example -B ${WORK}/example -D CMAKE_BUILD_TYPE=${CONFIG} -D CMAKE_C_COMPILER=${CC}
    -D CMAKE_C_FLAGS=${FLAGS} -D CMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${WORK}/example --config ${CONFIG})
foreach(device auto all fork host)
  set(ENV{ROWPOOL_DEVICE} ${device})
  execute_process(COMMAND ${WORK}/example/example OUTPUT_VARIABLE output RESULT_VARIABLE result)
  if(device STREQUAL all AND NOT result EQUAL 0)
    continue() # there is no OpenCL device
  endif()
  if(NOT output STREQUAL "longest_run: 3 0 1\nentries: 2 0 3\n")
    message(FATAL_ERROR "the example on ${device}: ${result}: ${output}")
  endif()
endforeach()
unset(ENV{ROWPOOL_DEVICE})

# A project without the language C is refused: the functions would be silently left out, and linking would fail.
file(WRITE ${WORK}/cxx/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)
project(cxx LANGUAGES CXX)
find_package(rowpool REQUIRED COMPONENTS shared)
file(WRITE \${CMAKE_CURRENT_BINARY_DIR}/main.cpp \"int main() {}\")
add_executable(main \${CMAKE_CURRENT_BINARY_DIR}/main.cpp)
rowpool_add_functions(main FOLDS ${SOURCE}/example/entries.cl)
")
execute_process(COMMAND ${CMAKE_COMMAND} -G "${GENERATOR}" -S ${WORK}/cxx -B ${WORK}/cxx/build -D CMAKE_PREFIX_PATH=${prefix}
  OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE result)
if(NOT output MATCHES "No CMAKE_CXX_COMPILER" AND (result EQUAL 0 OR NOT output MATCHES "rowpool_add_functions needs the language C"))
  message(FATAL_ERROR "row functions in a project of C++ alone: ${result}: ${output}")
endif()

find_program(pkg_config NAMES pkg-config pkgconf)
if(NOT pkg_config)
  message("pkg-config is not installed: its part is skipped")
  return()
endif()
set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
separate_arguments(flags UNIX_COMMAND "${FLAGS}")

# Builds a program with the flags of pkg-config, and runs it.
function(run_by_pkg_config program name source)
  execute_process(COMMAND ${pkg_config} ${ARGN} --cflags --libs ${name} OUTPUT_VARIABLE options COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(options UNIX_COMMAND "${options}")
  run(${CC} ${flags} -std=c11 ${SOURCE}/consumer/${source} ${options} -o ${WORK}/${program})
  set(ENV{LD_LIBRARY_PATH} ${prefix}/${LIBDIR})
  run(${WORK}/${program})
endfunction()
run_by_pkg_config(by_pkg_config rowpool main.c)
if(mpi_runs)
  run_by_pkg_config(by_pkg_config_mpi rowpool-mpi mpi.c)
endif()
file(GLOB shared ${prefix}/${LIBDIR}/librowpool.so*)
file(REMOVE ${shared})
run_by_pkg_config(by_pkg_config_static rowpool main.c --static)

execute_process(COMMAND ${pkg_config} --modversion rowpool OUTPUT_VARIABLE version COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${prefix}/include/rowpool.h lines REGEX "define ROWPOOL_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^;]*VERSION_[A-Z]+ ([0-9]+)" "\\1" expected "${lines}")
list(JOIN expected "." expected)
string(STRIP "${version}" version)
if(NOT version STREQUAL expected)
  message(FATAL_ERROR "rowpool.pc says ${version}, the header ${expected}")
endif()
