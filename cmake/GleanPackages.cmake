# SPDX-License-Identifier: BSD-2-Clause
# Third-party libraries, each used at one post only: liburcu in core/sync,
# jemalloc and hwloc in core/host, jansson in bench, Criterion in tests/unit,
# <sys/sdt.h> in core/base/probe.h.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(URCU REQUIRED IMPORTED_TARGET liburcu-bp>=0.13)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.9)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
if(GLN_JEMALLOC)
	pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc>=5.3)
endif()

# A header alone: what it makes is a nop and a note, with nothing to link.
set(GLN_HAVE_USDT FALSE)
if(GLN_USDT)
	include(CheckIncludeFile)
	check_include_file(sys/sdt.h GLN_HAVE_SDT_H)
	if(GLN_HAVE_SDT_H)
		set(GLN_HAVE_USDT TRUE)
	else()
		message(STATUS "No <sys/sdt.h>, so no probes for tracers: it is "
			"in Debian's systemtap-sdt-dev")
	endif()
endif()
