/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark.h - from a frame to its bit, under RCU.
 *
 * A bitmap is found and used within one read-side section; whoever replaces it
 * waits for the section to end.
 */
#ifndef GLN_CORE_DIRTY_MARK_H
#define GLN_CORE_DIRTY_MARK_H

#include "core/base/errno.h"
#include "core/dirty/log.h"

/**
 * slot_mark_page() - mark one page of @slot, in a read-side section. True if
 * the mark is new; false also where the slot is not logged.
 */
static inline bool slot_mark_page(const struct slot *slot, uint64_t page)
{
	struct bitmap *const marks = slot_marks(slot);

	return marks && bitmap_mark(marks, page);
}

/** dirty_mark() - mark one frame. Results as gln_dirty_mark(). */
static inline int dirty_mark(const struct slot_set *set, gln_gfn gfn)
{
	const struct slot *slot;
	int result = -ENOENT;

	glni_read_lock();
	slot = slot_find(set, gfn);
	if (slot)
		result = slot_mark_page(slot, gfn - slot->face.base);
	glni_read_unlock();

	return result;
}

/** struct mark_place - where a page is marked, for as long as a section. */
struct mark_place {
	struct bitmap *marks;
	uint64_t page;
};

/** mark_place_find() - false if @slot does not hold @gfn, or is not logged. */
static inline bool mark_place_find(const struct slot *slot, gln_gfn gfn,
				   struct mark_place *place)
{
	place->page = gfn - slot->face.base;
	if (!slot_has(slot, gfn))
		return false;
	place->marks = slot_marks(slot);
	return place->marks;
}

/** slot_mark_pages() - mark what of @range is in @slot, in such a section. */
static inline uint64_t slot_mark_pages(struct slot *slot,
				       struct gln_range range)
{
	const struct gln_range part = slot_part(&slot->face, range);
	struct bitmap *const marks = slot_marks(slot);

	if (!marks || !part.count)
		return 0;
	return glni_bitmap_mark_range(marks, part.first - slot->face.base,
				      part.count);
}

#endif
