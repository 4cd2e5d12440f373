# SPDX-License-Identifier: BSD-2-Clause
# What the plain-C programs of contract/ and stress/ share: a library of their
# own, made once. It calls libglean, so it stands before it where both are
# linked; which build of libglean that is, broken ones included, is up to them.

include_guard(GLOBAL)

add_library(stress_support STATIC
	${CMAKE_CURRENT_LIST_DIR}/hpt_oracle.c
	${CMAKE_CURRENT_LIST_DIR}/hpt_rig.c
	${CMAKE_CURRENT_LIST_DIR}/soft_mmu.c
	${CMAKE_CURRENT_LIST_DIR}/stress_frame.c
	${CMAKE_CURRENT_LIST_DIR}/stress_guest.c
	${CMAKE_CURRENT_LIST_DIR}/stress_hpt.c
	${CMAKE_CURRENT_LIST_DIR}/stress_models.c
	${CMAKE_CURRENT_LIST_DIR}/stress_ways.c
	${PROJECT_SOURCE_DIR}/bench/glean/hpt_guest.c)
target_link_libraries(stress_support PRIVATE gln_compile Threads::Threads)
target_include_directories(stress_support PRIVATE
	${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(stress_support PRIVATE GLN_HOSTED=1 _GNU_SOURCE)
