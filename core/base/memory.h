/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - the VM's allocator, and the four functions every C has.
 */
#ifndef GLN_CORE_BASE_MEMORY_H
#define GLN_CORE_BASE_MEMORY_H

#include <glean/platform.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t bytes);
void *memmove(void *dst, const void *src, size_t bytes);
void *memset(void *dst, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

enum { GLN_CACHE_LINE = 64 };

/**
 * gln_fetch_to_write() - have the cache line at @p fetched: it will be written
 * soon. A hint, about any address, that orders nothing.
 */
#define gln_fetch_to_write(p) __builtin_prefetch((const void *)(p), 1)

static inline void *gln_alloc(const struct gln_allocator *from, size_t bytes)
{
	return from->alloc(from->ctx, bytes);
}

static inline void gln_free(const struct gln_allocator *from, void *memory,
			    size_t bytes)
{
	if (memory)
		from->free(from->ctx, memory, bytes);
}

static inline void *gln_alloc_by_platform(void *ctx, size_t bytes)
{
	(void)ctx;
	return gln_plat_alloc(bytes);
}

static inline void gln_free_by_platform(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	gln_plat_free(memory, bytes);
}

/** gln_allocator_of() - @theirs, or the platform's where that is NULL. */
static inline struct gln_allocator gln_allocator_of(
	const struct gln_allocator *theirs)
{
	return theirs ? *theirs
		      : (struct gln_allocator){
				.alloc = gln_alloc_by_platform,
				.free = gln_free_by_platform,
			};
}

#endif
