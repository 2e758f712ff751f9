# What `cmake --install` puts where: compiler, run-time library and headers, standard library, cmake and pkg-config files, man page.
include(CMakePackageConfigHelpers)
install(TARGETS seqc seqrt seqrt_shared EXPORT seqcTargets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY runtime/include/seqrt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY frontend/std DESTINATION ${CMAKE_INSTALL_DATADIR}/seqc FILES_MATCHING PATTERN "*.seq")

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/seqc)
install(EXPORT seqcTargets NAMESPACE seqc:: DESTINATION ${package_folder})
configure_package_config_file(cmake/seqcConfig.cmake.in ${CMAKE_BINARY_DIR}/seqcConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/seqcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/seqcConfig.cmake ${CMAKE_BINARY_DIR}/seqcConfigVersion.cmake cmake/SeqcModel.cmake
        DESTINATION ${package_folder})

file(RELATIVE_PATH SEQC_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
foreach(name seqrt seqc)
  configure_file(cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# The options in the man page come from the compiler's own table.
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/seqc.1
  COMMAND sh ${CMAKE_SOURCE_DIR}/man/make-page $<TARGET_FILE:seqc> ${CMAKE_SOURCE_DIR}/man/seqc.1.in ${CMAKE_BINARY_DIR}/seqc.1
  DEPENDS seqc man/seqc.1.in man/make-page
  VERBATIM)
add_custom_target(man ALL DEPENDS ${CMAKE_BINARY_DIR}/seqc.1)
install(FILES ${CMAKE_BINARY_DIR}/seqc.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
