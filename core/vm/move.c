/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * move.c - let a slot begin at another frame while vCPUs run.
 *
 * The slot is replaced by a copy at the new place that has its log and its
 * marks; readers find one or the other. In between nobody can write to it
 * through the second stage: faults are tried again, and nothing is mapped.
 */
#include <glean/slot.h>

#include "core/vm/vm.h"

/*
 * From here on faults in @slot are tried again, and of those that began before
 * none is left. Then forget what is mapped, so that nobody writes to its pages
 * until it is at its new place; what was dirty is marked.
 */
static void quiesce(struct gln_vm *vm, struct slot *slot)
{
	const struct gln_range all = {slot->face.base, slot->face.nr_pages};

	glni_slot_keep_out(slot);
	if (vm_maps_guest(vm))
		vm->backend->ops->unmap(vm->backend, &slot->face, all);
}

/*
 * Attach @slot and log it if it was logged. Memory that the backend does not
 * map could be written all the time: then every page is marked.
 */
static int give_to_backend(struct gln_vm *vm, struct slot *slot)
{
	const bool all_marked = vm->backend && !vm_maps_guest(vm);
	int err = glni_vm_attach(vm, slot);

	if (err || !slot->log)
		return err;
	if (all_marked)
		glni_bitmap_mark_range(slot->log->live, 0, slot->face.nr_pages);
	err = glni_vm_start_backend(vm, slot,
				    all_marked ? GLN_LOG_START_ALL_MARKED : 0);
	if (err)
		glni_vm_detach(vm, slot);
	return err;
}

/*
 * The backend refused the new place: back to the old one. If it refuses that
 * too, there is no slot any more.
 */
static int move_back(struct gln_vm *vm, struct slot *slot, int err)
{
	if (!give_to_backend(vm, slot)) {
		slot_let_in(slot);
		slot_release(slot);
		return err;
	}

	glni_slot_set_remove(&vm->slots, slot);
	if (slot->log)
		glni_vm_drop_log(vm, slot);
	gln_free(&vm->allocator, slot, sizeof(*slot));
	return -EIO;
}

/* @next is @slot at another place, claimed. On success @slot is gone. */
static int move(struct gln_vm *vm, struct slot *slot, struct slot *next)
{
	int err;

	quiesce(vm, slot);
	glni_vm_take_from_backend(vm, slot);
	err = give_to_backend(vm, next);
	if (err)
		return move_back(vm, slot, err);

	glni_slot_set_replace(&vm->slots, slot, next);
	vm_slots_changed(vm);
	gln_free(&vm->allocator, slot, sizeof(*slot));
	slot_release(next);
	return 0;
}

/* A claimed slot that has all that @slot has, at @base. */
static struct slot *slot_copy(struct gln_vm *vm, struct slot *slot,
			      gln_gfn base)
{
	struct slot *const next = gln_alloc(&vm->allocator, sizeof(*next));

	if (!next)
		return NULL;
	next->face = slot->face;
	next->face.base = base;
	next->face.priv = NULL;
	next->log = slot->log;
	slot_publish_marks(next, slot->log ? slot->log->live : NULL);
	slot_try_claim(next);

	return next;
}

static int move_claimed(struct gln_vm *vm, struct slot *slot, gln_gfn base)
{
	struct slot *next;
	int err = -EINVAL;

	if (!vm_has_frames(vm, base, slot->face.nr_pages))
		goto release;
	err = 0;
	if (base == slot->face.base)
		goto release;
	err = -ENOMEM;
	next = slot_copy(vm, slot, base);
	if (!next)
		goto release;

	err = glni_slot_set_reserve_move(&vm->slots, &vm->allocator, slot,
					 next);
	if (!err) {
		err = move(vm, slot, next);
		slot = NULL;
	}
	if (err)
		gln_free(&vm->allocator, next, sizeof(*next));
release:
	if (slot)
		slot_release(slot);
	return err;
}

int gln_slot_move(struct gln_vm *vm, uint32_t id, gln_gfn new_base)
{
	struct slot *slot = NULL;
	int err;

	gln_plat_mutex_lock(&vm->lock);
	err = glni_vm_claim(vm, id, CLAIM_ANY, &slot);
	if (!err)
		err = move_claimed(vm, slot, new_base);
	gln_plat_mutex_unlock(&vm->lock);

	return err;
}
