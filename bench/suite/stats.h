/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - what a set of repetitions says.
 */
#ifndef BENCH_SUITE_STATS_H
#define BENCH_SUITE_STATS_H

#include <stddef.h>

/**
 * struct stats - of one benchmark's repetitions.
 *
 * @stddev:	of a sample; 0 for one repetition.
 * @cv:		@stddev / @mean.
 * @spread:	(slowest - fastest) / @median.
 */
struct stats {
	double mean;
	double median;
	double stddev;
	double cv;
	double spread;
};

/** stats_of() - @values are put in order; there is at least one. */
struct stats stats_of(double *values, size_t nr);

#endif
