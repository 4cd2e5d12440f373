/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zipf.h - ranks 1 to n, rank k as often as k to the power -theta says.
 */
#ifndef BENCH_GLEAN_ZIPF_H
#define BENCH_GLEAN_ZIPF_H

#include <stdint.h>

/** struct zipf - a distribution; constant once made. */
struct zipf {
	double n;
	double theta;
	double area_low;  /* area left of rank 1's column */
	double area_high; /* area up to rank n's column */
	double sure;	  /* closer than this to its rank, a point is in it */
};

/**
 * zipf_init() - for ranks 1 to @n; @theta is positive and not 1.
 */
void zipf_init(struct zipf *zipf, uint64_t n, double theta);

/**
 * zipf_next() - a rank from 1 to n.
 * @random:	state for random_next().
 *
 * Takes a constant time on average, whatever n is; there is no table.
 */
uint64_t zipf_next(const struct zipf *zipf, uint64_t *random);

#endif
