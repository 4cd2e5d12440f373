/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - memory for VMs without an allocator of their own.
 *
 * Small objects come from jemalloc; bitmaps and hashed page tables are mapped,
 * so that what nobody touches of them takes no memory at all. Every power of
 * two from 4096 on is aligned to itself, however large.
 */
#include <glean/platform.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if GLN_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

enum {
	ALIGNMENT = 64,
	PAGE_BYTES = 4096,
	SMALL_TABLE_BYTES = 1024 * 1024,
	MAP_BYTES = 64 * 1024,	      /* others from here on have a mapping */
	HUGE_BYTES = 2 * 1024 * 1024, /* from here on huge pages, if any */
};

/* Tables of MMUs: a power of two, aligned to itself. */
static int is_table(size_t bytes)
{
	return bytes >= PAGE_BYTES && (bytes & (bytes - 1)) == 0;
}

/* Address space and nothing behind it. */
static char *reserve(size_t bytes)
{
	void *const memory =
		mmap(NULL, bytes, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void release(char *memory, size_t bytes)
{
	if (bytes)
		munmap(memory, bytes);
}

/* Twice the space holds an aligned piece; the ends go back. */
static char *reserve_aligned(size_t bytes)
{
	const size_t spare = bytes - PAGE_BYTES;
	char *const memory =
		bytes <= SIZE_MAX / 2 ? reserve(bytes + spare) : NULL;
	size_t before;

	if (!memory)
		return NULL;
	before = -(uintptr_t)memory & (bytes - 1);
	release(memory, before);
	release(memory + before + bytes, spare - before);
	return memory + before;
}

static void *map(size_t bytes)
{
	char *const memory =
		is_table(bytes) ? reserve_aligned(bytes) : reserve(bytes);

	if (!memory)
		return NULL;
	if (mprotect(memory, bytes, PROT_READ | PROT_WRITE)) {
		munmap(memory, bytes);
		return NULL;
	}
	if (bytes >= HUGE_BYTES)
		madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

static size_t alignment_of(size_t bytes)
{
	if (is_table(bytes))
		return bytes;
	return bytes % PAGE_BYTES ? ALIGNMENT : PAGE_BYTES;
}

static int is_small(size_t bytes)
{
	return bytes < MAP_BYTES ||
	       (is_table(bytes) && bytes <= SMALL_TABLE_BYTES);
}

#if GLN_JEMALLOC
static void *small_alloc(size_t bytes)
{
	return mallocx(bytes,
		       MALLOCX_ALIGN(alignment_of(bytes)) | MALLOCX_ZERO);
}

static void small_free(void *memory, size_t bytes)
{
	sdallocx(memory, bytes, MALLOCX_ALIGN(alignment_of(bytes)));
}
#else
static void *small_alloc(size_t bytes)
{
	void *memory;

	if (posix_memalign(&memory, alignment_of(bytes), bytes))
		return NULL;
	return memset(memory, 0, bytes);
}

static void small_free(void *memory, size_t bytes)
{
	(void)bytes;
	free(memory);
}
#endif

void *gln_plat_alloc(size_t bytes)
{
	return is_small(bytes) ? small_alloc(bytes) : map(bytes);
}

void gln_plat_free(void *memory, size_t bytes)
{
	if (is_small(bytes))
		small_free(memory, bytes);
	else
		munmap(memory, bytes);
}
