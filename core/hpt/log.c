/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - which pages of a slot were changed: C bits, and whose to look at.
 *
 *	cold	no entry of the page lets anybody write: nothing to look at. A
 *		write faults, and the fault makes the page warm.
 *	warm	some entry may be written, and the page is in the slot's @watch.
 *		A harvest looks at C: changed, the page stays warm, since it
 *		will be again; not changed, it becomes cold.
 *
 * So a harvest costs what was written since the last one and the one before,
 * not what is mapped, and a page that is written all the time faults once. When
 * a log starts every page becomes cold.
 *
 * C is believed only after its entry was invalidated (H-59): every warm page
 * is, in each harvest, so none is missed because hardware is late, whether
 * vCPUs run or not (H-72).
 */
#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/bitmap/kernel.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"

enum {
	/* Entries that are invalidated together. */
	BATCH = 32,
	/* Pages looked at in one section: some milliseconds, if each has few
	 * entries. */
	SECTION_PAGES = 8192,
};

/**
 * struct sweep - entries that are held, to be looked at together.
 *
 * @reports:	what was changed goes to the log, and stays warm; else all
 *		becomes cold.
 */
struct sweep {
	struct hpt_mmu *mmu;
	struct hpt *hpt;
	bool reports;
	unsigned int nr;
	struct hpt_hold hold[BATCH];
	struct hpt_page page[BATCH];
	struct gln_hpte guest[BATCH];
};

/* One entry, after the invalidation: cold, or changed and armed again. */
static void settle(struct sweep *sweep, unsigned int i)
{
	struct hpt_hold *const hold = &sweep->hold[i];
	struct gln_hpte real =
		hpt_entry(hold->hpt, hold->v, hpte_r(hold->entry));
	const uint64_t noted = real.r & (GLN_HPTE_R_R | GLN_HPTE_R_C);
	const bool is_dirty = sweep->reports && (noted & GLN_HPTE_R_C);

	glni_rev_or_rc(hold->hpt, hold->index, true, noted & GLN_HPTE_R_C);
	if (noted & GLN_HPTE_R_C & ~sweep->guest[i].r)
		glni_hold_noted(sweep->mmu, hold);
	real.r &= ~GLN_HPTE_R_C;
	if (!is_dirty)
		real.r = hpt_read_only(real.r);
	glni_hold_set_valid(hold, real);
	if (!is_dirty)
		return;
	if (hpt_is_writable(real.r))
		glni_hpt_watch(&sweep->page[i]);
	glni_hold_mark(sweep->guest[i], &sweep->page[i]);
	glni_hpt_count(sweep->mmu, NULL, HPT_DIRTY, 1);
}

static void settle_all(struct sweep *sweep)
{
	struct gln_hpt_tlbie ops[BATCH];
	uint64_t early[BATCH];

	if (!sweep->nr)
		return;
	for (unsigned int i = 0; i < sweep->nr; i++) {
		ops[i] = glni_hold_tlbie(sweep->mmu, &sweep->hold[i]);
		early[i] = GLN_BREAK_EARLY_C ? hpte_r(sweep->hold[i].entry) : 0;
		glni_hold_break(&sweep->hold[i]);
	}
	glni_hpt_tlbie(sweep->mmu, NULL, ops, sweep->nr);
	for (unsigned int i = 0; i < sweep->nr; i++) {
		if (GLN_BREAK_EARLY_C)
			hpte_set_r(sweep->hold[i].entry, early[i]);
		settle(sweep, i);
	}
	sweep->nr = 0;
}

/* Wait for a lock only with empty hands. */
static struct hpt_hold hold_next(struct sweep *sweep, uint64_t index)
{
	struct hpt_hold hold;

	if (sweep->nr && glni_hpt_try_hold(sweep->hpt, index, 0, &hold))
		return hold;
	settle_all(sweep);
	return glni_hpt_hold(sweep->hpt, index);
}

static void keep_or_release(struct sweep *sweep, const struct hpt_hold *hold,
			    const struct hpt_page *page)
{
	const uint64_t r = hpte_r(hold->entry);

	if (!hpt_is_writable(r) && !(r & GLN_HPTE_R_C)) {
		hold_release(hold);
		return;
	}
	sweep->hold[sweep->nr] = *hold;
	sweep->page[sweep->nr] = *page;
	sweep->guest[sweep->nr++] = glni_hold_guest(hold);
	if (sweep->nr == BATCH)
		settle_all(sweep);
}

/*
 * Once around a page's chain, as it is. Only an entry that leaves it can make
 * us miss others: it may come back at the end, and we go on from there. Whoever
 * takes one out watches the page again (glni_hold_unlink()), so what is missed
 * is the next harvest's. More turns than the table has entries means the same.
 */
static void sweep_page(struct sweep *sweep, const struct hpt_page *page)
{
	/* Relaxed: a hint; each entry is held and looked at. */
	uint64_t head = gln_load_relaxed(page->head);
	uint64_t index = head & PAGE_HEAD;
	uint64_t left = sweep->hpt->nr_entries;

	if (!(head & PAGE_PRESENT))
		return;
	do {
		const struct hpt_hold hold = hold_next(sweep, index);

		if (!glni_hold_is_of(&hold, page)) {
			hold_release(&hold);
			return;
		}
		head = page_lock(page->head);
		index = glni_rev_next(sweep->hpt, index);
		page_unlock(page->head, head);
		keep_or_release(sweep, &hold, page);
	} while (index != (head & PAGE_HEAD) && --left);
}

/*
 * Look at some pages. Head, entry and reverse entry are each a line in no near
 * cache; so all are asked for before the first is waited for.
 */
static void sweep_pages(struct sweep *sweep, struct hpt_slot *slot,
			const uint64_t *pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		/* Relaxed: a hint; each entry is held and looked at. */
		const uint64_t head = gln_load_relaxed(&slot->pages[pages[i]]);

		if (!(head & PAGE_PRESENT))
			continue;
		__builtin_prefetch(&sweep->hpt->entries[head & PAGE_HEAD], 1);
		__builtin_prefetch(&sweep->hpt->rev[head & PAGE_HEAD], 1);
	}
	for (unsigned int i = 0; i < nr; i++) {
		const struct hpt_page at =
			hpt_page_of(slot, slot->face->base + pages[i]);

		sweep_page(sweep, &at);
	}
}

/** struct ahead - pages that are about to be looked at. */
struct ahead {
	unsigned int nr;
	uint64_t page[BATCH];
};

/* Look at the pages of a word of @slot->seen. */
static void sweep_word(struct sweep *sweep, struct hpt_slot *slot,
		       struct ahead *ahead, uint64_t word)
{
	uint64_t bits = slot->seen.words[word];

	for (; bits; bits &= bits - 1) {
		const uint64_t page =
			(word << GLN_WORD_SHIFT) + gln_ctz64(bits);

		__builtin_prefetch(&slot->pages[page], 1);
		ahead->page[ahead->nr++] = page;
		if (ahead->nr == BATCH) {
			sweep_pages(sweep, slot, ahead->page, ahead->nr);
			ahead->nr = 0;
		}
	}
}

/* Look at the pages of @slot->seen from @first to before @end. */
static void sweep_seen(struct sweep *sweep, struct hpt_slot *slot,
		       uint64_t first, uint64_t end)
{
	const uint64_t end_line = gln_div_up(end, LINE_PAGES);
	uint64_t line = first >> LINE_SHIFT;
	struct ahead ahead = {.nr = 0};

	while ((line = glni_snapshot_next_line(&slot->seen, line, end_line)) <
	       end_line) {
		const uint64_t word = line++ << LINE_WORD_SHIFT;

		for (uint64_t i = word; i < word + LINE_WORDS; i++)
			sweep_word(sweep, slot, &ahead, i);
	}
	sweep_pages(sweep, slot, ahead.page, ahead.nr);
	settle_all(sweep);
}

/*
 * Look at up to SECTION_PAGES warm pages in [@first, @end). What is taken from
 * @watch is in nobody's set until it is settled, and an entry that becomes
 * writable meanwhile is watched anew, after it is.
 */
static uint64_t collect_some(struct hpt_mmu *mmu, struct hpt *hpt,
			     struct hpt_slot *slot, uint64_t first,
			     uint64_t end)
{
	const struct take_limits limits = {
		.first = first,
		.end = end,
		.max_pages = SECTION_PAGES,
	};
	struct sweep sweep = {.mmu = mmu, .hpt = hpt, .reports = true};
	const struct take_result taken =
		glni_bitmap_take(&slot->watch, &slot->seen, &limits);

	if (!taken.nr_pages)
		return taken.next_page;
	/*
	 * sync watch.1 (seq_cst) <-> mark.1: taken, then entries are looked at;
	 * else one that becomes writable behind our back is not watched, since
	 * whoever made it so found the bit still set.
	 */
	glni_fence_heavy(slot->watch.fence);
	glni_hpt_count(mmu, NULL, HPT_WALKED, taken.nr_pages);
	sweep_seen(&sweep, slot, first, taken.next_page);
	glni_snapshot_drop(&slot->seen, first, taken.next_page);
	return taken.next_page;
}

/*
 * The same in a section of its own. While somebody changes the table, wait for
 * it: what was noted before may still be in there.
 */
static uint64_t collect_in_turn(struct hpt_mmu *mmu, struct hpt_slot *slot,
				uint64_t first, uint64_t end)
{
	uint64_t next = first;

	while (next == first && first < end) {
		struct hpt *hpt;

		/* What a table before this one still has comes first. */
		glni_hpt_drain(mmu);
		glni_read_lock();
		hpt = hpt_table(mmu);
		if (hpt && !hpt_is_draining(mmu))
			next = collect_some(mmu, hpt, slot, first, end);
		glni_read_unlock();
		if (!hpt && !glni_hpt_wait_for_table(mmu))
			return end;
	}
	return next;
}

int glni_hpt_op_collect(struct gln_backend *be, struct gln_backend_slot *face,
			struct gln_range range)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt_slot *const slot = face->priv;
	const uint64_t first = range.first - face->base;
	const uint64_t end = first + range.count;
	uint64_t bases[HPT_LARGE_SIZES];
	const unsigned int nr_bases = glni_hpt_find_bases(slot, first, bases);

	for (unsigned int i = 0; i < nr_bases; i++)
		collect_in_turn(mmu, slot, bases[i], bases[i] + 1);
	for (uint64_t next = first; next < end;)
		next = collect_in_turn(mmu, slot, next, end);
	return 0;
}

void glni_hpt_collect_quiet(struct hpt_mmu *mmu, struct hpt *hpt)
{
	for (struct hpt_slot *slot = mmu->slots; slot; slot = slot->next) {
		uint64_t next = 0;

		while (slot_is_logged(slot) && next < slot->face->nr_pages)
			next = collect_some(mmu, hpt, slot, next,
					    slot->face->nr_pages);
	}
}

/* All pages of a slot become cold. */
static void chill(struct hpt_mmu *mmu, struct hpt_slot *slot)
{
	const struct gln_backend_slot *const face = slot->face;
	struct sweep sweep = {.mmu = mmu, .reports = false};

	for (uint64_t first = 0; first < face->nr_pages;
	     first += SECTION_PAGES) {
		const uint64_t end =
			gln_min(first + SECTION_PAGES, face->nr_pages);

		glni_read_lock();
		sweep.hpt = hpt_table(mmu);
		for (uint64_t page = first; sweep.hpt && page < end; page++) {
			const struct hpt_page at =
				hpt_page_of(slot, face->base + page);

			sweep_page(&sweep, &at);
		}
		settle_all(&sweep);
		glni_read_unlock();
	}
}

/* The set of warm pages, and room to take it. */

static void watch_fini(struct hpt_mmu *mmu, struct hpt_slot *slot)
{
	const struct gln_allocator *const from = &mmu->allocator;
	const uint64_t nr_pages = slot->watch.nr_pages;
	const size_t words = (size_t)bitmap_words_bytes(nr_pages);
	const size_t summary = (size_t)bitmap_summary_bytes(nr_pages);

	gln_free(from, slot->watch.words, words);
	gln_free(from, slot->watch.summary, summary);
	gln_free(from, slot->seen.words, words);
	gln_free(from, slot->seen.taken, summary);
	slot->watch = (struct bitmap){.nr_pages = 0};
	slot->seen = (struct snapshot){.nr_pages = 0};
}

static int watch_init(struct hpt_mmu *mmu, struct hpt_slot *slot)
{
	const struct gln_allocator *const from = &mmu->allocator;
	const uint64_t nr_pages = slot->face->nr_pages;
	const size_t words = (size_t)bitmap_words_bytes(nr_pages);
	const size_t summary = (size_t)bitmap_summary_bytes(nr_pages);

	/* Marked where an entry becomes writable, which is dear anyway. */
	slot->watch = (struct bitmap){
		.nr_pages = nr_pages,
		.fence = FENCE_BOTH,
		.kernel = glni_chosen_kernel(),
		.words = gln_alloc(from, words),
		.summary = gln_alloc(from, summary),
	};
	slot->seen = (struct snapshot){
		.nr_pages = nr_pages,
		.words = gln_alloc(from, words),
		.taken = gln_alloc(from, summary),
	};
	if (!slot->watch.words || !slot->watch.summary || !slot->seen.words ||
	    !slot->seen.taken) {
		watch_fini(mmu, slot);
		return -ENOMEM;
	}
	bitmap_find_levels(&slot->watch);
	return 0;
}

int glni_hpt_op_log_start(struct gln_backend *be, struct gln_backend_slot *face,
			  uint32_t flags)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt_slot *const slot = face->priv;
	int err;

	(void)flags; /* pages that start out marked must be cold as well */
	glni_hpt_drain(mmu);
	gln_plat_mutex_lock(&mmu->lock);
	err = watch_init(mmu, slot);
	gln_plat_mutex_unlock(&mmu->lock);
	if (err)
		return err;

	/* sync hpt.6 (release) -> hpt.5: the set is there before it is used. */
	gln_store_release(&slot->is_logged, true);
	/* Who made entries writable without watching them has finished. */
	glni_synchronize();
	chill(mmu, slot);
	return 0;
}

void glni_hpt_stop_watching(struct hpt_mmu *mmu, struct hpt_slot *slot)
{
	/* Cold pages warm up again when they are written: one fault each. */
	gln_store_relaxed(&slot->is_logged, false); /* Relaxed: see below. */
	glni_synchronize();
	gln_plat_mutex_lock(&mmu->lock);
	watch_fini(mmu, slot);
	gln_plat_mutex_unlock(&mmu->lock);
}

void glni_hpt_op_log_stop(struct gln_backend *be, struct gln_backend_slot *face)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);

	glni_hpt_drain(mmu);
	/* A slot that goes is detached first. */
	if (face->priv)
		glni_hpt_stop_watching(mmu, face->priv);
}
