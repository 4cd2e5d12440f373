/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - what a set of repetitions says.
 */
#include "bench/suite/stats.h"

#include <math.h>
#include <stdbool.h>
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

/* --- the Mann-Whitney U test --- */

enum {
	/* Up to so many values the exact distribution is counted out. */
	EXACT_VALUES = 24,
	/* All their doubled ranks together: n (n + 1). */
	EXACT_SUM = EXACT_VALUES * (EXACT_VALUES + 1),
};

/* A value, and which sample it is of. */
struct pooled {
	double value;
	bool is_a;
};

/*
 * Both samples, in order.
 *
 * @rank2:	twice the rank of each, 1 for the least; equal values share the
 *		middle of their ranks. Doubled, it is a whole number.
 * @ties:	the sum of t^3 - t over all groups of t equal values.
 */
struct pool {
	struct pooled values[2 * STATS_VALUES_MAX];
	unsigned int rank2[2 * STATS_VALUES_MAX];
	size_t nr;
	size_t nr_a;
	double ties;
};

static int compare_pooled(const void *a, const void *b)
{
	return compare_doubles(&((const struct pooled *)a)->value,
			       &((const struct pooled *)b)->value);
}

static void fill_pool(struct pool *pool, const double *a, size_t nr_a,
		      const double *b, size_t nr_b)
{
	pool->nr = 0;
	pool->nr_a = nr_a;
	for (size_t i = 0; i < nr_a; i++)
		pool->values[pool->nr++] = (struct pooled){a[i], true};
	for (size_t i = 0; i < nr_b; i++)
		pool->values[pool->nr++] = (struct pooled){b[i], false};
	qsort(pool->values, pool->nr, sizeof(*pool->values), compare_pooled);
}

/* Where the values equal to that at @first end. */
static size_t end_of_ties(const struct pool *pool, size_t first)
{
	size_t end = first + 1;

	while (end < pool->nr &&
	       !compare_pooled(&pool->values[first], &pool->values[end]))
		end++;
	return end;
}

static void rank(struct pool *pool)
{
	size_t end;

	pool->ties = 0;
	for (size_t first = 0; first < pool->nr; first = end) {
		end = end_of_ties(pool, first);

		const double t = (double)(end - first);

		/* Ranks first + 1 to end: twice their middle. */
		for (size_t i = first; i < end; i++)
			pool->rank2[i] = (unsigned int)(first + 1 + end);
		pool->ties += t * t * t - t;
	}
}

static unsigned int rank_sum2_of_a(const struct pool *pool)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < pool->nr; i++)
		if (pool->values[i].is_a)
			sum += pool->rank2[i];
	return sum;
}

/*
 * Of all ways to choose a sample as large as a from the pool, the part whose
 * rank sum is at least as far from the middle. ways[k][s]: choices of k values
 * with doubled ranks that add up to s.
 */
static double exact_p(const struct pool *pool)
{
	double ways[EXACT_VALUES + 1][EXACT_SUM + 1] = {{1}};
	const int middle2 = (int)(pool->nr_a * (pool->nr + 1));
	const int distance = abs((int)rank_sum2_of_a(pool) - middle2);
	double all = 0, far = 0;

	for (size_t i = 0; i < pool->nr; i++)
		for (size_t k = i + 1; k > 0; k--)
			for (size_t s = EXACT_SUM; s >= pool->rank2[i]; s--)
				ways[k][s] += ways[k - 1][s - pool->rank2[i]];
	for (int s = 0; s <= EXACT_SUM; s++) {
		all += ways[pool->nr_a][s];
		if (abs(s - middle2) >= distance)
			far += ways[pool->nr_a][s];
	}
	return far / all;
}

static double normal_p(const struct pool *pool)
{
	const double n = (double)pool->nr;
	const double a = (double)pool->nr_a;
	const double b = n - a;
	const double variance =
		a * b / 12 * (n + 1 - pool->ties / (n * (n - 1)));
	const double distance =
		fabs((double)rank_sum2_of_a(pool) / 2 - a * (n + 1) / 2);

	if (variance <= 0 || distance <= 0.5)
		return 1;
	return erfc((distance - 0.5) / sqrt(2 * variance));
}

double stats_mann_whitney(const double *a, size_t nr_a, const double *b,
			  size_t nr_b)
{
	struct pool pool;

	if (!nr_a || !nr_b || nr_a > STATS_VALUES_MAX ||
	    nr_b > STATS_VALUES_MAX)
		return 1;
	fill_pool(&pool, a, nr_a, b, nr_b);
	rank(&pool);
	return pool.nr <= EXACT_VALUES ? exact_p(&pool) : normal_p(&pool);
}
