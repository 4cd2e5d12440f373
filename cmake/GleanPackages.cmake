# SPDX-License-Identifier: BSD-2-Clause
# Third-party libraries, each used at one post only: liburcu in core/sync,
# jemalloc and hwloc in core/host, jansson in bench, Criterion in tests/unit.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(URCU REQUIRED IMPORTED_TARGET liburcu-bp>=0.13)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.9)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
if(GLN_JEMALLOC)
	pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc>=5.3)
endif()
