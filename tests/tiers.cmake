# When each test runs. All run nightly; the label nightly marks those that only run then, and the presets release, asan,
# tsan and no-opencl leave them out. Included at the end of CMakeLists.txt: every test is known.
#
# An optimised build runs all but these, which repeat a test in other surroundings, with other dtypes or other numbers of
# ranks.
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

# A sanitizer's build runs these: what parses, what shares memory between threads and processes, what cleans up after
# faults, and the contract once on each backend.
set(sanitized
  base range rows arrow split fold schedule api memory fork process kill threads npy units input tables program formats trace
  trace-file map data workers system_faults faults isolated builder signals contract contract-isolated builtins mpi_divide
  mpi_guard)

# A build without OpenCL runs these: what such a build does otherwise.
set(without_opencl api contract map data workers nodevice environment doctor surroundings program bench consumer man
  readme-files)

# The longest tests start first, so that no core idles at the end. Seconds, in the build that takes longest.
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

# Gigabytes each: one at a time.
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
