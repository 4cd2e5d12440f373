/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * join.c - join runs over gaps.
 */
#include "core/wp/join.h"

void glni_joins_start(struct join_walk *walk, const struct snapshot *snap,
		      const struct scan_kernel *kernel, uint64_t max_gap)
{
	*walk = (struct join_walk){.max_gap = max_gap};
	glni_runs_start(&walk->runs, snap, kernel);
}

/* Let the range that is held reach over @run. False if that is too far off. */
static bool join(struct join_walk *walk, struct gln_range run)
{
	struct gln_range *const held = &walk->held;
	const uint64_t gap = run.first - held->first - held->count;

	if (!held->count || gap > walk->max_gap)
		return false;
	held->count += gap + run.count;
	walk->held_gap_pages += gap;
	return true;
}

/* Give out what is held, if it is something, and hold @run. Returns how many.
 */
static size_t give(struct join_walk *walk, struct gln_range run,
		   struct gln_range *to)
{
	const bool is_held = walk->held.count != 0;

	if (is_held)
		*to = walk->held;
	walk->gap_pages += walk->held_gap_pages;
	walk->held = run;
	walk->held_gap_pages = 0;
	return is_held;
}

size_t glni_joins_next(struct join_walk *walk, gln_gfn base,
		       struct gln_range *ranges, size_t max)
{
	size_t nr = 0;

	if (!walk->max_gap)
		return glni_runs_next(&walk->runs, base, ranges, max);

	/* In place: of as many runs as were read at most as many are given. */
	while (nr < max) {
		const size_t end = nr + glni_runs_next(&walk->runs, base,
						       &ranges[nr], max - nr);

		if (end == nr)
			return nr +
			       give(walk, (struct gln_range){0}, &ranges[nr]);
		for (size_t i = nr; i < end; i++) {
			const struct gln_range run = ranges[i];

			if (!join(walk, run))
				nr += give(walk, run, &ranges[nr]);
		}
	}

	return nr;
}
