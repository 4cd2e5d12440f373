/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * params.h - structures of a caller that begin with their size, and may be
 * shorter than ours: then what is missing is 0.
 */
#ifndef GLN_CORE_BASE_PARAMS_H
#define GLN_CORE_BASE_PARAMS_H

#include "core/base/memory.h"

/** params_copy() - read one. False if its size makes no sense. */
static inline bool params_copy(void *ours, size_t ours_bytes,
			       const void *theirs)
{
	size_t bytes;

	memcpy(&bytes, theirs, sizeof(bytes));
	if (bytes < sizeof(bytes) || bytes > ours_bytes)
		return false;
	memset(ours, 0, ours_bytes);
	memcpy(ours, theirs, bytes);
	return true;
}

#endif
