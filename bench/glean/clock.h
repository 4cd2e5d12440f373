/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - time, in nanoseconds.
 */
#ifndef BENCH_GLEAN_CLOCK_H
#define BENCH_GLEAN_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/** clock_ns() - time that only goes forward. */
static inline uint64_t clock_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

/** clock_cpu_ns() - time that the calling thread has computed for. */
static inline uint64_t clock_cpu_ns(void)
{
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

#endif
