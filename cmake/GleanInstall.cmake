# SPDX-License-Identifier: BSD-2-Clause
# What `cmake --install` puts where: headers, libraries, CMake and pkg-config
# packages, man pages; the command is installed where it is built. All of it may
# be moved: every path inside is relative to the file that holds it.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/glean)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/glean DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
	FILES_MATCHING PATTERN "*.h")

# glean::static needs liburcu, hwloc and jemalloc where it is linked; the other
# two need nothing. Two export sets, so that those who do not want the first
# need not have what it needs.
set(plain_targets)
if(TARGET glean)
	list(APPEND plain_targets glean)
	install(TARGETS glean_static EXPORT gleanStaticTargets
		ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	install(EXPORT gleanStaticTargets NAMESPACE glean::
		DESTINATION ${package_dir})
endif()
if(TARGET glean_core)
	list(APPEND plain_targets glean_core)
endif()
if(plain_targets)
	install(TARGETS ${plain_targets} EXPORT gleanTargets
		LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
		ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	install(EXPORT gleanTargets NAMESPACE glean::
		DESTINATION ${package_dir})
endif()

set(config_jemalloc)
set(test_jemalloc)
set(pc_jemalloc)
if(GLN_JEMALLOC)
	set(config_jemalloc "\"JEMALLOC:jemalloc>=5.3\"")
	set(test_jemalloc "AND TARGET PkgConfig::JEMALLOC")
	set(pc_jemalloc ", jemalloc >= 5.3")
endif()
configure_package_config_file(cmake/gleanConfig.cmake.in gleanConfig.cmake
	INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(gleanConfigVersion.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES
	${PROJECT_BINARY_DIR}/gleanConfig.cmake
	${PROJECT_BINARY_DIR}/gleanConfigVersion.cmake
	DESTINATION ${package_dir})

# From the directory of a .pc file to the prefix, and on from there.
file(RELATIVE_PATH pc_prefix /x/${pkgconfig_dir} /x)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
if(TARGET glean)
	configure_file(cmake/glean.pc.in glean.pc @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/glean.pc
		DESTINATION ${pkgconfig_dir})
endif()
if(TARGET glean_core)
	configure_file(cmake/glean-core.pc.in glean-core.pc @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/glean-core.pc
		DESTINATION ${pkgconfig_dir})
endif()

foreach(section 1 3)
	file(GLOB pages CONFIGURE_DEPENDS
		${PROJECT_SOURCE_DIR}/docs/man/*.${section})
	if(pages)
		install(FILES ${pages}
			DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
	endif()
endforeach()
