/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.h - memslots, and the sorted array of them that readers search.
 *
 * A published array is never changed: a writer fills the spare one, publishes
 * it, waits a grace period, and has the old one to spare. Readers hold
 * glni_read_lock() for as long as they use a slot they found.
 */
#ifndef GLN_CORE_SLOT_SLOT_H
#define GLN_CORE_SLOT_SLOT_H

#include <glean/backend.h>

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/base/bits.h"
#include "core/sync/rcu.h"

struct bitmap;
struct log;

/**
 * struct slot - a memslot.
 *
 * @face:	what the backend sees.
 * @marks:	where vCPUs mark; NULL while the slot is not logged.
 * @log:	its dirty log; changed and used by the claimant only.
 * @claim:	1 while a harvest, or a change that excludes one, holds it.
 * @is_closed:	what maps it is being taken away, or it goes elsewhere: faults
 *in it are tried again. Set with a grace period after it.
 * @next_rearmed: the claimant's: the next of the slots whose ring entries are
 *		being reset; the last one points to itself. NULL: none of them.
 */
struct slot {
	struct gln_backend_slot face;
	_Atomic(struct bitmap *) marks;
	struct log *log;
	_Atomic(uint32_t) claim;
	_Atomic(bool) is_closed;
	struct slot *next_rearmed;
};

/**
 * struct slot_array - slots by ascending base; they do not overlap.
 *
 * @largest: the one with most pages, where most marks are; NULL without slots.
 */
struct slot_array {
	size_t nr_slots;
	size_t capacity;
	struct slot *largest;
	struct slot *slots[];
};

/**
 * struct slot_set - the current array, NULL before the first slot, and a spare
 * that has room for all slots but one: removing never needs memory.
 */
struct slot_set {
	_Atomic(struct slot_array *) array;
	struct slot_array *spare;
};

/**
 * slot_array_get() - the current array, for a reader in a read-side section
 * or for the one writer.
 */
static inline const struct slot_array *slot_array_get(
	const struct slot_set *set)
{
	/* sync slot.1 (acquire) <- slot.2: slots before their array. */
	return gln_load_acquire(&set->array);
}

/** slot_has() - does @slot hold @gfn? */
static inline bool slot_has(const struct slot *slot, gln_gfn gfn)
{
	/* Below the base it wraps, past all that a slot can hold. */
	return gfn - slot->face.base < slot->face.nr_pages;
}

/** slot_at_or_after() - index of the first slot that ends after @gfn. */
static inline size_t slot_at_or_after(const struct slot_array *array,
				      gln_gfn gfn)
{
	size_t low = 0;
	size_t high = array ? array->nr_slots : 0;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;
		const struct slot *const slot = array->slots[mid];

		if (slot_has(slot, gfn))
			return mid;
		if (gfn < slot->face.base)
			high = mid;
		else
			low = mid + 1;
	}

	return low;
}

/** slot_find() - the slot that holds @gfn, or NULL. In a read-side section. */
static inline struct slot *slot_find(const struct slot_set *set, gln_gfn gfn)
{
	const struct slot_array *array = slot_array_get(set);
	const size_t i = slot_at_or_after(array, gfn);

	if (!array || i == array->nr_slots || gfn < array->slots[i]->face.base)
		return NULL;
	return array->slots[i];
}

/** slot_part() - what of @range is in the slot; empty if nothing is. */
static inline struct gln_range slot_part(const struct gln_backend_slot *face,
					 struct gln_range range)
{
	const gln_gfn first = gln_max(range.first, face->base);
	const uint64_t skipped = first - range.first;
	const uint64_t page = first - face->base;
	struct gln_range part = {.first = first};

	if (skipped < range.count && page < face->nr_pages)
		part.count =
			gln_min(range.count - skipped, face->nr_pages - page);
	return part;
}

/**
 * glni_slot_keep_out() - let no fault into @slot, and wait for those that are.
 * slot_let_in() - let them in again.
 */
void glni_slot_keep_out(struct slot *slot);

static inline void slot_let_in(struct slot *slot)
{
	/* Relaxed: a fault that does not see it yet tries once more. */
	gln_store_relaxed(&slot->is_closed, false);
}

/** glni_slot_by_id() - the slot with this id, or NULL. In such a section. */
struct slot *glni_slot_by_id(const struct slot_set *set, uint32_t id);

/**
 * glni_slot_set_reserve() - make sure that @slot can be added.
 *
 * Context: the set's one writer.
 * Return: 0; -EEXIST if the id is taken or frames overlap; -ENOMEM.
 */
int glni_slot_set_reserve(struct slot_set *set,
			  const struct gln_allocator *from,
			  const struct slot *slot);

/** glni_slot_set_add() - publish the set with @slot, reserved, in it. */
void glni_slot_set_add(struct slot_set *set, struct slot *slot);

/**
 * glni_slot_set_remove() - publish the set without @slot, which is in it, and
 * wait until no reader can hold it.
 *
 * Context: the set's one writer; sleeps.
 */
void glni_slot_set_remove(struct slot_set *set, struct slot *slot);

/**
 * glni_slot_set_reserve_move() - make sure that @next can take the place of
 * @slot, which is in the set and has the same id.
 *
 * Context, Return: as glni_slot_set_reserve(); -EEXIST for frames of others.
 */
int glni_slot_set_reserve_move(struct slot_set *set,
			       const struct gln_allocator *from,
			       const struct slot *slot,
			       const struct slot *next);

/**
 * glni_slot_set_replace() - publish the set with @next, reserved, and without
 * @slot, and wait until no reader can hold @slot.
 *
 * Context: the set's one writer; sleeps.
 */
void glni_slot_set_replace(struct slot_set *set, struct slot *slot,
			   struct slot *next);

/** glni_slot_set_fini() - free the arrays of a set without slots. */
void glni_slot_set_fini(struct slot_set *set, const struct gln_allocator *from);

/**
 * slot_try_claim() - be the one harvester of @slot. False if there is one.
 */
static inline bool slot_try_claim(struct slot *slot)
{
	uint32_t idle = 0;

	/* sync slot.3 (acquire) <- slot.4: the last harvester's snapshot. */
	return gln_cas_strong_acquire(&slot->claim, &idle, 1);
}

/** slot_release() - let the next one in. */
static inline void slot_release(struct slot *slot)
{
	/* sync slot.4 (release) -> slot.3: what we left in the snapshot. */
	gln_store_release(&slot->claim, 0);
}

#endif
