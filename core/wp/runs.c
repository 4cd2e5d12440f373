/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.c - walk a snapshot run by run, skipping what was not taken.
 */
#include "core/wp/runs.h"

/* Find the next taken lines, from @word on, and read their first word. */
static bool next_span(struct run_walk *walk, uint64_t word)
{
	const struct snapshot *const snap = walk->snap;
	const uint64_t end = gln_div_up(snap->nr_pages, LINE_PAGES);
	const uint64_t line =
		glni_snapshot_next_line(snap, word >> LINE_WORD_SHIFT, end);

	walk->word = line << LINE_WORD_SHIFT;
	walk->span_end = walk->word;
	walk->mask = 0;
	if (line >= end)
		return false;

	walk->span_end += glni_snapshot_span(snap, line) << LINE_WORD_SHIFT;
	walk->mask = snap->words[walk->word];
	return true;
}

/* Move to the next word that may hold something. False at the end. */
static bool step(struct run_walk *walk)
{
	const uint64_t next = walk->word + 1;

	if (next >= walk->span_end)
		return next_span(walk, next);

	walk->word = next;
	walk->mask = walk->snap->words[next];
	return true;
}

void glni_runs_start(struct run_walk *walk, const struct snapshot *snap)
{
	*walk = (struct run_walk){.snap = snap};
	next_span(walk, 0);
}

/* A run reached the end of its word: let it go on in the words that follow. */
static void extend(struct run_walk *walk, struct gln_range *run)
{
	for (;;) {
		const uint64_t *const words = walk->snap->words;
		uint64_t follows = walk->word + 1;

		/* Whole words of a span, as fast as they can be read. */
		while (follows < walk->span_end && words[follows] == UINT64_MAX)
			follows++;
		run->count += (follows - 1 - walk->word) << GLN_WORD_SHIFT;
		walk->word = follows - 1;
		walk->mask = 0;

		if (!step(walk) || walk->word != follows || !(walk->mask & 1))
			return;
		if (walk->mask != UINT64_MAX) {
			run->count += run_take(&walk->mask, 0).count;
			return;
		}
		run->count += GLN_WORD_BITS;
		walk->mask = 0;
	}
}

/* The next maximal run. False at the end. */
static bool next_run(struct run_walk *walk, struct gln_range *run)
{
	while (!walk->mask)
		if (walk->word >= walk->span_end || !step(walk))
			return false;

	*run = run_take(&walk->mask, walk->word << GLN_WORD_SHIFT);
	if ((run->first + run->count) % GLN_WORD_BITS == 0)
		extend(walk, run);

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
