/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare.c - is it slower than it was?
 *
 * It is, if its median is by more than the threshold and the repetitions of
 * both times differ significantly. Either alone says little: many repetitions
 * make any difference significant, and few make any median.
 */
#include "bench/glean/compare.h"

#include <errno.h>
#include <stdbool.h>

#include "bench/glean/units.h"
#include "bench/suite/stats.h"

/*
 * Differences at least this unlikely by chance are significant. A whole run
 * compares hundreds of benchmarks: one in a hundred is still a few of them, but
 * few of those pass the threshold too.
 */
#define ALPHA 0.01

#define NAME_WIDTH 72

enum verdict { SAME, FASTER, SLOWER, UNDECIDED, NR_VERDICTS };

static const char *const verdict_names[NR_VERDICTS] = {"same", "faster",
						       "slower", "undecided"};

/* One benchmark, then and now. */
struct comparison {
	double before;
	double now;
	double ratio;
	double p;
	enum verdict verdict;
};

/* Can so many repetitions be told apart, if all of one are less? */
static bool can_tell(size_t nr_before, size_t nr_now)
{
	static const double low[STATS_VALUES_MAX];
	double high[STATS_VALUES_MAX];

	for (size_t i = 0; i < nr_now; i++)
		high[i] = 1;
	return stats_mann_whitney(low, nr_before, high, nr_now) < ALPHA;
}

static struct comparison compare(const struct result *before,
				 const struct result *now, double threshold)
{
	struct comparison c = {
		.before = result_median(before),
		.now = result_median(now),
		.p = stats_mann_whitney(before->ns, before->nr, now->ns,
					now->nr),
	};
	const bool differs = c.p < ALPHA;

	c.ratio = c.before > 0 ? c.now / c.before : 1;
	if (c.ratio <= 1 + threshold && c.ratio >= 1 / (1 + threshold))
		c.verdict = SAME;
	else if (!can_tell(before->nr, now->nr))
		c.verdict = UNDECIDED;
	else if (differs)
		c.verdict = c.ratio > 1 ? SLOWER : FASTER;
	return c;
}

static void print(const char *name, const struct comparison *c, FILE *table)
{
	char before[UNITS_BYTES], now[UNITS_BYTES];

	fprintf(table, "%-*s %8s %8s %7.3f %7.4f  %s\n", NAME_WIDTH, name,
		units_time(before, c->before), units_time(now, c->now),
		c->ratio, c->p, verdict_names[c->verdict]);
}

static void print_sum(const unsigned int counts[NR_VERDICTS], size_t nr_before,
		      size_t nr_now, FILE *table)
{
	unsigned int both = 0;

	for (int v = 0; v < NR_VERDICTS; v++)
		both += counts[v];
	fprintf(table, "%u slower, %u faster, %u the same", counts[SLOWER],
		counts[FASTER], counts[SAME]);
	if (counts[UNDECIDED])
		fprintf(table, ", %u undecided: that takes 5 repetitions each",
			counts[UNDECIDED]);
	fprintf(table, "; %zu only in the baseline, %zu not in it\n",
		nr_before - both, nr_now - both);
}

int compare_results(const struct results *before, const struct results *now,
		    uint64_t percent, FILE *table)
{
	unsigned int counts[NR_VERDICTS] = {0};
	bool any = false;

	for (size_t i = 0; i < now->nr; i++) {
		const struct result *const result = &now->list[i];
		const struct result *const old =
			results_find(before, result->name);

		if (!old)
			continue;
		if (!any)
			fprintf(table, "%-*s %8s %8s %7s %7s  %s\n", NAME_WIDTH,
				"benchmark", "before", "now", "ratio", "p",
				"verdict");
		any = true;

		const struct comparison c =
			compare(old, result, (double)percent / 100);

		print(result->name, &c, table);
		counts[c.verdict]++;
	}
	if (!any)
		return -ENOENT;
	print_sum(counts, before->nr, now->nr, table);
	return (int)counts[SLOWER];
}
