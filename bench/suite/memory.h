/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - memory for all rivals alike: huge pages where there are any, and
 * every page there before the clock starts.
 */
#ifndef BENCH_SUITE_MEMORY_H
#define BENCH_SUITE_MEMORY_H

#include <stddef.h>

#include <glean/types.h>

/** suite_alloc() - zeroed, page-aligned memory, or NULL. */
void *suite_alloc(size_t bytes);
void suite_free(void *memory, size_t bytes);

/** suite_allocator - the same, for a VM. */
extern const struct gln_allocator suite_allocator;

#endif
