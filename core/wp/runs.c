/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.c - walk a snapshot run by run, skipping what was not taken.
 */
#include "core/wp/runs.h"

void glni_runs_start(struct run_walk *walk, const struct snapshot *snap)
{
	*walk = (struct run_walk){.snap = snap};
	walk->mask = snapshot_word(snap, 0);
}

/* Move to the next word with something in it. False at the end. */
static bool next_word(struct run_walk *walk)
{
	const uint64_t nr_words = bitmap_nr_words(walk->snap->nr_pages);
	const uint64_t nr_lines = gln_div_up(walk->snap->nr_pages, LINE_PAGES);

	while (++walk->word < nr_words) {
		const uint64_t line = walk->word >> LINE_WORD_SHIFT;

		if (walk->word % LINE_WORDS == 0) {
			const uint64_t next = glni_snapshot_next_line(
				walk->snap, line, nr_lines);

			if (next == nr_lines)
				break;
			walk->word = next << LINE_WORD_SHIFT;
		}
		walk->mask = snapshot_word(walk->snap, walk->word);
		if (walk->mask)
			return true;
	}

	walk->word = nr_words;
	return false;
}

/* Does @run end with its word, and the next one begin with a set bit? */
static bool goes_on(const struct run_walk *walk, struct gln_range run)
{
	const uint64_t next = run.first + run.count;

	return next % GLN_WORD_BITS == 0 && next < walk->snap->nr_pages &&
	       (snapshot_word(walk->snap, next >> GLN_WORD_SHIFT) & 1);
}

/* The next maximal run. False at the end. */
static bool next_run(struct run_walk *walk, struct gln_range *run)
{
	if (!walk->mask && !next_word(walk))
		return false;

	*run = run_take(&walk->mask, walk->word << GLN_WORD_SHIFT);
	while (goes_on(walk, *run)) {
		next_word(walk);
		run->count += run_take(&walk->mask, 0).count;
	}

	return true;
}

size_t glni_runs_next(struct run_walk *walk, gln_gfn base,
		      struct gln_range *ranges, size_t max)
{
	size_t nr = 0;

	while (nr < max && next_run(walk, &ranges[nr]))
		ranges[nr++].first += base;

	return nr;
}
