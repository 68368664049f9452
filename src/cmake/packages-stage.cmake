# Run by cpack after it has installed the files in its folder. Adds what Debian's policy requires of each package.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE archives ${CPACK_TEMPORARY_DIRECTORY}/*.a)
foreach(archive IN LISTS archives)
  execute_process(COMMAND ${CPACK_ROWPOOL_STRIP} --strip-debug --remove-section=.comment --remove-section=.note
    --enable-deterministic-archives ${archive} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  configure_file(${CPACK_RESOURCE_FILE_LICENSE} ${CPACK_TEMPORARY_DIRECTORY}/LICENSE COPYONLY)
  return()
endif()

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH if that is set
set(changelog "rowpool (${CPACK_PACKAGE_VERSION}) stable; urgency=medium

  * Release ${CPACK_PACKAGE_VERSION}.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(root ${CPACK_TEMPORARY_DIRECTORY}/${component})
  set(folder ${root}/usr/share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  configure_file(${CPACK_RESOURCE_FILE_LICENSE} ${folder}/copyright COPYONLY)
  file(WRITE ${folder}/changelog "${changelog}")
  file(GLOB pages ${root}/usr/share/man/man*/*)
  execute_process(COMMAND gzip -9 -n ${folder}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
