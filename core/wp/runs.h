/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.h - from masks to maximal runs of pages (G4).
 *
 * Bits become runs within a word, runs join across words, and a vector of them
 * goes to the backend in one call.
 */
#ifndef GLN_CORE_WP_RUNS_H
#define GLN_CORE_WP_RUNS_H

#include "core/base/assert.h"
#include "core/bitmap/bitmap.h"

/**
 * run_take() - take the lowest run of set bits out of *@mask, not 0.
 * Returns it as pages, bit 0 being page @base.
 *
 *     mask   0 1 1 0 1 1 1 0
 *      low   0 0 0 0 0 0 1 0   lowest set bit
 *   m + low  0 1 1 1 0 0 0 0   the carry crosses one run and stops
 *     rest   0 1 1 0 0 0 0 0   what is left for the next call
 *
 * A run that reaches bit 63 carries out of the word, and rest is then 0.
 */
static inline struct gln_range run_take(uint64_t *mask, uint64_t base)
{
	const uint64_t m = *mask;
	const uint64_t low = m & -m;
	const uint64_t rest = m & (m + low);
	const uint64_t run = m ^ rest;

	gln_assert(m != 0);
	*mask = rest;
	return (struct gln_range){
		.first = base + gln_ctz64(run),
		.count = gln_last_set(run) - gln_ctz64(run) + 1,
	};
}

struct scan_kernel;

/**
 * struct run_walk - where a walk over a snapshot stands.
 *
 * @kernel:	passes over words of all ones.
 * @word:	the word being read.
 * @mask:	its bits that were not given out yet.
 * @span_end:	words up to here lie in lines that were taken.
 */
struct run_walk {
	const struct snapshot *snap;
	const struct scan_kernel *kernel;
	uint64_t word;
	uint64_t mask;
	uint64_t span_end;
};

/** glni_runs_start() - walk @snap from its first page. */
void glni_runs_start(struct run_walk *walk, const struct snapshot *snap,
		     const struct scan_kernel *kernel);

/** runs_refresh() - the snapshot was changed: give out nothing that is gone. */
static inline void runs_refresh(struct run_walk *walk)
{
	if (walk->mask)
		walk->mask &= snapshot_word(walk->snap, walk->word);
}

/**
 * glni_runs_next() - the next maximal runs, at most @max, with page 0 of the
 * snapshot being frame @base. Returns how many; 0 at the end. What is behind
 * them in @ranges may have been written to.
 */
size_t glni_runs_next(struct run_walk *walk, gln_gfn base,
		      struct gln_range *ranges, size_t max);

#endif
