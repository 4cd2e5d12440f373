/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - what a set of repetitions says.
 */
#include "bench/suite/stats.h"

#include <math.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double mean_of(const double *values, size_t nr)
{
	double sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += values[i];
	return sum / (double)nr;
}

static double stddev_of(const double *values, size_t nr, double mean)
{
	double sum = 0;

	if (nr < 2)
		return 0;
	for (size_t i = 0; i < nr; i++)
		sum += (values[i] - mean) * (values[i] - mean);
	return sqrt(sum / (double)(nr - 1));
}

/* A share of nothing is nothing. */
static double share(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

struct stats stats_of(double *values, size_t nr)
{
	struct stats stats;

	qsort(values, nr, sizeof(*values), compare_doubles);
	stats.mean = mean_of(values, nr);
	stats.median = (values[(nr - 1) / 2] + values[nr / 2]) / 2;
	stats.stddev = stddev_of(values, nr, stats.mean);
	stats.cv = share(stats.stddev, stats.mean);
	stats.spread = share(values[nr - 1] - values[0], stats.median);
	return stats;
}
