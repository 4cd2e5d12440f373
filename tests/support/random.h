/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random.h - numbers from a seed, so that a failure can be had again.
 *
 * splitmix64: every seed is a good one, 0 included.
 */
#ifndef GLN_TESTS_SUPPORT_RANDOM_H
#define GLN_TESTS_SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/** struct test_random - one thread's own sequence. */
struct test_random {
	uint64_t state;
};

static inline uint64_t test_random_next(struct test_random *random)
{
	uint64_t x = random->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/** A number in [0, end); @end not 0. A bias of end / 2^64 does not matter. */
static inline uint64_t test_random_below(struct test_random *random,
					 uint64_t end)
{
	return test_random_next(random) % end;
}

/** A number in [first, last]. */
static inline uint64_t test_random_between(struct test_random *random,
					   uint64_t first, uint64_t last)
{
	return first + test_random_below(random, last - first + 1);
}

/** True @times times in 256. */
static inline bool test_random_chance(struct test_random *random,
				      unsigned int times)
{
	return (test_random_next(random) & 255) < times;
}

#endif
