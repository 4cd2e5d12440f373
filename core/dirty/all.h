/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * all.h - harvests of several slots as one. Each was started, and is linked to
 * the next; their slots are claimed.
 */
#ifndef GLN_CORE_DIRTY_ALL_H
#define GLN_CORE_DIRTY_ALL_H

#include "core/dirty/log.h"
#include "core/dirty/parts.h"

/**
 * glni_all_take() - take marks as @params say, protect, flush, for all the
 * harvests, each of them started. On an error all is put back.
 */
int glni_all_take(struct gln_vm_harvest *all,
		  const struct gln_vm_harvest_params *params);

/** glni_all_count_lines() - set @nr_lines, if anybody is there to care. */
void glni_all_count_lines(struct gln_vm_harvest *all);

/** glni_all_count() - pages that are in it: of slots where nobody has yet. */
void glni_all_count(struct gln_vm_harvest *all);

/** glni_all_visit() - give out all runs. @visit and @ctx are set. */
void glni_all_visit(struct gln_vm_harvest *all);

/**
 * glni_all_drop() - all that is left was dealt with.
 * glni_all_put_back() - all that is left is marked again.
 *
 * Return how many pages that was.
 */
uint64_t glni_all_drop(struct gln_vm_harvest *all);
uint64_t glni_all_put_back(struct gln_vm_harvest *all);

/* Among the files of it. */

/** all_holds_any() - was anything taken? */
static inline bool all_holds_any(const struct gln_vm_harvest *all)
{
	for (const struct gln_harvest *h = all->first; h; h = h->next)
		if (!h->is_empty)
			return true;

	return false;
}

/** sums_clear() - no worker is about. */
static inline void sums_clear(struct gln_harvest *harvest)
{
	/* Relaxed: as said. */
	gln_store_relaxed(&harvest->sums.nr_pages, 0);
	gln_store_relaxed(&harvest->sums.nr_runs, 0);
	gln_store_relaxed(&harvest->sums.gap_pages, 0);
	gln_store_relaxed(&harvest->sums.protect_calls, 0);
}

/** sums_pages() - every worker has come back. */
static inline uint64_t sums_pages(struct gln_harvest *harvest)
{
	/* Relaxed, as are all looks at sums: P2. */
	return gln_load_relaxed(&harvest->sums.nr_pages);
}

/** harvest_kernel() - what reads its words. */
static inline const struct scan_kernel *harvest_kernel(
	const struct gln_harvest *harvest)
{
	return harvest->log->live->kernel;
}

#endif
