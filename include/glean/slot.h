/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.h - memslots: which frames a guest has, and what backs them.
 *
 * Slots may have any base and any size (G9). They come and go while vCPUs mark:
 * readers see the old set or the new one, never half of a change.
 */
#ifndef GLN_SLOT_H
#define GLN_SLOT_H

#include <glean/backend.h>

GLN_BEGIN_DECLS

struct gln_vm;

/** Slot ids are 0 to GLN_SLOT_IDS - 1, as many as Linux KVM has. */
#define GLN_SLOT_IDS 32767U

/**
 * struct gln_slot_params - a memslot.
 *
 * @struct_bytes: sizeof(struct gln_slot_params).
 * @id:		the embedder's number for it, below GLN_SLOT_IDS.
 * @base:	first frame.
 * @nr_pages:	at least 1; @base + @nr_pages frames must be addressable, that
 *		is (@base + @nr_pages) << page_shift must not exceed 2^64.
 * @hva:	host address of the first page, for a backend that needs it.
 * @flags:	GLN_SLOT_READ_ONLY or 0. A write to a read-only slot that faults
 *		is refused (mmu.h), so no fault ever marks a page of it; it may
 *		be logged all the same.
 */
struct gln_slot_params {
	size_t struct_bytes;
	uint32_t id;
	gln_gfn base;
	uint64_t nr_pages;
	void *hva;
	uint32_t flags;
};

/**
 * gln_slot_add() - give a guest memory. Logging starts switched off.
 *
 * Context: any thread; may allocate and sleep. vCPUs may run and mark.
 * Return: 0; -EINVAL for a wrong @struct_bytes, id, size or flag; -EEXIST if
 * @id is taken or the frames overlap another slot's; -ENOMEM; or what the
 * backend's attach said. Nothing has changed on failure.
 */
GLN_PUBLIC int gln_slot_add(struct gln_vm *vm,
			    const struct gln_slot_params *params);

/**
 * gln_slot_remove() - take memory from a guest.
 *
 * Marks that no harvest has taken go with the slot, and are counted in
 * gln_stats.dropped_pages: harvest first what is still wanted.
 *
 * Context: any thread; sleeps for a grace period. vCPUs may run and mark; once
 * it has returned nobody in the library uses the slot.
 * Return: 0; -EINVAL for an id out of bounds; -ENOENT; -EBUSY while a harvest
 * of the slot is open.
 */
GLN_PUBLIC int gln_slot_remove(struct gln_vm *vm, uint32_t id);

/**
 * gln_slot_move() - let a slot begin at another frame.
 * @new_base:	its first frame from now on; old and new place may overlap.
 *
 * Logging stays on, and marks stay: they are by page of the slot. While the
 * slot is on its way a fault in its old place is GLN_FAULT_RETRY; afterwards
 * there is nothing there. What was mapped is forgotten: the guest faults it in
 * at the new place.
 *
 * A backend that does not map the guest (no GLN_CAP_FAULT) cannot keep it from
 * writing meanwhile: there, every page of a logged slot is marked.
 *
 * Context: any thread; may allocate, sleeps for grace periods. vCPUs may run
 * and mark.
 * Return: 0; -EINVAL for an id out of bounds or a place past the last frame;
 * -ENOENT; -EEXIST if the frames there are another slot's; -EBUSY while a
 * harvest of the slot is open; -ENOMEM; or what the backend's attach or
 * log_start said: nothing has changed then. -EIO if the backend then would not
 * even have the slot back where it was: it is removed.
 */
GLN_PUBLIC int gln_slot_move(struct gln_vm *vm, uint32_t id, gln_gfn new_base);

GLN_END_DECLS

#endif
