/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resize.c - prepare another table, and work on it, while the guest runs;
 * commit.c changes to it.
 *
 * The state is the lock's. Memory is allocated without it, so that a guest that
 * asks how far it is need not wait; whoever comes back with memory for a
 * request that is no longer there frees it (H-73).
 */
#include "core/hpt/resize.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/bitmap/kernel.h"

enum {
	/* Groups copied in one read-side section: ten microseconds. */
	COPY_GROUPS = 64,
};

/* Memory of a request. */

static size_t heads_bytes(const struct hpt_slot *slot)
{
	return (size_t)slot->face->nr_pages * sizeof(gln_word);
}

void glni_hpt_free_marks(struct hpt_mmu *mmu, struct bitmap *marks)
{
	if (!marks->nr_pages)
		return;
	gln_free(&mmu->allocator, marks->summary,
		 (size_t)bitmap_summary_bytes(marks->nr_pages));
	gln_free(&mmu->allocator, marks->words,
		 (size_t)bitmap_words_bytes(marks->nr_pages));
	*marks = (struct bitmap){.nr_pages = 0};
}

static int make_marks(struct hpt_mmu *mmu, uint64_t nr_groups,
		      struct bitmap *out)
{
	const struct gln_allocator *const from = &mmu->allocator;
	/* The locks of entries order marks: no fence is heavy. */
	struct bitmap marks = {
		.nr_pages = nr_groups,
		.fence = FENCE_BOTH,
		.kernel = glni_chosen_kernel(),
		.words = gln_alloc(from, (size_t)bitmap_words_bytes(nr_groups)),
		.summary = gln_alloc(from,
				     (size_t)bitmap_summary_bytes(nr_groups)),
	};

	if (!marks.words || !marks.summary) {
		glni_hpt_free_marks(mmu, &marks);
		return -ENOMEM;
	}
	bitmap_find_levels(&marks);
	*out = marks;
	return 0;
}

void glni_hpt_free_spares(struct hpt_mmu *mmu)
{
	for (struct hpt_slot *s = mmu->slots; s; s = s->next)
		glni_hpt_forget_slot(mmu, s);
}

void glni_hpt_forget_slot(struct hpt_mmu *mmu, struct hpt_slot *slot)
{
	gln_free(&mmu->allocator, slot->spare, heads_bytes(slot));
	slot->spare = NULL;
	slot->nr_to_carry = 0;
}

/* Whoever marks is told first, and waited for. */
static void end_copying(struct hpt_mmu *mmu)
{
	struct hpt_resize *const resize = &mmu->resize;

	if (!resize->marks.words)
		return;
	/* Relaxed: there is nothing to see. */
	gln_store_relaxed(&mmu->stale, NULL);
	glni_synchronize();
	glni_hpt_free_marks(mmu, &resize->marks);
}

void glni_hpt_cancel_resize(struct hpt_mmu *mmu)
{
	struct hpt_resize *const resize = &mmu->resize;

	end_copying(mmu);
	if (resize->next)
		glni_hpt_free_spares(mmu);
	glni_hpt_free_table(mmu, resize->next);
	resize->next = NULL;
	resize->state = RESIZE_NONE;
	resize->ticket++;
}

/* The table before is drained: nobody finds it any more. */
static void free_dead(struct hpt_mmu *mmu)
{
	struct hpt *const dead = mmu->resize.dead;

	if (!dead)
		return;
	/* Who settles an entry may still look at it. */
	glni_synchronize();
	glni_hpt_free_spares(mmu);
	glni_hpt_free_table(mmu, dead);
	mmu->resize.dead = NULL;
}

/* Prepare. */

static bool is_under_way(const struct hpt_resize *resize)
{
	return resize->state != RESIZE_NONE && resize->state != RESIZE_FAILED;
}

/* What becomes of a call that asks for what was asked for already. */
static int progress(struct hpt_mmu *mmu)
{
	struct hpt_resize *const resize = &mmu->resize;
	int err;

	switch (resize->state) {
	case RESIZE_READY:
		return 0;
	case RESIZE_FAILED:
		err = resize->error;
		glni_hpt_cancel_resize(mmu);
		return err;
	default:
		return GLN_HPT_RESIZE_WAIT_MS;
	}
}

static int ask_for(struct hpt_mmu *mmu, unsigned int order, uint32_t flags)
{
	struct hpt_resize *const resize = &mmu->resize;

	if (resize->state != RESIZE_NONE && resize->order == order &&
	    (resize->flags == flags || !is_under_way(resize)))
		return progress(mmu);
	glni_hpt_cancel_resize(mmu);
	if (!glni_hpt_holds_slots(mmu, order))
		return -ERANGE;
	resize->order = order;
	resize->flags = flags;
	resize->state = RESIZE_WANTED;
	return GLN_HPT_RESIZE_WAIT_MS;
}

int glni_hpt_op_resize_prepare(struct gln_backend *be, unsigned int order,
			       uint32_t flags)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	int result = 0;

	if ((order && !hpt_order_is_valid(order)) ||
	    (flags & ~(GLN_HPT_RESIZE_INCREMENTAL | GLN_HPT_RESIZE_BY_GUEST)))
		return -EINVAL;
	if ((flags & GLN_HPT_RESIZE_BY_GUEST) && order > mmu->max_order)
		return -ERANGE;
	flags &= ~GLN_HPT_RESIZE_BY_GUEST;
	if (!order)
		glni_hpt_drain(mmu);

	gln_plat_mutex_lock(&mmu->lock);
	if (order) {
		result = ask_for(mmu, order, flags);
	} else {
		glni_hpt_cancel_resize(mmu);
		free_dead(mmu);
	}
	gln_plat_mutex_unlock(&mmu->lock);
	return result;
}

/* Work. */

/**
 * struct getting - what is being allocated for a request; nobody else's.
 */
struct getting {
	unsigned int order;
	uint64_t ticket;
	uint64_t nr_groups; /* to mark; 0 if none are copied ahead */
	struct hpt *next;
	struct bitmap marks;
};

static int get_memory(struct hpt_mmu *mmu, struct getting *getting)
{
	const int err =
		glni_hpt_make_table(mmu, getting->order, NULL, &getting->next);

	if (err || !getting->nr_groups)
		return err;
	return make_marks(mmu, getting->nr_groups, &getting->marks);
}

static void put_memory(struct hpt_mmu *mmu, struct getting *getting)
{
	glni_hpt_free_marks(mmu, &getting->marks);
	glni_hpt_free_table(mmu, getting->next);
}

static struct hpt_slot *find_without_spare(const struct hpt_mmu *mmu)
{
	struct hpt_slot *slot = mmu->slots;

	while (slot && slot->spare)
		slot = slot->next;
	return slot;
}

/* Heads for every slot, as far as memory goes; the others' are cleared later.
 * Slots are the lock's, so it is held.
 */
static void get_spares(struct hpt_mmu *mmu)
{
	struct hpt_slot *slot;

	while ((slot = find_without_spare(mmu))) {
		slot->spare = gln_alloc(&mmu->allocator, heads_bytes(slot));
		if (!slot->spare)
			return;
	}
}

/* Who changes entries is told, and has heard it when this returns. */
static void begin_copying(struct hpt_mmu *mmu, struct getting *getting)
{
	struct hpt_resize *const resize = &mmu->resize;

	get_spares(mmu);
	resize->marks = getting->marks;
	resize->group = 0;
	resize->needs_rehash = false;
	/* Relaxed: the table that it counts was found before. */
	resize->epoch = gln_load_relaxed(&mmu->epoch);
	resize->state = RESIZE_COPYING;
	/* sync hpt.4 (release) -> hpt.3: the bitmap before who marks in it. */
	gln_store_release(&mmu->stale, &resize->marks);
	glni_synchronize();
}

/* The lock is held again. */
static void got_memory(struct hpt_mmu *mmu, struct getting *getting, int err)
{
	struct hpt_resize *const resize = &mmu->resize;

	if (resize->ticket != getting->ticket || err) {
		put_memory(mmu, getting);
		if (resize->ticket != getting->ticket)
			return;
		resize->error = err;
		resize->state = RESIZE_FAILED;
		return;
	}
	resize->next = getting->next;
	resize->state = RESIZE_READY;
	if (getting->marks.words)
		begin_copying(mmu, getting);
}

static void allocate(struct hpt_mmu *mmu)
{
	struct hpt_resize *const resize = &mmu->resize;
	struct getting getting = {
		.order = resize->order,
		.ticket = resize->ticket,
	};
	const struct hpt *hpt;
	int err;

	glni_read_lock();
	hpt = hpt_table(mmu);
	if (hpt && (resize->flags & GLN_HPT_RESIZE_INCREMENTAL))
		getting.nr_groups = hpt->group_mask + 1;
	glni_read_unlock();

	resize->state = RESIZE_BUSY;
	resize->is_working = true;
	gln_plat_mutex_unlock(&mmu->lock);
	err = get_memory(mmu, &getting);
	gln_plat_mutex_lock(&mmu->lock);
	resize->is_working = false;
	got_memory(mmu, &getting, err);
}

struct hpt *glni_hpt_copied_table(struct hpt_mmu *mmu)
{
	struct hpt *const hpt = hpt_table(mmu);

	/* Relaxed: it was counted before the table was there. */
	return hpt && gln_load_relaxed(&mmu->epoch) == mmu->resize.epoch ? hpt
									 : NULL;
}

/* One section's worth. False if there is nothing to be copied now. */
static bool copy_part(struct hpt_mmu *mmu, uint64_t max_groups)
{
	struct hpt_resize *const resize = &mmu->resize;
	struct hpt *hpt;
	bool goes_on = false;

	glni_read_lock();
	hpt = glni_hpt_copied_table(mmu);
	if (hpt) {
		const uint64_t left = hpt->group_mask + 1 - resize->group;
		const uint64_t end = resize->group + gln_min(left, max_groups);

		resize->needs_rehash = !glni_hpt_copy_ahead(
			hpt, resize->next, &resize->marks, resize->group, end);
		resize->group = end;
		goes_on = end <= hpt->group_mask && !resize->needs_rehash;
		if (!goes_on)
			resize->state = RESIZE_READY;
	}
	glni_read_unlock();
	return goes_on;
}

static void copy_some(struct hpt_mmu *mmu, uint64_t max_groups)
{
	for (uint64_t left = max_groups; left;) {
		const uint64_t part = gln_min(left, COPY_GROUPS);

		if (!copy_part(mmu, part))
			return;
		left -= part;
	}
}

/* While a commit is awaited: what changed since, so that it finds less. */
static void refresh(struct hpt_mmu *mmu, uint64_t max_groups)
{
	struct hpt_resize *const resize = &mmu->resize;
	struct hpt *hpt;

	if (!resize->marks.words || resize->needs_rehash)
		return;
	glni_read_lock();
	hpt = glni_hpt_copied_table(mmu);
	if (hpt)
		resize->needs_rehash = !glni_hpt_copy_again(
			hpt, resize->next, &resize->marks,
			gln_min(max_groups, UINT64_MAX - 1));
	glni_read_unlock();
}

/* Work without allocating; the lock is held. */
static void step(struct hpt_mmu *mmu, uint64_t max_groups)
{
	const uint64_t start_ns = gln_plat_now_ns();
	uint64_t took_ns;

	if (hpt_is_draining(mmu))
		glni_hpt_drain_some(mmu, max_groups);
	else if (mmu->resize.state == RESIZE_COPYING)
		copy_some(mmu, max_groups);
	else if (mmu->resize.state == RESIZE_READY)
		refresh(mmu, max_groups);

	took_ns = gln_plat_now_ns() - start_ns;
	/* Relaxed, both: a figure, and the lock is held. */
	if (took_ns > gln_load_relaxed(&mmu->resize.step_ns))
		gln_store_relaxed(&mmu->resize.step_ns, took_ns);
}

static bool has_work(const struct hpt_mmu *mmu)
{
	const struct hpt_resize *const resize = &mmu->resize;

	return hpt_is_draining(mmu) || resize->dead ||
	       resize->state == RESIZE_WANTED || resize->state == RESIZE_BUSY ||
	       resize->state == RESIZE_COPYING;
}

int glni_hpt_op_resize_work(struct gln_backend *be, uint64_t max_groups)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt_resize *const resize = &mmu->resize;
	bool more;

	gln_plat_mutex_lock(&mmu->lock);
	if (resize->is_working)
		; /* somebody else is at it */
	else if (!hpt_is_draining(mmu) && resize->dead)
		free_dead(mmu);
	else if (!hpt_is_draining(mmu) && resize->state == RESIZE_WANTED)
		allocate(mmu);
	else
		step(mmu, max_groups ? max_groups : 1);
	more = has_work(mmu);
	gln_plat_mutex_unlock(&mmu->lock);
	return more;
}

void glni_hpt_resize_figures(struct hpt_mmu *mmu, struct gln_hpt_stats *stats)
{
	/* Relaxed, both: figures. */
	stats->resizes = gln_load_relaxed(&mmu->resize.nr_resizes);
	stats->resize_step_ns = gln_load_relaxed(&mmu->resize.step_ns);
}
