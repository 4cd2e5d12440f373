/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * assert.h - what a caller promised, checked in debug builds.
 *
 * Never for input: a guest's or a user's mistake is an error code.
 */
#ifndef GLN_CORE_BASE_ASSERT_H
#define GLN_CORE_BASE_ASSERT_H

#include <glean/platform.h>

#ifdef NDEBUG
#define gln_assert(condition) ((void)sizeof(!(condition)))
#else
#define gln_assert(condition)  \
	((condition) ? (void)0 \
		     : gln_plat_assert_failed(#condition, __FILE__, __LINE__))
#endif

/* The object that holds @member at @pointer. */
#define gln_container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
