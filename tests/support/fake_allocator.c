/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_allocator.c - count, check, fail.
 */
#include "tests/support/fake_allocator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALIGNMENT = 64,
	PAGE_BYTES = 4096,
	FREED = 0xa5, /* what freed memory reads as, if it is read still */
};

/* More than this is refused, as a machine would refuse it. */
#define MAX_BYTES ((size_t)1 << 36)

static _Noreturn void breach(const char *what)
{
	fprintf(stderr, "fake allocator: %s\n", what);
	abort();
}

/* As struct gln_allocator asks, and a hashed page table (hpt.h). */
static size_t alignment_of(size_t bytes)
{
	if (bytes % PAGE_BYTES)
		return ALIGNMENT;
	return bytes & (bytes - 1) ? PAGE_BYTES : bytes;
}

static void *fake_alloc(void *ctx, size_t bytes)
{
	struct fake_allocator *const fake = ctx;
	void *memory;

	fake->nr_calls++;
	if (fake->fail_at && !--fake->fail_at)
		return NULL;
	if (!bytes)
		breach("asked for nothing");
	if (fake->nr_live == FAKE_BLOCKS)
		breach("out of blocks");
	if (bytes > MAX_BYTES ||
	    posix_memalign(&memory, alignment_of(bytes), bytes))
		return NULL;

	memset(memory, 0, bytes);
	fake->blocks[fake->nr_live].memory = memory;
	fake->blocks[fake->nr_live].bytes = bytes;
	fake->nr_live++;
	fake->live_bytes += bytes;
	return memory;
}

static void fake_free(void *ctx, void *memory, size_t bytes)
{
	struct fake_allocator *const fake = ctx;
	size_t i = 0;

	while (i < fake->nr_live && fake->blocks[i].memory != memory)
		i++;
	if (i == fake->nr_live)
		breach("freed what is not allocated");
	if (fake->blocks[i].bytes != bytes)
		breach("freed with another size");

	fake->blocks[i] = fake->blocks[--fake->nr_live];
	fake->live_bytes -= bytes;
	memset(memory, FREED, bytes);
	free(memory);
}

void fake_allocator_init(struct fake_allocator *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->allocator.alloc = fake_alloc;
	fake->allocator.free = fake_free;
	fake->allocator.ctx = fake;
}
