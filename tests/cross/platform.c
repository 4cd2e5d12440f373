/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.c - what libglean-core asks for, from a C library and threads.
 */
#include <glean/platform.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 64, PAGE_BYTES = 4096 };

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct gln_plat_mutex),
	       "there is room for the lock");

/* As struct gln_allocator asks, and hashed page tables. */
static size_t alignment_of(size_t bytes)
{
	if (bytes % PAGE_BYTES)
		return LINE_BYTES;
	return bytes & (bytes - 1) ? PAGE_BYTES : bytes;
}

void *gln_plat_alloc(size_t bytes)
{
	void *memory;

	if (posix_memalign(&memory, alignment_of(bytes), bytes))
		return NULL;
	return memset(memory, 0, bytes);
}

void gln_plat_free(void *memory, size_t bytes)
{
	(void)bytes;
	free(memory);
}

/*
 * Sections are counted, and who waits waits for a moment without any. That may
 * be never, where sections come thick and fast; here they do not.
 */
static atomic_uint nr_sections;

void gln_plat_read_lock(void)
{
	atomic_fetch_add(&nr_sections, 1);
}

void gln_plat_read_unlock(void)
{
	atomic_fetch_sub(&nr_sections, 1);
}

void gln_plat_synchronize(void)
{
	while (atomic_load(&nr_sections))
		sched_yield();
}

bool gln_plat_heavy_fence(void)
{
	return false;
}

static pthread_mutex_t *pthread_of(struct gln_plat_mutex *mutex)
{
	return (pthread_mutex_t *)(void *)mutex;
}

int gln_plat_mutex_init(struct gln_plat_mutex *mutex)
{
	return -pthread_mutex_init(pthread_of(mutex), NULL);
}

void gln_plat_mutex_fini(struct gln_plat_mutex *mutex)
{
	pthread_mutex_destroy(pthread_of(mutex));
}

void gln_plat_mutex_lock(struct gln_plat_mutex *mutex)
{
	pthread_mutex_lock(pthread_of(mutex));
}

void gln_plat_mutex_unlock(struct gln_plat_mutex *mutex)
{
	pthread_mutex_unlock(pthread_of(mutex));
}

void gln_plat_relax(unsigned int round)
{
	(void)round;
	sched_yield();
}

uint64_t gln_plat_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
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
	fprintf(stderr, "%s:%d: promised: %s\n", file, line, what);
	abort();
}
