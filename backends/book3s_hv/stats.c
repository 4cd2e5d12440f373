/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - figures of a table, and of who used it.
 */
#include "backends/book3s_hv/book3s_hv.h"
#include "core/hpt/resize.h"

/* Heads of a slot's pages, and what is kept of them while it is logged. */
static uint64_t slot_bytes(const struct hpt_slot *slot)
{
	const uint64_t nr_pages = slot->face->nr_pages;
	const uint64_t heads = nr_pages * sizeof(*slot->pages);
	const uint64_t set = bitmap_words_bytes(slot->watch.nr_pages) +
			     bitmap_summary_bytes(slot->watch.nr_pages);

	return heads + (slot->spare ? heads : 0) +
	       (slot->watch.nr_pages ? 2 * set : 0);
}

/* The lock is held. */
static uint64_t total(const struct hpt_mmu *mmu, enum hpt_count which)
{
	/* Relaxed, both: figures may be some operations apart. */
	uint64_t sum = gln_load_relaxed(&mmu->own[which]);

	for (const struct hpt_vcpu *v = mmu->vcpus; v; v = v->next)
		sum += gln_load_relaxed(&v->counts[which]);
	return sum;
}

static void add_counts(const struct hpt_mmu *mmu, struct gln_hpt_stats *stats)
{
	stats->enters = total(mmu, HPT_ENTERS);
	stats->full = total(mmu, HPT_FULL);
	stats->secondaries = total(mmu, HPT_SECONDARIES);
	stats->removes = total(mmu, HPT_REMOVES);
	stats->faults = total(mmu, HPT_FAULTS);
	stats->tlbies = total(mmu, HPT_TLBIES);
	stats->flushes = total(mmu, HPT_FLUSHES);
	stats->harvest_walked = total(mmu, HPT_WALKED);
	stats->harvest_dirty = total(mmu, HPT_DIRTY);
}

void glni_hpt_op_stats(struct gln_backend *be, struct gln_hpt_stats *stats)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	const struct hpt *hpt;

	glni_read_lock();
	hpt = hpt_table(mmu);
	if (hpt) {
		stats->order = hpt->order;
		stats->table_bytes = UINT64_C(1) << hpt->order;
		stats->revmap_bytes = hpt->nr_entries * sizeof(*hpt->rev);
	}
	glni_read_unlock();

	gln_plat_mutex_lock(&mmu->lock);
	for (const struct hpt_slot *s = mmu->slots; s; s = s->next)
		stats->rmap_bytes += slot_bytes(s);
	add_counts(mmu, stats);
	gln_plat_mutex_unlock(&mmu->lock);
	glni_hpt_resize_figures(mmu, stats);
}
