# SPDX-License-Identifier: BSD-2-Clause
# Two libraries from one tree:
#   glean_core   libglean-core.a  freestanding: core without host, MMU backends
#   glean        libglean.so      hosted: everything; glean_static is the same

get_property(core_sources GLOBAL PROPERTY GLN_CORE_SOURCES)
get_property(hosted_sources GLOBAL PROPERTY GLN_HOSTED_SOURCES)

set(GLN_FREESTANDING_FLAGS -ffreestanding -fno-stack-protector)
# Most hypervisors do not own the vector registers.
if(NOT GLN_CORE_VECTORS AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|aarch64")
	list(APPEND GLN_FREESTANDING_FLAGS -mgeneral-regs-only)
elseif(NOT GLN_CORE_VECTORS AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(powerpc|ppc)64")
	list(APPEND GLN_FREESTANDING_FLAGS -mno-altivec -mno-vsx)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
	list(APPEND GLN_FREESTANDING_FLAGS -mno-outline-atomics)
endif()

function(gln_library_setup target)
	target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:gln_compile>)
	target_include_directories(${target} PUBLIC
		$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
		$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# gln_core_library(TARGET [DEFINITION...]): the freestanding core as a static
# library; definitions make the variants that tests break on purpose.
function(gln_core_library target)
	add_library(${target} STATIC ${core_sources})
	gln_library_setup(${target})
	target_compile_definitions(${target} PRIVATE GLN_HOSTED=0 ${ARGN})
	target_compile_options(${target} PRIVATE ${GLN_FREESTANDING_FLAGS})
endfunction()

# gln_hosted_objects(TARGET [DEFINITION...]): everything, compiled.
function(gln_hosted_objects target)
	add_library(${target} OBJECT ${core_sources} ${hosted_sources})
	gln_library_setup(${target})
	target_compile_definitions(${target} PRIVATE GLN_HOSTED=1 _GNU_SOURCE
		$<$<BOOL:${GLN_JEMALLOC}>:GLN_JEMALLOC=1>
		$<$<BOOL:${GLN_HAVE_USDT}>:GLN_USDT=1> ${ARGN})
	# A read-side section looks four times at where its thread's reader is.
	# A shared library asks by a call each time, 12 of a mark's 20 ns, unless
	# it is told that what is a thread's own lies in its static block.
	target_compile_options(${target} PRIVATE -ftls-model=initial-exec)
	gln_hosted_needs(${target})
endfunction()

function(gln_hosted_needs target)
	target_link_libraries(${target} PRIVATE PkgConfig::URCU PkgConfig::HWLOC
		$<$<BOOL:${GLN_JEMALLOC}>:PkgConfig::JEMALLOC> Threads::Threads)
endfunction()

# gln_hosted_library(TARGET KIND OBJECTS): a library of what is compiled.
function(gln_hosted_library target kind objects)
	add_library(${target} ${kind} $<TARGET_OBJECTS:${objects}>)
	gln_library_setup(${target})
	gln_hosted_needs(${target})
endfunction()

if(NOT GLN_SANITIZE)
	gln_core_library(glean_core)
	set_target_properties(glean_core PROPERTIES OUTPUT_NAME glean-core
		EXPORT_NAME core)
	add_library(glean::core ALIAS glean_core)
endif()

if(GLN_HOSTED)
	# Compiled once: both kinds are position independent, and alike.
	gln_hosted_objects(glean_objects)
	gln_hosted_library(glean SHARED glean_objects)
	set_target_properties(glean PROPERTIES VERSION ${PROJECT_VERSION}
		SOVERSION ${PROJECT_VERSION_MAJOR})
	add_library(glean::glean ALIAS glean)

	gln_hosted_library(glean_static STATIC glean_objects)
	set_target_properties(glean_static PROPERTIES OUTPUT_NAME glean
		EXPORT_NAME static)
	add_library(glean::static ALIAS glean_static)
endif()
