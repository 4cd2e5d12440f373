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

/** Repetitions of one benchmark that stats_mann_whitney() can take. */
#define STATS_VALUES_MAX 1000

/**
 * stats_mann_whitney() - could two sets of repetitions come from one source?
 *
 * The Mann-Whitney U test, two-sided: exact, ties included, up to 24 values in
 * all, from there on by the normal distribution, with the corrections for ties
 * and for continuity. It assumes nothing about how times are distributed.
 *
 * Return: the probability of a difference at least as large if they do; 1 if
 * there is nothing to compare.
 */
double stats_mann_whitney(const double *a, size_t nr_a, const double *b,
			  size_t nr_b);

#endif
