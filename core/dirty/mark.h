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

/** dirty_mark() - mark one frame. Results as gln_dirty_mark(). */
static inline int dirty_mark(const struct slot_set *set, gln_gfn gfn)
{
	const struct slot *slot;
	struct bitmap *marks;
	int result = -ENOENT;

	glni_read_lock();
	slot = slot_find(set, gfn);
	if (slot) {
		marks = slot_marks(slot);
		result = marks && bitmap_mark(marks, gfn - slot->face.base);
	}
	glni_read_unlock();

	return result;
}

/** slot_mark_pages() - mark what of @range is in @slot, in such a section. */
static inline uint64_t slot_mark_pages(struct slot *slot,
				       struct gln_range range)
{
	const struct gln_backend_slot *const face = &slot->face;
	struct bitmap *const marks = slot_marks(slot);
	const gln_gfn first = gln_max(range.first, face->base);
	const uint64_t skipped = first - range.first;
	const uint64_t page = first - face->base;

	if (!marks || skipped >= range.count || page >= face->nr_pages)
		return 0;
	return glni_bitmap_mark_range(
		marks, page,
		gln_min(range.count - skipped, face->nr_pages - page));
}

#endif
