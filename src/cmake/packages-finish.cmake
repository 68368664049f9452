# Run by cpack after it has made the packages. Removes the scripts that call ldconfig, which cpack adds to every package
# with a library: Debian uses a trigger for that.
cmake_minimum_required(VERSION 3.25)
foreach(package IN LISTS CPACK_PACKAGE_FILES)
  if(NOT package MATCHES "/librowpool(-mpi)?[0-9]+_[^/]*\\.deb$")
    continue()
  endif()
  set(root ${CPACK_TOPLEVEL_DIRECTORY}/without-scripts)
  file(REMOVE_RECURSE ${root})
  execute_process(COMMAND dpkg-deb --raw-extract ${package} ${root} COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE ${root}/DEBIAN/postinst ${root}/DEBIAN/postrm)
  execute_process(COMMAND dpkg-deb --root-owner-group --build ${root} ${package} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
