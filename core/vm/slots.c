/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots.c - add and remove memslots while vCPUs mark.
 */
#include <glean/slot.h>

#include "core/vm/vm.h"

/* A backend says that its MMU let a page be written. */
static void mark_from_backend(struct gln_backend_slot *face, gln_gfn first,
			      uint64_t count)
{
	struct slot *const slot = gln_container_of(face, struct slot, face);

	if (GLN_BREAK_LOSE_DIRTY)
		return;
	if (GLN_BREAK_SPAN && count)
		count--;
	glni_read_lock();
	slot_mark_pages(slot, (struct gln_range){first, count});
	glni_read_unlock();
}

static bool params_are_valid(const struct gln_vm *vm,
			     const struct gln_slot_params *params)
{
	return params->id < GLN_SLOT_IDS && params->nr_pages > 0 &&
	       vm_has_frames(vm, params->base, params->nr_pages) &&
	       !(params->flags & ~GLN_SLOT_READ_ONLY);
}

static struct slot *slot_new(struct gln_vm *vm,
			     const struct gln_slot_params *params)
{
	struct slot *const slot = gln_alloc(&vm->allocator, sizeof(*slot));

	if (!slot)
		return NULL;
	slot->face = (struct gln_backend_slot){
		.id = params->id,
		.page_shift = vm->page_shift,
		.base = params->base,
		.nr_pages = params->nr_pages,
		.hva = params->hva,
		.flags = params->flags,
		.mark = mark_from_backend,
	};

	return slot;
}

int glni_vm_attach(struct gln_vm *vm, struct slot *slot)
{
	if (!vm->backend || !vm->backend->ops->attach)
		return 0;
	return vm->backend->ops->attach(vm->backend, &slot->face);
}

/* The frames about a slot that are in no other. */
static struct gln_range room_of(const struct gln_vm *vm,
				const struct slot *slot)
{
	const struct slot_array *const array = slot_array_get(&vm->slots);
	gln_gfn first = 0, end = UINT64_MAX;

	for (size_t i = 0; array && i < array->nr_slots; i++) {
		const struct gln_backend_slot *const face =
			&array->slots[i]->face;

		if (array->slots[i] == slot)
			continue;
		if (face->base < slot->face.base)
			first = gln_max(first, face->base + face->nr_pages);
		else
			end = gln_min(end, face->base);
	}

	return (struct gln_range){first, end - first};
}

void glni_vm_detach(struct gln_vm *vm, struct slot *slot)
{
	if (!vm->backend || !vm->backend->ops->detach)
		return;
	slot->face.room = room_of(vm, slot);
	vm->backend->ops->detach(vm->backend, &slot->face);
}

static void stop_backend(struct gln_vm *vm, struct slot *slot)
{
	if (slot->log && vm->backend && vm->backend->ops->log_stop)
		vm->backend->ops->log_stop(vm->backend, &slot->face);
}

void glni_vm_take_from_backend(struct gln_vm *vm, struct slot *slot)
{
	/* A log that stops may let blocks be written: have none mapped. */
	if (vm_maps_guest(vm))
		glni_vm_detach(vm, slot);
	stop_backend(vm, slot);
	if (!vm_maps_guest(vm))
		glni_vm_detach(vm, slot);
}

int gln_slot_add(struct gln_vm *vm, const struct gln_slot_params *theirs)
{
	struct gln_slot_params params;
	struct slot *slot;
	int err;

	if (!params_copy(&params, sizeof(params), theirs) ||
	    !params_are_valid(vm, &params))
		return -EINVAL;

	gln_plat_mutex_lock(&vm->lock);
	err = -ENOMEM;
	slot = slot_new(vm, &params);
	if (!slot)
		goto out;
	err = glni_slot_set_reserve(&vm->slots, &vm->allocator, slot);
	if (!err)
		err = glni_vm_attach(vm, slot);
	if (err) {
		gln_free(&vm->allocator, slot, sizeof(*slot));
	} else {
		glni_slot_set_add(&vm->slots, slot);
		vm_slots_changed(vm);
	}
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

int glni_vm_claim(struct gln_vm *vm, uint32_t id, enum claim_what what,
		  struct slot **out)
{
	struct slot *slot;
	int err = 0;

	if (id >= GLN_SLOT_IDS)
		return -EINVAL;

	glni_read_lock();
	slot = glni_slot_by_id(&vm->slots, id);
	if (!slot || (what == CLAIM_LOGGED && !slot_marks(slot)))
		err = -ENOENT;
	else if (!slot_try_claim(slot))
		err = -EBUSY;
	else
		*out = slot;
	glni_read_unlock();

	return err;
}

/*
 * A hypercall finds the slot of an entry that is linked to it by its frame: so
 * entries go first, and the slot after them (H-83).
 */
static void unlink_entries(struct gln_vm *vm, struct slot *slot)
{
	const struct gln_range all = {slot->face.base, slot->face.nr_pages};

	glni_slot_keep_out(slot);
	vm->backend->ops->unmap(vm->backend, &slot->face, all);
}

void glni_vm_remove_slot(struct gln_vm *vm, struct slot *slot)
{
	if (vm->backend && vm->backend->ops->hpt)
		unlink_entries(vm, slot);
	glni_slot_set_remove(&vm->slots, slot);
	vm_slots_changed(vm);
	glni_vm_take_from_backend(vm, slot);
	if (slot->log)
		glni_vm_drop_log(vm, slot);
	gln_free(&vm->allocator, slot, sizeof(*slot));
}

int gln_slot_remove(struct gln_vm *vm, uint32_t id)
{
	struct slot *slot;
	int err;

	gln_plat_mutex_lock(&vm->lock);
	err = glni_vm_claim(vm, id, CLAIM_ANY, &slot);
	if (!err)
		glni_vm_remove_slot(vm, slot);
	gln_plat_mutex_unlock(&vm->lock);

	return err;
}
