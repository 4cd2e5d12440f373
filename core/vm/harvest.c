/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.c - the public transaction (G4 to G8).
 */
#include <glean/harvest.h>

#include "core/vm/vm.h"

struct gln_harvest *glni_vm_begin(struct gln_vm *vm, struct slot *slot)
{
	return glni_harvest_start(slot, slot_log(slot), vm->backend,
				  &vm->stats);
}

int gln_harvest_begin(struct gln_vm *vm, uint32_t id,
		      const struct gln_harvest_params *theirs,
		      struct gln_harvest **out)
{
	struct gln_harvest_params params;
	struct gln_harvest *harvest;
	struct slot *slot;
	int err;

	if (!vm_copy_params(&params, sizeof(params), theirs))
		return -EINVAL;
	err = glni_vm_claim(vm, id, &slot);
	if (err)
		return err;

	err = -ENOENT;
	if (!slot_log(slot))
		goto fail;
	err = -EINVAL;
	if (params.first_page > slot->face.nr_pages)
		goto fail;
	harvest = glni_vm_begin(vm, slot);
	err = glni_harvest_take(harvest, &params);
	if (err)
		goto fail;

	*out = harvest;
	return 0;
fail:
	slot_release(slot);
	return err;
}

int gln_harvest_report(const struct gln_harvest *harvest,
		       struct gln_harvest_report *report)
{
	return vm_give_report(report, &harvest->report, sizeof(harvest->report))
		       ? 0
		       : -EINVAL;
}

size_t gln_harvest_next(struct gln_harvest *harvest, struct gln_range *ranges,
			size_t max_ranges)
{
	return glni_runs_next(&harvest->walk, harvest->slot->face.base, ranges,
			      max_ranges);
}

void gln_harvest_rewind(struct gln_harvest *harvest)
{
	glni_runs_start(&harvest->walk, &harvest->log->snap);
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

uint64_t gln_harvest_commit_range(struct gln_harvest *harvest,
				  struct gln_range range)
{
	uint64_t first, end, nr;

	clip(harvest, range, &first, &end);
	nr = glni_snapshot_drop(&harvest->log->snap, first, end);
	runs_refresh(&harvest->walk);
	harvest->nr_left -= nr;

	return nr;
}

uint64_t gln_harvest_abort_range(struct gln_harvest *harvest,
				 struct gln_range range)
{
	uint64_t first, end, nr;

	clip(harvest, range, &first, &end);
	nr = glni_snapshot_put_back(&harvest->log->snap, &harvest->log->live,
				    first, end);
	runs_refresh(&harvest->walk);
	harvest->nr_left -= nr;
	dirty_count(&harvest->stats->aborted_pages, nr);

	return nr;
}

void gln_harvest_commit(struct gln_harvest *harvest)
{
	glni_harvest_drop(harvest);
	slot_release(harvest->slot);
}

void gln_harvest_abort(struct gln_harvest *harvest)
{
	glni_harvest_put_back(harvest);
	slot_release(harvest->slot);
}
