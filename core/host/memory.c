/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - memory for VMs without an allocator of their own.
 *
 * Small objects come from jemalloc; bitmaps are mapped, so that clean parts of
 * a huge slot's log take no memory at all.
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
	TABLE_BYTES_MAX = 1024 * 1024,
	MAP_BYTES = 64 * 1024,	      /* from here on a mapping of its own */
	HUGE_BYTES = 2 * 1024 * 1024, /* from here on huge pages, if any */
};

static void *map(size_t bytes)
{
	void *const memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_BYTES)
		madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

/* Tables of MMUs: a power of two, aligned to itself. */
static int is_table(size_t bytes)
{
	return bytes >= PAGE_BYTES && bytes <= TABLE_BYTES_MAX &&
	       (bytes & (bytes - 1)) == 0;
}

static size_t alignment_of(size_t bytes)
{
	if (is_table(bytes))
		return bytes;
	return bytes % PAGE_BYTES ? ALIGNMENT : PAGE_BYTES;
}

static int is_small(size_t bytes)
{
	return bytes < MAP_BYTES || is_table(bytes);
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
