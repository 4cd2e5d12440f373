/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - memory for all rivals alike.
 */
#include "bench/suite/memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* A huge page, on most machines; elsewhere merely a generous alignment. */
#define HUGE_BYTES  ((size_t)2 << 20)
#define SMALL_BYTES ((size_t)64 << 10)

static size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

static size_t unit_for(size_t bytes)
{
	return bytes >= HUGE_BYTES ? HUGE_BYTES : SMALL_BYTES;
}

/* Map @bytes, a multiple of @unit, aligned to @unit. */
static void *map_aligned(size_t bytes, size_t unit)
{
	unsigned char *map = mmap(NULL, bytes + unit, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return NULL;

	const size_t head = round_up((uintptr_t)map, unit) - (uintptr_t)map;

	if (head)
		munmap(map, head);
	if (head < unit)
		munmap(map + head + bytes, unit - head);
	return map + head;
}

void *suite_alloc(size_t bytes)
{
	const size_t unit = unit_for(bytes);

	if (bytes > SIZE_MAX - 2 * HUGE_BYTES)
		return NULL;

	const size_t mapped = round_up(bytes, unit);
	void *memory = map_aligned(mapped, unit);

	if (!memory)
		return NULL;
	if (unit == HUGE_BYTES)
		madvise(memory, mapped, MADV_HUGEPAGE);
	return memset(memory, 0, mapped);
}

void suite_free(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, round_up(bytes, unit_for(bytes)));
}

static void *allocator_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return suite_alloc(bytes);
}

static void allocator_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	suite_free(memory, bytes);
}

const struct gln_allocator suite_allocator = {
	.alloc = allocator_alloc,
	.free = allocator_free,
};
