/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_harvest.c - the public transaction over all logged slots.
 */
#include <glean/vm_harvest.h>

#include "core/dirty/all.h"
#include "core/vm/vm.h"

static void release_all(struct gln_harvest *harvest)
{
	while (harvest) {
		struct gln_harvest *const next = harvest->next;

		slot_release(harvest->slot);
		harvest = next;
	}
}

/*
 * Claim a slot for a harvest. -ENOENT: it is not logged, perhaps not any more;
 * -ENXIO: rings alone fill no bitmap, and nothing else did; -EBUSY.
 */
static int claim(struct gln_vm *vm, struct slot *slot)
{
	int err = 0;

	if (!slot_marks(slot))
		return -ENOENT;
	if (!slot_try_claim(slot))
		return -EBUSY;

	if (!slot->log)
		err = -ENOENT;
	else if (vm_has_rings_only(vm) &&
		 !glni_bitmap_nr_lines(slot->log->live, 1))
		err = -ENXIO;
	if (err)
		slot_release(slot);
	return err;
}

/* Is somebody else harvesting a slot? */
static bool is_any_claimed(const struct slot_array *array)
{
	for (size_t i = 0; array && i < array->nr_slots; i++)
		/* Relaxed: a guess; to claim decides. */
		if (slot_marks(array->slots[i]) &&
		    gln_load_relaxed(&array->slots[i]->claim))
			return true;

	return false;
}

/*
 * Claim every logged slot, by base; none is held if there is an error.
 *
 * Who changes slots holds the VM's lock, as we do, and so does not meet claims
 * that are given up again; who harvests one slot meets them only if he comes
 * between the two looks.
 */
static int claim_all(struct gln_vm *vm, struct gln_harvest **first)
{
	const struct slot_array *array;
	struct gln_harvest **link = first;
	int worst = -ENOENT;

	*first = NULL;
	gln_plat_mutex_lock(&vm->lock);
	glni_read_lock();
	array = slot_array_get(&vm->slots);
	if (is_any_claimed(array)) {
		worst = -EBUSY;
		array = NULL;
	}
	for (size_t i = 0; array && i < array->nr_slots; i++) {
		struct slot *const slot = array->slots[i];
		const int err = claim(vm, slot);

		if (!err) {
			*link = glni_harvest_start(slot, vm->backend,
						   &vm->stats);
			link = &(*link)->next;
			*link = NULL;
		} else if (err != -ENOENT) {
			worst = err;
		}
		if (err == -EBUSY)
			break;
	}
	glni_read_unlock();
	if (worst == -EBUSY)
		release_all(*first);
	gln_plat_mutex_unlock(&vm->lock);

	if (worst == -EBUSY)
		*first = NULL;
	else if (*first)
		worst = 0;
	return worst;
}

static bool params_are_valid(const struct gln_vm_harvest_params *params)
{
	return params->strategy <= GLN_HARVEST_FLIP &&
	       (!params->workers || params->workers->run);
}

static uint64_t count_slots(const struct gln_harvest *harvest)
{
	uint64_t nr = 0;

	for (; harvest; harvest = harvest->next)
		nr++;

	return nr;
}

int gln_vm_harvest_begin(struct gln_vm *vm,
			 const struct gln_vm_harvest_params *theirs,
			 struct gln_vm_harvest **out)
{
	struct gln_vm_harvest_params params;
	struct gln_vm_harvest *all;
	struct gln_harvest *first;
	int err;

	if (!params_copy(&params, sizeof(params), theirs) ||
	    !params_are_valid(&params))
		return -EINVAL;
	err = claim_all(vm, &first);
	if (err)
		return err;

	all = &first->log->all;
	all->first = first;
	all->workers = params.workers;
	all->nr_lines = 0;
	all->begun_ns = 0;
	memset(&all->report, 0, sizeof(all->report));
	all->report.nr_slots = count_slots(first);
	err = glni_all_take(all, &params);
	if (err) {
		release_all(first);
		return err;
	}

	dirty_count(&vm->stats.harvests, all->report.nr_slots);
	*out = all;
	return 0;
}

int gln_vm_harvest_report(struct gln_vm_harvest *harvest,
			  struct gln_vm_harvest_report *report)
{
	harvest->report.nr_pages = 0;
	glni_all_count(harvest);
	for (struct gln_harvest *h = harvest->first; h; h = h->next)
		harvest->report.nr_pages += h->report.nr_pages;

	return vm_give_report(report, &harvest->report, sizeof(harvest->report))
		       ? 0
		       : -EINVAL;
}

struct gln_harvest *gln_vm_harvest_slot(struct gln_vm_harvest *harvest,
					uint32_t id)
{
	struct gln_harvest *h = harvest->first;

	while (h && h->slot->face.id != id)
		h = h->next;

	return h;
}

void gln_vm_harvest_each(struct gln_vm_harvest *harvest,
			 void (*visit)(void *ctx, const struct gln_range *runs,
				       size_t nr_runs),
			 void *ctx)
{
	harvest->visit = visit;
	harvest->ctx = ctx;
	glni_all_visit(harvest);
}

uint64_t gln_vm_harvest_commit(struct gln_vm_harvest *harvest)
{
	struct gln_harvest *const first = harvest->first;
	const uint64_t nr = glni_all_drop(harvest);

	release_all(first);
	return nr;
}

uint64_t gln_vm_harvest_abort(struct gln_vm_harvest *harvest)
{
	struct gln_harvest *const first = harvest->first;
	const uint64_t nr = glni_all_put_back(harvest);

	release_all(first);
	return nr;
}
