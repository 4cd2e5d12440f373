/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arm.h - have the backend notice writes to pages again.
 *
 * Of a harvest, all that it took, before its caller copies anything; and of a
 * ring, what was collected from it.
 */
#ifndef GLN_CORE_DIRTY_ARM_H
#define GLN_CORE_DIRTY_ARM_H

#include "core/dirty/log.h"

/** harvest_has_cap() - is there a backend with one of these? */
static inline bool harvest_has_cap(const struct gln_harvest *harvest,
				   uint32_t cap)
{
	return harvest->backend && (harvest->backend->ops->caps & cap);
}

/**
 * glni_harvest_arm() - protect and flush what is in the snapshot, counting what
 * was asked of the backend, work or not. The clock is at *@now_ns, before and
 * after.
 */
int glni_harvest_arm(struct gln_harvest *harvest, uint64_t *now_ns);

/**
 * glni_harvest_protect() - have the backend protect @nr runs of frames, which
 * may be changed; add to *@nr_calls. glni_harvest_flush() - carry out the plan.
 */
int glni_harvest_protect(struct gln_harvest *harvest, struct gln_range *runs,
			 size_t nr, uint64_t *nr_calls);
int glni_harvest_flush(struct gln_harvest *harvest);

/**
 * glni_harvest_max_gap() - clean pages between two runs that are protected
 * rather than left out: 0 but where the backend can and prices say so.
 */
uint64_t glni_harvest_max_gap(const struct gln_harvest *harvest);

/**
 * glni_rearm_start() - for pages that a ring reported, and that are in no
 * snapshot: protect them in steps, then flush once.
 * glni_rearm() - protect the pages of @mask, bit 0 being page @page of the
 * slot. glni_rearm_flush() - flush all that were named.
 *
 * The slot is claimed and logged. On failure some may have been protected.
 */
struct gln_harvest *glni_rearm_start(struct slot *slot,
				     struct gln_backend *backend,
				     struct dirty_stats *stats);
int glni_rearm(struct gln_harvest *harvest, uint64_t page, uint64_t mask);
int glni_rearm_flush(struct gln_harvest *harvest);

#endif
