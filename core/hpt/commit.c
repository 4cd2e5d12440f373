/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.c - change to the table that was prepared, while vCPUs wait.
 *
 *	take the request   from now on nobody else's
 *	withdraw	   whoever is in the table leaves, nobody follows
 *	fill		   what changed since it was copied, or all of it
 *	change		   hardware, then everybody, has the new one
 *
 * If it cannot be filled, the table before comes back.
 */
#include "core/base/errno.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"

/**
 * struct commit - a request that a commit has taken; nobody else's.
 *
 * @is_copied:	all of @next was copied ahead, but for what is marked.
 */
struct commit {
	struct hpt *old;
	struct hpt *next;
	bool is_copied;
};

/* The lock is held. Whatever comes, the request is used up. */
static int take_request(struct hpt_mmu *mmu, unsigned int order,
			struct commit *commit)
{
	struct hpt_resize *const resize = &mmu->resize;
	int err = 0;

	if (resize->state == RESIZE_NONE || resize->order != order)
		err = -ENXIO;
	else if (resize->state == RESIZE_FAILED)
		err = resize->error;
	else if (resize->state != RESIZE_READY)
		err = -EBUSY;
	else if (!hpt_table(mmu))
		err = -EIO;
	else if (!glni_hpt_holds_slots(mmu, order))
		err = -ERANGE;
	if (err) {
		glni_hpt_cancel_resize(mmu);
		return err;
	}

	commit->old = hpt_table(mmu);
	commit->next = resize->next;
	commit->is_copied = resize->marks.words && !resize->needs_rehash &&
			    glni_hpt_copied_table(mmu);
	resize->next = NULL;
	resize->state = RESIZE_NONE;
	resize->ticket++;
	return 0;
}

/* Nobody is in either table. */
static int fill_next(struct hpt_mmu *mmu, struct commit *commit)
{
	struct hpt_resize *const resize = &mmu->resize;

	/* Relaxed: there is nobody to mark, and who comes finds a new table. */
	gln_store_relaxed(&mmu->stale, NULL);
	if (commit->is_copied) {
		commit->is_copied = glni_hpt_copy_again(
			commit->old, commit->next, &resize->marks, UINT64_MAX);
		if (commit->is_copied)
			return 0;
	}
	if (resize->marks.words)
		glni_hpt_reset(commit->next);
	return glni_hpt_rehash(mmu, commit->old, commit->next);
}

/* Old chains are nobody's; what heads know of pages is carried over (Z4). */
static void change_heads(struct hpt_slot *slot)
{
	gln_word *const old = slot->pages;

	if (slot->spare) {
		slot->pages = slot->spare;
		slot->spare = old;
		slot->nr_to_carry = slot->face->nr_pages;
		return;
	}
	for (uint64_t i = 0; i < slot->face->nr_pages; i++)
		/* Relaxed, both: nobody else is here. */
		gln_store_relaxed(&old[i], gln_load_relaxed(&old[i]) &
						   (PAGE_R | PAGE_C));
}

/* The table before lives on, for what hardware noted in it. The lock is held.
 */
static void keep_old(struct hpt_mmu *mmu, const struct commit *commit)
{
	struct hpt_resize *const resize = &mmu->resize;

	for (struct hpt_slot *s = mmu->slots; s; s = s->next)
		change_heads(s);
	/* Relaxed: published with the table. */
	gln_store_relaxed(&commit->next->before, commit->old);
	resize->old = commit->old;
	resize->old_group = 0;
	/* Relaxed: likewise. */
	gln_store_relaxed(&resize->is_draining, true);
}

static void change_table(struct hpt_mmu *mmu, const struct commit *commit)
{
	/* Relaxed: whoever finds the table finds it counted. */
	gln_fetch_add_relaxed(&mmu->epoch, 1);
	glni_hpt_mmio_changed(mmu);
	if (mmu->set_table)
		mmu->set_table(mmu->ctx, hpt_table_word(mmu, commit->next));
	mmu->flush_all(mmu->ctx, mmu->lpid);
	glni_hpt_count(mmu, NULL, HPT_FLUSHES, 1);

	gln_plat_mutex_lock(&mmu->lock);
	if (commit->is_copied)
		keep_old(mmu, commit);
	glni_hpt_bring_back(mmu, commit->next);
	glni_hpt_free_marks(mmu, &mmu->resize.marks);
	if (!commit->is_copied) {
		glni_hpt_free_spares(mmu);
		glni_hpt_free_table(mmu, commit->old);
	}
	gln_plat_mutex_unlock(&mmu->lock);
	/* Relaxed: a figure. */
	gln_fetch_add_relaxed(&mmu->resize.nr_resizes, 1);
}

/* All is as it was, but that entries are absent. */
static void give_up(struct hpt_mmu *mmu, const struct commit *commit)
{
	glni_hpt_bring_back(mmu, commit->old);
	gln_plat_mutex_lock(&mmu->lock);
	glni_hpt_free_marks(mmu, &mmu->resize.marks);
	glni_hpt_free_spares(mmu);
	glni_hpt_free_table(mmu, commit->next);
	gln_plat_mutex_unlock(&mmu->lock);
}

int glni_hpt_op_resize_commit(struct gln_backend *be, unsigned int order)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct commit commit;
	int err;

	if (!hpt_order_is_valid(order))
		return -EINVAL;
	glni_hpt_drain(mmu);

	gln_plat_mutex_lock(&mmu->lock);
	err = take_request(mmu, order, &commit);
	gln_plat_mutex_unlock(&mmu->lock);
	if (err)
		return err;

	/* Whoever is in the table leaves; nobody follows. */
	glni_hpt_withdraw(mmu);
	err = fill_next(mmu, &commit);
	if (err)
		give_up(mmu, &commit);
	else
		change_table(mmu, &commit);
	return err;
}
