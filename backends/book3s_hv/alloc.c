/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alloc.c - give the guest a table, another one, or the same one empty.
 *
 * Whatever can fail comes first, into something that nobody sees; the table is
 * published last (G10, H-54, H-85). In between nobody is in the table: vCPUs
 * are outside of the gate, and who found the pointer before it was NULL has
 * left his read-side section.
 */
#include "backends/book3s_hv/book3s_hv.h"
#include "core/base/broken.h"
#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/ops.h"
#include "core/hpt/resize.h"

/* One of exactly this order. */
static int new_table(struct hpt_mmu *mmu, unsigned int order,
		     struct hpt_pool *pool, struct hpt **out)
{
	if (!glni_hpt_holds_slots(mmu, order))
		return -ERANGE;
	return glni_hpt_make_table(mmu, order, pool, out);
}

void glni_hpt_drop_table(struct hpt_mmu *mmu)
{
	glni_hpt_free_table(mmu, hpt_table(mmu));
}

/* No page is in a chain any more, and nothing is known of any (H-55). */
static void forget_pages(struct hpt_mmu *mmu)
{
	for (struct hpt_slot *s = mmu->slots; s; s = s->next)
		memset(s->pages, 0,
		       (size_t)s->face->nr_pages * sizeof(*s->pages));
}

static void flush(struct hpt_mmu *mmu)
{
	if (!GLN_BREAK_NO_FLUSH)
		mmu->flush_all(mmu->ctx, mmu->lpid);
	glni_hpt_count(mmu, NULL, HPT_FLUSHES, 1);
}

/*
 * Nobody is in the table from here on, no CPU remembers its entries (H-56), and
 * what they noted is in the log.
 */
static void retire(struct hpt_mmu *mmu, struct hpt *hpt)
{
	glni_hpt_withdraw(mmu);
	flush(mmu);
	glni_hpt_collect_quiet(mmu, hpt);
}

/* An empty table is what the guest has now. */
static void install(struct hpt_mmu *mmu, struct hpt *hpt)
{
	mmu->vrma_due = mmu->flags & GLN_HPT_VRMA;
	/* Relaxed, both: who finds the table finds them. */
	gln_fetch_add_relaxed(&mmu->epoch, 1);
	gln_fetch_add_relaxed(&mmu->mmio_generation, 1);
	if (mmu->set_table)
		mmu->set_table(mmu->ctx, hpt_table_word(mmu, hpt));
	glni_hpt_bring_back(mmu, hpt);
}

/*
 * The first table. CPUs may remember translations of a partition that had this
 * id before (H-56).
 */
static void install_first(struct hpt_mmu *mmu, struct hpt *hpt)
{
	glni_hpt_withdraw(mmu);
	flush(mmu);
	install(mmu, hpt);
}

static void reset(struct hpt_mmu *mmu, struct hpt *hpt)
{
	retire(mmu, hpt);
	if (GLN_BREAK_KEEP_RMAP) {
		memset(hpt->entries, 0, (size_t)1 << hpt->order);
	} else {
		forget_pages(mmu);
		glni_hpt_reset(hpt);
	}
	install(mmu, hpt);
}

static void replace(struct hpt_mmu *mmu, struct hpt *old, struct hpt *next)
{
	retire(mmu, old);
	forget_pages(mmu);
	install(mmu, next);
	glni_hpt_free_table(mmu, old);
}

int glni_hpt_op_allocate(struct gln_backend *be, unsigned int order)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt *const old = hpt_table(mmu);
	struct hpt *next = NULL;
	int err;

	if (!old || old->order != order) {
		err = new_table(mmu, order, NULL, &next);
		if (err)
			return err;
	}

	/* What is prepared is for what goes now; what was committed is over. */
	glni_hpt_op_resize_prepare(be, 0, 0);
	glni_hpt_drain(mmu);
	if (!old)
		install_first(mmu, next);
	else if (!next)
		reset(mmu, old);
	else
		replace(mmu, old, next);
	return 0;
}

bool glni_hpt_op_needs_set_up(const struct gln_backend *be)
{
	const struct hpt_mmu *const mmu = hpt_mmu_of(be);

	return !hpt_table(mmu) || mmu->vrma_due;
}

/* A pool's table, if there is one and its order will do. */
static int take_from_pool(struct hpt_mmu *mmu, struct hpt **out)
{
	struct hpt_pool *const pool =
		mmu->hpt_host ? &mmu->hpt_host->pool : NULL;
	bool is_empty;

	if (!pool)
		return -ENOMEM;
	gln_plat_mutex_lock(&pool->lock);
	is_empty = !pool->spares;
	gln_plat_mutex_unlock(&pool->lock);

	return is_empty ? -ENOMEM : new_table(mmu, pool->order, pool, out);
}

/*
 * Nobody named an order, so what there is will do: the default one, then one
 * that was allocated beforehand, then smaller ones, the smallest among them
 * (H-51).
 */
static int make_default(struct hpt_mmu *mmu, struct hpt **out)
{
	unsigned int order = mmu->default_order;
	int err = new_table(mmu, order, NULL, out);

	if (err)
		err = take_from_pool(mmu, out);
	while (err && order > GLN_HPT_ORDER_MIN)
		err = new_table(mmu, --order, NULL, out);
	return err ? -ENOMEM : 0;
}

int glni_hpt_op_set_up(struct gln_backend *be)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt *hpt;
	int err;

	if (!hpt_table(mmu)) {
		err = make_default(mmu, &hpt);
		if (err)
			return err;
		install_first(mmu, hpt);
	}
	if (!mmu->vrma_due)
		return 0;
	err = glni_hpt_map_vrma(mmu);
	if (!err)
		mmu->vrma_due = false;
	return err;
}
