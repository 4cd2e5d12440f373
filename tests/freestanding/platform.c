/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.c - all that libglean-core asks of a hypervisor, for one CPU.
 *
 * One thread of control: sections end before anybody waits for them, so RCU
 * has nothing to do but count, and locks nothing but check their use.
 */
#include <glean/platform.h>

#include "tests/freestanding/platform.h"
#include "tests/freestanding/start.h"

enum {
	ARENA_BYTES = 1 << 20,
	PAGE_BYTES = 4096,
	TABLE_BYTES_MAX = 1 << 20,
	LINE_BYTES = 64,
};

static _Alignas(TABLE_BYTES_MAX) unsigned char arena[ARENA_BYTES];
static size_t arena_used;

struct platform_counts platform;

/* The four functions that every C has. */

void *memcpy(void *restrict dst, const void *restrict src, size_t bytes)
{
	return memmove(dst, src, bytes);
}

void *memmove(void *dst, const void *src, size_t bytes)
{
	unsigned char *const to = dst;
	const unsigned char *const from = src;

	if (to <= from)
		for (size_t i = 0; i < bytes; i++)
			to[i] = from[i];
	else
		while (bytes--)
			to[bytes] = from[bytes];

	return dst;
}

void *memset(void *dst, int byte, size_t bytes)
{
	unsigned char *const to = dst;

	for (size_t i = 0; i < bytes; i++)
		to[i] = (unsigned char)byte;

	return dst;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const unsigned char *const x = a;
	const unsigned char *const y = b;

	for (size_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;

	return 0;
}

/* As struct gln_allocator asks. */
static size_t alignment_of(size_t bytes)
{
	if (bytes % PAGE_BYTES)
		return LINE_BYTES;
	return bytes <= TABLE_BYTES_MAX && !(bytes & (bytes - 1)) ? bytes
								  : PAGE_BYTES;
}

/* Memory only grows: what is freed is counted and forgotten. */

void *gln_plat_alloc(size_t bytes)
{
	const size_t align = alignment_of(bytes);
	const size_t at = (arena_used + align - 1) & ~(align - 1);

	if (at > ARENA_BYTES || bytes > ARENA_BYTES - at)
		return NULL;

	arena_used = at + bytes;
	platform.bytes_held += bytes;
	return &arena[at];
}

void gln_plat_free(void *memory, size_t bytes)
{
	if (memory)
		platform.bytes_held -= bytes;
}

void gln_plat_read_lock(void)
{
	platform.sections++;
}

void gln_plat_read_unlock(void)
{
	platform.sections--;
}

void gln_plat_synchronize(void)
{
	if (platform.sections)
		gln_plat_assert_failed("no section is open", __FILE__,
				       __LINE__);
	platform.grace_periods++;
}

bool gln_plat_heavy_fence(void)
{
	return platform.has_heavy_fence;
}

int gln_plat_mutex_init(struct gln_plat_mutex *mutex)
{
	mutex->opaque[0] = 0;
	return 0;
}

void gln_plat_mutex_fini(struct gln_plat_mutex *mutex)
{
	if (mutex->opaque[0])
		gln_plat_assert_failed("the mutex is free", __FILE__, __LINE__);
}

void gln_plat_mutex_lock(struct gln_plat_mutex *mutex)
{
	if (mutex->opaque[0]++)
		gln_plat_assert_failed("the mutex is free", __FILE__, __LINE__);
}

void gln_plat_mutex_unlock(struct gln_plat_mutex *mutex)
{
	if (--mutex->opaque[0])
		gln_plat_assert_failed("the mutex is held", __FILE__, __LINE__);
}

/* A clock that moves when it is looked at. */
void gln_plat_relax(unsigned int round)
{
	(void)round;
}

uint64_t gln_plat_now_ns(void)
{
	return ++platform.now_ns;
}

int gln_plat_copy_out(void *dst, const void *src, size_t bytes)
{
	memcpy(dst, src, bytes);
	return 0;
}

int gln_plat_copy_in(void *dst, const void *src, size_t bytes)
{
	memcpy(dst, src, bytes);
	return 0;
}

void gln_plat_assert_failed(const char *what, const char *file, int line)
{
	(void)line;
	start_print(file);
	start_print(": promised: ");
	start_print(what);
	start_print("\n");
	start_exit(1);
}
