/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arm.c - pages that were taken are noticed again: protect, then flush.
 */
#include "core/dirty/arm.h"

#include "core/base/probe.h"

/* GLN_BREAK_SPAN: each run without its last page. Returns how many are left. */
static size_t cut_runs(struct gln_range *runs, size_t nr)
{
	size_t left = 0;

	for (size_t i = 0; i < nr; i++)
		if (--runs[i].count)
			runs[left++] = runs[i];

	return left;
}

int glni_harvest_protect(struct gln_harvest *harvest, struct gln_range *runs,
			 size_t nr, uint64_t *nr_calls)
{
	if (GLN_BREAK_NO_PROTECT || !harvest_has_cap(harvest, GLN_CAP_PROTECT))
		return 0;
	if (GLN_BREAK_SPAN) {
		nr = cut_runs(runs, nr);
		if (!nr)
			return 0;
	}

	++*nr_calls;
	return harvest->backend->ops->protect(harvest->backend,
					      &harvest->slot->face, runs, nr);
}

/* Have the backend protect the first @nr of our runs. */
static int protect_runs(struct gln_harvest *harvest, size_t nr)
{
	return glni_harvest_protect(harvest, harvest->runs, nr,
				    &harvest->report.protect_calls);
}

uint64_t glni_harvest_max_gap(const struct gln_harvest *harvest)
{
	return harvest_has_cap(harvest, GLN_CAP_GAPS)
		       ? glni_price_max_gap(&harvest->backend->prices,
					    RUNS_A_CALL)
		       : 0;
}

/* Protect every run of the snapshot; note it in the flush plan. */
static int protect(struct gln_harvest *harvest)
{
	const gln_gfn base = harvest->slot->face.base;
	struct gln_harvest_report *const report = &harvest->report;
	struct join_walk walk;
	size_t nr;
	int err;

	glni_joins_start(&walk, &harvest->log->snap, harvest->log->live->kernel,
			 glni_harvest_max_gap(harvest));
	while ((nr = glni_joins_next(&walk, base, harvest->runs,
				     RUNS_A_CALL))) {
		for (size_t i = 0; i < nr; i++)
			glni_flush_add(&harvest->flush, harvest->runs[i],
				       harvest->max_flush_ranges);
		report->nr_runs += nr;
		report->gap_pages = walk.gap_pages;
		report->nr_pages = harvest->flush.nr_pages - walk.gap_pages;
		err = protect_runs(harvest, nr);
		if (err)
			return err;
	}

	return 0;
}

int glni_harvest_flush(struct gln_harvest *harvest)
{
	if (GLN_BREAK_NO_FLUSH || !harvest_has_cap(harvest, GLN_CAP_FLUSH))
		return 0;

	harvest->report.flushes++;
	harvest->report.flush_ranges = harvest->flush.nr_ranges;
	dirty_count(&harvest->stats->flushes, 1);
	dirty_count(&harvest->stats->flush_ranges, harvest->flush.nr_ranges);
	if (harvest->flush.whole_slot)
		dirty_count(&harvest->stats->whole_slot_flushes, 1);
	return harvest->backend->ops->flush(
		harvest->backend, &harvest->slot->face, &harvest->flush);
}

/* An empty plan, and how long it may get. */
static void start_flush(struct gln_harvest *harvest)
{
	harvest->max_flush_ranges =
		harvest->backend
			? glni_price_flush_ranges(&harvest->backend->prices)
			: GLN_FLUSH_RANGES;
	glni_flush_start(&harvest->flush);
}

static int arm(struct gln_harvest *harvest, uint64_t *now_ns)
{
	struct gln_harvest_report *const report = &harvest->report;
	const uint64_t taken_ns = *now_ns;
	uint64_t protected_ns;
	int err;

	start_flush(harvest);
	err = protect(harvest);
	protected_ns = gln_plat_now_ns();
	report->protect_ns = dirty_time(harvest->stats, GLN_STEP_PROTECT,
					taken_ns, protected_ns);
	PROBE3(protect, harvest, report->nr_runs, report->protect_ns);
	*now_ns = protected_ns;
	if (err || !harvest->flush.nr_pages ||
	    !harvest_has_cap(harvest, GLN_CAP_FLUSH))
		return err;

	err = glni_harvest_flush(harvest);
	*now_ns = gln_plat_now_ns();
	report->flush_ns = dirty_time(harvest->stats, GLN_STEP_FLUSH,
				      protected_ns, *now_ns);
	PROBE3(flush, harvest, report->flush_ranges, report->flush_ns);
	return err;
}

int glni_harvest_arm(struct gln_harvest *harvest, uint64_t *now_ns)
{
	int err;

	if (harvest->is_empty ||
	    !harvest_has_cap(harvest, GLN_CAP_PROTECT | GLN_CAP_FLUSH))
		return 0;

	err = arm(harvest, now_ns);
	dirty_count(&harvest->stats->harvested_runs, harvest->report.nr_runs);
	dirty_count(&harvest->stats->gap_pages, harvest->report.gap_pages);
	dirty_count(&harvest->stats->protect_calls,
		    harvest->report.protect_calls);
	return err;
}

struct gln_harvest *glni_rearm_start(struct slot *slot,
				     struct gln_backend *backend,
				     struct dirty_stats *stats)
{
	struct gln_harvest *const harvest = &slot->log->harvest;

	harvest->backend = backend;
	harvest->slot = slot;
	harvest->stats = stats;
	start_flush(harvest);

	return harvest;
}

int glni_rearm(struct gln_harvest *harvest, uint64_t page, uint64_t mask)
{
	const gln_gfn first = harvest->slot->face.base + page;
	size_t nr = 0;
	int err;

	while (mask) {
		harvest->runs[nr] = run_take(&mask, first);
		glni_flush_add_any(&harvest->flush, harvest->runs[nr],
				   harvest->max_flush_ranges);
		nr++;
	}
	harvest->report.protect_calls = 0;
	err = protect_runs(harvest, nr);
	dirty_count(&harvest->stats->protect_calls,
		    harvest->report.protect_calls);

	return err;
}

int glni_rearm_flush(struct gln_harvest *harvest)
{
	return harvest->flush.nr_pages ? glni_harvest_flush(harvest) : 0;
}
