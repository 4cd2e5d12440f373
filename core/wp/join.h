/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * join.h - runs for protect: joined over gaps that cost less than a range.
 *
 *     dirty       1 1 0 1 0 0 0 1
 *     max_gap 1   [-----]       [-]    the clean page is protected too
 *
 * Only what is protected is joined. What is dirty is still told by runs.h.
 */
#ifndef GLN_CORE_WP_JOIN_H
#define GLN_CORE_WP_JOIN_H

#include "core/wp/runs.h"

/**
 * struct join_walk - where such a walk stands.
 *
 * @max_gap:	gaps up to here are joined; 0 gives the runs as they are.
 * @gap_pages:	clean pages in what was given out.
 * @held:	a range that may still grow; count 0: none.
 * @held_gap_pages: clean pages in it.
 */
struct join_walk {
	struct run_walk runs;
	uint64_t max_gap;
	uint64_t gap_pages;
	struct gln_range held;
	uint64_t held_gap_pages;
};

/** glni_joins_start() - walk @snap from its first page. */
void glni_joins_start(struct join_walk *walk, const struct snapshot *snap,
		      const struct scan_kernel *kernel, uint64_t max_gap);

/** glni_joins_next() - as glni_runs_next(). */
size_t glni_joins_next(struct join_walk *walk, gln_gfn base,
		       struct gln_range *ranges, size_t max);

#endif
