# Packages by cpack: Debian packages of the library, its development files and the programs, and one .tar.gz of
# everything. Releases are made by `cmake --workflow --preset package`: not tuned for the build machine, with Debian's
# folders.
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_VENDOR "the rowpool developers")
set(CPACK_PACKAGE_CONTACT "${CPACK_PACKAGE_VENDOR} <rowpool@rowpool.invalid>" CACHE STRING "Who maintains the packages")
set(CPACK_PACKAGE_FILE_NAME rowpool-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL runtime dev tools)
if(ROWPOOL_HAVE_MPI)
  list(APPEND CPACK_COMPONENTS_ALL mpi mpi_dev mpi_tools)
endif()
set(CPACK_STRIP_FILES ON)
set(CPACK_ROWPOOL_STRIP ${CMAKE_STRIP}) # for the static library, which CPACK_STRIP_FILES does not strip
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/src/cmake/packages-stage.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/src/cmake/packages-finish.cmake)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}) # the programs' own library
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

# Without these tools the packages would have no dependencies, or would fail at the end of a long build.
find_program(ROWPOOL_FILE file)
find_program(ROWPOOL_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(ROWPOOL_FILE ROWPOOL_SHLIBDEPS)
if(NOT ROWPOOL_FILE OR NOT ROWPOOL_SHLIBDEPS)
  set(CPACK_GENERATOR TGZ)
  message(STATUS "rowpool: only a .tar.gz, no Debian packages: they need apt-get install file dpkg-dev")
endif()

set(library librowpool${PROJECT_VERSION_MAJOR})
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/triggers CONTENT "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/triggers)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${library})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "maps a function over rows on every device of the machine
A C library whose workers are OpenCL devices (all CPU cores through PoCL, any
GPU) and, where there is none, forked processes. Results come in order, and
the rows of a worker that is killed are recovered.

This package has the library, and the helper program in which it can keep
OpenCL drivers out of the application's process.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME librowpool-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${library} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEV_DESCRIPTION "maps a function over rows on every device - development files
A C library whose workers are OpenCL devices (all CPU cores through PoCL, any
GPU) and, where there is none, forked processes.

This package has the headers, the static library, the CMake package and the
pkg-config file.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME rowpool)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${library} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS "python3-numpy, python3-matplotlib")
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "maps a function over rows on every device - programs
The program rowpool counts, sums and maps over the rows of NumPy's .npy files
on OpenCL devices and worker processes, lists the devices, and diagnoses them.
rowpool-bench measures them beside loops in C.")

# The packages for MPI, built for the implementation of mpicc.
set(CPACK_DEBIAN_MPI_PACKAGE_NAME librowpool-mpi${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_MPI_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "${library} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_MPI_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/triggers)
set(CPACK_DEBIAN_MPI_DESCRIPTION "maps a function over rows on every device of a cluster
A C library that maps a function over rows which are distributed over the
ranks of an MPI communicator, or over those of one NumPy file. Each rank has a
pool of its own, on its share of the node's cores and OpenCL devices.")

set(CPACK_DEBIAN_MPI_TOOLS_PACKAGE_NAME rowpool-mpi)
set(CPACK_DEBIAN_MPI_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_MPI_TOOLS_PACKAGE_DEPENDS
  "librowpool-mpi${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), rowpool (= ${PROJECT_VERSION})")
foreach(flavour openmpi mpich)
  if(MPI_C_LIBRARIES MATCHES ${flavour})
    string(REPLACE openmpi openmpi-bin launcher ${flavour})
    string(APPEND CPACK_DEBIAN_MPI_TOOLS_PACKAGE_DEPENDS ", ${launcher}")
  endif()
endforeach()
set(CPACK_DEBIAN_MPI_TOOLS_DESCRIPTION "maps a function over rows on every device of a cluster - program
The program rowpool-mpi counts, sums and maps over the rows of a NumPy file on
all ranks of an MPI job, with the options and the results of rowpool.")

set(CPACK_DEBIAN_MPI_DEV_PACKAGE_NAME librowpool-mpi-dev)
set(CPACK_DEBIAN_MPI_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_MPI_DEV_PACKAGE_DEPENDS
  "librowpool-mpi${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), librowpool-dev (= ${PROJECT_VERSION})")
foreach(flavour openmpi mpich)
  if(MPI_C_LIBRARIES MATCHES ${flavour})
    string(APPEND CPACK_DEBIAN_MPI_DEV_PACKAGE_DEPENDS ", lib${flavour}-dev")
  endif()
endforeach()
set(CPACK_DEBIAN_MPI_DEV_DESCRIPTION "maps a function over rows on every device of a cluster - development files
A C library that maps a function over rows which are distributed over the
ranks of an MPI communicator, or over those of one NumPy file.

This package has the header, the component mpi of the CMake package and the
pkg-config file.")

if(ROWPOOL_HAVE_OPENCL)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "pocl-opencl-icd | opencl-icd")
  string(APPEND CPACK_DEBIAN_DEV_PACKAGE_DEPENDS ", ocl-icd-opencl-dev | opencl-dev")
endif()

include(CPack)
