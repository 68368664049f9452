# When each test runs. .ci/nightly runs every test in every build. .ci/run, for every change, leaves out the tests with
# the label nightly, which this file sets:
#
#   build                       runs for every change
#   release                     all tests but those in nightly_only
#   asan, tsan                  those in sanitized
#   no-opencl                   those in without_opencl
#
# So a new test runs in the release build, without an entry here. Included at the end of CMakeLists.txt, where every
# test is known.

# These repeat a test with other settings, other dtypes or other numbers of ranks.
set(nightly_only
  contract-two-devices threads-two-devices contract-one-thread contract-rusticl-dtypes contract-avx2
  widths-.*-dtypes
  data-copy-fork data-two-devices
  builtins-every-pair builtins-two-devices builtins-copy builtins-one-thread builtins-chunks builtins-isolated
  builtins-rusticl builtins-avx2 builtins-baseline
  map-dtypes map-rusticl oclgrind-dtypes
  mpi-openmpi-[134] mpi-mpich-[134] mpi-.*-devices-[134] mpi-.*-whole mpi-mpich-devices-2 mpi-mpich-no-device
  mpi-program-openmpi-[124] mpi-program-mpich-[134]
  packages consumer-packages plot numpy-dtypes npy-numpy-many tables-many)

# Tests of parsers, of memory shared between threads and processes, of clean-up after faults, and the contract once on
# each backend.
set(sanitized
  base range rows arrow split fold schedule api memory fork process kill threads npy units input tables program formats trace
  trace-file map data workers system_faults faults isolated builder signals contract contract-isolated builtins mpi_divide
  mpi_guard)

# Tests of what differs in a build without OpenCL.
set(without_opencl api contract map data workers nodevice environment doctor surroundings program bench consumer man
  readme-files)

# The longest tests start first, so that no core idles at the end: seconds in the slowest build.
set(costs
  builtins 90 fork 60 builder 50 workers 50 program 50 contract 40 map 40 bench 40 mpi-openmpi-kill 40 widths 30 data 30
  isolated 30 range 30 numpy 30 input 20 faults 20 system_faults 20 mpi-program-openmpi-3 200 mpi-program-mpich-2 20
  packages 15 signals 10 large 10 threads 10 contract-no-device 10 contract-isolated 10 contract-rusticl 10 oclgrind 10)
while(costs)
  list(POP_FRONT costs test seconds)
  if(TEST ${test})
    set_tests_properties(${test} PROPERTIES COST ${seconds})
  endif()
endwhile()

# These take gigabytes each, so only one runs at a time.
foreach(test large huge huge-copy)
  if(TEST ${test})
    set_tests_properties(${test} PROPERTIES RESOURCE_LOCK memory)
  endif()
endforeach()

get_property(tests DIRECTORY PROPERTY TESTS)
foreach(test IN LISTS tests)
  set(only_nightly OFF)
  if(ROWPOOL_SANITIZE AND NOT test IN_LIST sanitized)
    set(only_nightly ON)
  elseif(NOT ROWPOOL_HAVE_OPENCL AND NOT test IN_LIST without_opencl)
    set(only_nightly ON)
  else()
    foreach(pattern IN LISTS nightly_only)
      if(test MATCHES "^${pattern}$")
        set(only_nightly ON)
      endif()
    endforeach()
  endif()
  if(only_nightly)
    set_property(TEST ${test} APPEND PROPERTY LABELS nightly)
  endif()
endforeach()
