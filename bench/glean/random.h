/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random.h - pseudo-random numbers, the same on every machine for one seed.
 */
#ifndef BENCH_GLEAN_RANDOM_H
#define BENCH_GLEAN_RANDOM_H

#include <stdint.h>

/* 2^64 divided by the golden ratio, made odd: a Weyl sequence's step. */
#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

/** random_mix() - scramble a number; one to one (SplitMix64's finisher). */
static inline uint64_t random_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/** random_next() - the next number; @state may start anywhere. */
static inline uint64_t random_next(uint64_t *state)
{
	*state += RANDOM_STEP;
	return random_mix(*state);
}

/** random_below() - from 0 to @limit - 1; the bias is below 2^-16 for 2^48. */
static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return random_next(state) % limit;
}

/** random_unit() - in [0, 1), with all 53 bits that a double has. */
static inline double random_unit(uint64_t *state)
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

#endif
