/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.c - the public transaction (G4 to G8).
 */
#include <glean/harvest.h>

#include "core/base/probe.h"
#include "core/vm/vm.h"

static bool params_are_valid(const struct gln_harvest_params *params,
			     uint64_t nr_pages)
{
	const bool whole =
		!params->first_page && !params->max_pages && !params->max_ns;

	return params->first_page <= nr_pages &&
	       params->strategy <= GLN_HARVEST_FLIP &&
	       (params->strategy != GLN_HARVEST_FLIP || whole);
}

int gln_harvest_begin(struct gln_vm *vm, uint32_t id,
		      const struct gln_harvest_params *theirs,
		      struct gln_harvest **out)
{
	struct gln_harvest_params params;
	struct gln_harvest *harvest;
	struct slot *slot;
	int err;

	if (!params_copy(&params, sizeof(params), theirs))
		return -EINVAL;
	err = glni_vm_claim(vm, id, CLAIM_LOGGED, &slot);
	if (err)
		return err;

	err = -ENOENT;
	if (!slot->log)
		goto fail;
	err = -ENXIO;
	if (vm_has_rings_only(vm) && !glni_bitmap_nr_lines(slot->log->live, 1))
		goto fail;
	err = -EINVAL;
	if (!params_are_valid(&params, slot->face.nr_pages))
		goto fail;
	harvest = glni_harvest_start(slot, vm->backend, &vm->stats);
	err = glni_harvest_take(harvest, &params);
	if (err)
		goto fail;

	dirty_count(&vm->stats.harvests, 1);
	*out = harvest;
	return 0;
fail:
	slot_release(slot);
	return err;
}

int gln_harvest_report(struct gln_harvest *harvest,
		       struct gln_harvest_report *report)
{
	const struct log *const log = harvest->log;

	if (!harvest->is_empty && !harvest->report.nr_pages)
		harvest->report.nr_pages =
			harvest->nr_settled +
			glni_snapshot_count(&log->snap, log->live->kernel);
	if (harvest->begun_ns)
		harvest->report.deliver_ns =
			gln_plat_now_ns() - harvest->begun_ns;
	return vm_give_report(report, &harvest->report, sizeof(harvest->report))
		       ? 0
		       : -EINVAL;
}

size_t gln_harvest_next(struct gln_harvest *harvest, struct gln_range *ranges,
			size_t max_ranges)
{
	const size_t nr = glni_runs_next(
		&harvest->walk, harvest->slot->face.base, ranges, max_ranges);

	PROBE2(next, harvest, nr);
	return nr;
}

void gln_harvest_rewind(struct gln_harvest *harvest)
{
	if (!harvest->is_empty)
		glni_runs_start(&harvest->walk, &harvest->log->snap,
				harvest->log->live->kernel);
}

/* The part of @range that is in the slot, as pages [*first, *end) of it. */
static void clip(const struct gln_harvest *harvest, struct gln_range range,
		 uint64_t *first, uint64_t *end)
{
	const struct gln_backend_slot *const face = &harvest->slot->face;
	const gln_gfn low = gln_max(range.first, face->base);
	const uint64_t skipped = low - range.first;

	*first = gln_min(low - face->base, face->nr_pages);
	*end = *first;
	if (skipped < range.count)
		*end += gln_min(range.count - skipped, face->nr_pages - *first);
}

static void note_settled(struct gln_harvest *harvest, uint64_t nr)
{
	harvest->nr_settled += nr;
	runs_refresh(&harvest->walk);
	dirty_count(&harvest->stats->harvested_pages, nr);
}

uint64_t gln_harvest_commit_range(struct gln_harvest *harvest,
				  struct gln_range range)
{
	uint64_t first, end, nr;

	clip(harvest, range, &first, &end);
	nr = glni_snapshot_drop(&harvest->log->snap, first, end);
	note_settled(harvest, nr);

	return nr;
}

uint64_t gln_harvest_abort_range(struct gln_harvest *harvest,
				 struct gln_range range)
{
	struct log *const log = harvest->log;
	uint64_t first, end, nr;

	clip(harvest, range, &first, &end);
	nr = glni_snapshot_put_back(&log->snap, log->live, first, end);
	note_settled(harvest, nr);
	dirty_count(&harvest->stats->aborted_pages, nr);

	return nr;
}

uint64_t gln_harvest_commit(struct gln_harvest *harvest)
{
	const uint64_t nr = glni_harvest_drop(harvest);

	PROBE2(commit, harvest, nr);
	slot_release(harvest->slot);
	return nr;
}

uint64_t gln_harvest_abort(struct gln_harvest *harvest)
{
	const uint64_t nr = glni_harvest_put_back(harvest);

	PROBE2(abort, harvest, nr);
	slot_release(harvest->slot);
	return nr;
}
