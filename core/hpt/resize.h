/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resize.h - change to a table of another order.
 *
 *	prepare	-> work, work, ... -> commit -> work, work, ...
 *	  says	  allocates, and	changes    takes over what hardware
 *	  what	  copies ahead		the table  noted in the table before
 *
 * A commit moves bolted entries, absent, to where their hash says; the guest
 * enters the others again. It does it all while vCPUs wait, or, incremental,
 * finds it done but for what changed since:
 *
 *   Z1  Before the first entry is copied ahead, everybody who changes a bolted
 *	 entry marks its group, with the entry locked. A group is copied again
 *	 if it is marked, as a whole: what came from it goes first.
 *   Z2  What cannot be copied ahead exactly (two entries for one place, an
 *	 entry that is not where its hash says) is no error yet: the commit then
 *	 moves everything itself, and its answer counts.
 *   Z3  After the commit the table before is dead to hardware and to the guest.
 *	 R and C in it, its own and its guest's, go to the entry's copy before
 *	 anybody looks at that, and at leisure; C goes to the log, R to the
 *	 page, before a harvest, a start of logging, ageing, a slot's going,
 *	 another commit.
 *   Z4  Pages get new heads, which are empty; so nobody follows an old one into
 *	 the new table.
 */
#ifndef GLN_CORE_HPT_RESIZE_H
#define GLN_CORE_HPT_RESIZE_H

#include "core/hpt/ops.h"

int glni_hpt_op_resize_prepare(struct gln_backend *be, unsigned int order,
			       uint32_t flags);
int glni_hpt_op_resize_work(struct gln_backend *be, uint64_t max_groups);
int glni_hpt_op_resize_commit(struct gln_backend *be, unsigned int order);

/** glni_hpt_resize_figures() - fill in resizes and resize_step_ns. Any context.
 */
void glni_hpt_resize_figures(struct hpt_mmu *mmu, struct gln_hpt_stats *stats);

/**
 * glni_hpt_forget_slot() - free what a resize has for a slot that goes. Drained
 * (Z3); the mmu's lock is held.
 */
void glni_hpt_forget_slot(struct hpt_mmu *mmu, struct hpt_slot *slot);

/** hpt_is_draining() - is something of Z3 left to do? */
static inline bool hpt_is_draining(const struct hpt_mmu *mmu)
{
	/* sync resize.1 (acquire) <- resize.2: all marks, then the all-clear.
	 */
	return gln_load_acquire(&mmu->resize.is_draining);
}

/**
 * glni_hpt_drain() - do all of Z3 that is left. Not in a read-side section:
 * takes the mmu's lock. Frees nothing.
 */
void glni_hpt_drain(struct hpt_mmu *mmu);

/**
 * glni_hold_settle() - Z3, for one entry that is held: it gets the R and C that
 * the entry it was copied from has.
 */
void glni_hold_settle(struct hpt_hold *hold);

/** hold_settle() - the same, cheap where there is nothing to do. */
static inline void hold_settle(struct hpt_hold *hold)
{
	/*
	 * Relaxed: it is set before the table is published; and it is cleared
	 * by who settled this entry, with its lock, which we have.
	 */
	if (gln_load_relaxed(&hold->hpt->before))
		glni_hold_settle(hold);
}

/* Among the files of a resize. */

/**
 * glni_hpt_cancel_resize() - the request is gone, with all that it has; what
 * the table before needs stays. The lock is held; sleeps.
 */
void glni_hpt_cancel_resize(struct hpt_mmu *mmu);

/** glni_hpt_free_marks() - nobody can mark in them any more. */
void glni_hpt_free_marks(struct hpt_mmu *mmu, struct bitmap *marks);

/**
 * glni_hpt_free_spares() - heads for the table to come, or of the table before.
 * The lock is held.
 */
void glni_hpt_free_spares(struct hpt_mmu *mmu);

/**
 * glni_hpt_copied_table() - the present table if it is still the one that is
 * copied ahead, or NULL. As hpt_table().
 */
struct hpt *glni_hpt_copied_table(struct hpt_mmu *mmu);

/** hpt_moved_index() - where an entry at @index of @from belongs in @to. */
static inline uint64_t hpt_moved_index(const struct hpt *from,
				       const struct hpt *to,
				       struct gln_hpte guest, uint64_t index)
{
	const uint64_t hash = gln_hpte_hash(
		&guest, index / GLN_HPT_GROUP_ENTRIES, from->order);
	const uint64_t group = guest.v & GLN_HPTE_V_SECONDARY ? ~hash : hash;

	return (group & to->group_mask) * GLN_HPT_GROUP_ENTRIES +
	       index % GLN_HPT_GROUP_ENTRIES;
}

/**
 * glni_hpt_rehash() - move all bolted entries of @from to @to, which is empty,
 * and leave none of @from valid. Nobody is in either.
 *
 * Return: 0; -ENOSPC if two want the same place; -EIO if an entry cannot be
 * told the size of. Then entries of @from are absent, and all there.
 */
int glni_hpt_rehash(struct hpt_mmu *mmu, struct hpt *from, struct hpt *to);

/**
 * glni_hpt_copy_ahead() - copy bolted entries of groups [first, end) of @from,
 * which is in use; groups that find a place taken are marked. In a section.
 *
 * False if that is not possible (Z2).
 */
bool glni_hpt_copy_ahead(struct hpt *from, struct hpt *to, struct bitmap *marks,
			 uint64_t first, uint64_t end);

/**
 * glni_hpt_copy_again() - copy up to @max_groups groups that are marked in
 * @marks again, and unmark them; all of them, if it is UINT64_MAX: then a place
 * that is taken is the end. In a section.
 *
 * False if that is not possible (Z2).
 */
bool glni_hpt_copy_again(struct hpt *from, struct hpt *to, struct bitmap *marks,
			 uint64_t max_groups);

/**
 * glni_hpt_drain_some() - Z3 for @max_groups groups of the table before, or as
 * many entries' worth of pages. The lock is held. True if something is left.
 */
bool glni_hpt_drain_some(struct hpt_mmu *mmu, uint64_t max_groups);

#endif
