/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.h - mark many pages at the cost of a look at each.
 *
 * A mark enters a read-side section, finds its slot and the slot's log, and
 * leaves again. Who makes many in a row, an emulated device that fills a ring
 * of buffers say, opens a view: one section for all of them, which remembers
 * the slot of the last mark. A page of that slot that is marked already then
 * costs what it costs to see that, in the caller's own code: nothing is
 * written, and no line is taken from other CPUs.
 *
 *	gln_view_open(vm, &view);
 *	for each page written
 *		gln_view_mark(&view, page);
 *	gln_view_close(&view);
 *
 *   G1  As in dirty.h: the mark comes last, in a view too.
 *   G3  Nothing here takes a lock, allocates or waits for a harvest.
 *
 * But others wait for a view, as a grace period waits for a read-side section:
 * a harvest that flips, logging that starts or stops, a slot that goes or
 * moves, in every VM of the process; with GLN_VM_QUICK_MARKS every harvest that
 * finds something. So close it soon. It is for a burst of
 * marks, some ten microseconds, and not for a run of the guest. Do not sleep in
 * it, and make no call that may sleep: one that waits for a grace period would
 * wait for its own caller, for ever. Marks and faults may be made all the same.
 *
 * No slot is remembered, and every mark takes the long way, where a look alone
 * cannot do: where the slot is not logged, where the vCPU has a ring, and where
 * each mark needs a fence of its own (GLN_VM_FULL_FENCE, or a platform without
 * a heavy fence).
 */
#ifndef GLN_VIEW_H
#define GLN_VIEW_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_vcpu;

/** Levels that a log's summary can have above its lowest one. */
#define GLN_VIEW_UPPER 6

/**
 * struct gln_view - an open section, and the slot of the last mark. Room for it
 * is the caller's, its members are the library's.
 *
 * @first, @nr_pages: frames of the slot; none at first.
 * @nr_quick:	as @nr_pages where a look at @words says it all
 *		(GLN_VM_QUICK_MARKS), else 0.
 * @words:	one bit a page.
 * @summary:	one bit a line of @words, that is for each 512 pages.
 * @nr_upper, @upper: levels above that, one bit a line of what is below.
 * @marks:	the bitmap they are of.
 * @vcpu:	or NULL.
 */
struct gln_view {
	gln_gfn first;
	uint64_t nr_quick;
	const uint64_t *words;
	uint64_t nr_pages;
	const uint64_t *summary;
	uint64_t nr_upper;
	const uint64_t *upper[GLN_VIEW_UPPER];
	void *marks;
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
};

/**
 * gln_view_open() - begin a burst of marks.
 * gln_vcpu_view_open() - the same on a vCPU: with its counts, and into its ring
 * if it has one.
 *
 * Views of a thread may overlap, and end in any order.
 *
 * Context: any thread, any lock held, signal handlers included; of a vCPU, the
 * thread that runs it. The same thread marks and closes.
 */
GLN_PUBLIC void gln_view_open(struct gln_vm *vm, struct gln_view *view);
GLN_PUBLIC void gln_vcpu_view_open(struct gln_vcpu *vcpu,
				   struct gln_view *view);

/**
 * gln_view_close() - its end: who waits for it goes on.
 */
GLN_PUBLIC void gln_view_close(struct gln_view *view);

/**
 * gln_view_mark_far() - gln_view_mark() where a look was not enough. The slot
 * of @gfn is the one remembered from then on, if it can be.
 */
GLN_PUBLIC int gln_view_mark_far(struct gln_view *view, gln_gfn gfn);

/*
 * mark.1, inline: the guest's bytes, or the entry that lets it write, before
 * the look. The CPU's half is the harvester's heavy fence; without one no slot
 * is remembered.
 */
static inline void gln_view_written(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Is a bit of a level set? */
static inline bool gln_view_is_set(const uint64_t *level, uint64_t bit)
{
	/*
	 * mark.2 and mark.7 of docs/internals/ordering.md, inline: levels are
	 * looked at from the words up, as they are set. A bit that another
	 * marker set after a take had cleared it must not be seen beside what
	 * is above it as that was before the take.
	 */
	return __atomic_load_n(&level[bit / 64], __ATOMIC_ACQUIRE) >> bit % 64 &
	       1;
}

/*
 * Is a page of the slot marked, and will every harvest from now on find it? The
 * page's bit alone does not say so: who set it may not have come to the levels
 * above, and to leave before he has would be to return with a page that the
 * next harvest misses. (With GLN_VM_QUICK_MARKS he was there before.)
 */
static inline bool gln_view_is_marked(const struct gln_view *view,
				      uint64_t page)
{
	uint64_t bit = page / 512;

	if (!gln_view_is_set(view->words, page) ||
	    !gln_view_is_set(view->summary, bit))
		return false;
	for (uint64_t i = 0; i < view->nr_upper; i++) {
		bit /= 512;
		if (!gln_view_is_set(view->upper[i], bit))
			return false;
	}

	return true;
}

/**
 * gln_view_mark() - note that a frame was written.
 *
 * A vCPU's marks that took no more than a look are not counted in its
 * statistics.
 *
 * Context: as gln_dirty_mark(), on the thread that opened @view; on a vCPU, as
 * gln_vcpu_mark().
 * Return: as they do.
 */
static inline int gln_view_mark(struct gln_view *view, gln_gfn gfn)
{
	const uint64_t page = gfn - view->first;

	gln_view_written();
	if (page < view->nr_quick) {
		if (gln_view_is_set(view->words, page))
			return 0;
	} else if (page < view->nr_pages && gln_view_is_marked(view, page)) {
		return 0;
	}
	return gln_view_mark_far(view, gfn);
}

/**
 * gln_view_mark_range() - note that every frame of a range was written.
 *
 * As gln_dirty_mark_range(), whatever the vCPU has; quicker where all of it is
 * in one slot. The view is open meanwhile, so mark ranges of many million pages
 * outside one.
 *
 * Context: as gln_dirty_mark_range(), on the thread that opened @view.
 * Return: how many marks are new.
 */
GLN_PUBLIC uint64_t gln_view_mark_range(struct gln_view *view,
					struct gln_range range);

GLN_END_DECLS

#endif
