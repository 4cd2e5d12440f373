/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drain.c - after a resize: what hardware noted in the table before goes where
 * it belongs (Z3).
 *
 * Locks: an entry of the present table, then one of the table before, then a
 * page's head. Nobody else comes to the table before.
 */
#include "core/hpt/real.h"
#include "core/hpt/resize.h"

enum {
	GROUP = GLN_HPT_GROUP_ENTRIES,
	/* Heads that cost about what a group of entries does. */
	GROUP_HEADS = 16,
	/* Groups looked at in one read-side section: ten microseconds. */
	SECTION_GROUPS = 64,
};

#define RC     (GLN_HPTE_R_R | GLN_HPTE_R_C)
#define SAME_V (GLN_HPTE_V_COMPARE | GLN_HPTE_V_LARGE | GLN_HPTE_V_SECONDARY)

/* What is known of use: by the guest, and by hardware alone. Held. */
static uint64_t noted_in(const struct hpt_hold *hold)
{
	const uint64_t guest = glni_hold_guest(hold).r;

	/* An absent one's own R says nothing. */
	return (guest | (hold_is_linked(hold) ? hpte_r(hold->entry) : 0)) & RC;
}

static bool same_size(struct gln_hpte a, struct gln_hpte b)
{
	struct gln_hpte_size of_a, of_b;

	return gln_hpte_decode(a.v, a.r, &of_a) &&
	       gln_hpte_decode(b.v, b.r, &of_b) && of_a.base == of_b.base &&
	       of_a.actual == of_b.actual;
}

/*
 * Was @hold's entry copied from @old, which has the place for that? Both are
 * held. V, its page sizes and a place in a table tell the page.
 */
static bool is_copy_of(const struct hpt_hold *hold, const struct hpt_hold *old)
{
	const struct gln_hpte guest = glni_hold_guest(hold);
	const struct gln_hpte before = glni_hold_guest(old);

	return hold_is_used(old) && (old->v & GLN_HPTE_V_BOLTED) &&
	       !((guest.v ^ before.v) & SAME_V) && same_size(guest, before);
}

/*
 * An entry that is no longer bolted in the table before has been settled; so
 * one that the guest enters later in the same place gets nothing of it.
 */
void glni_hold_settle(struct hpt_hold *hold)
{
	/* Relaxed: see hold_settle(). */
	struct hpt *const before = gln_load_relaxed(&hold->hpt->before);
	struct gln_hpte guest;
	struct hpt_hold old;

	if (!before || !hold_is_used(hold) || !(hold->v & GLN_HPTE_V_BOLTED))
		return;
	guest = glni_hold_guest(hold);
	old = glni_hpt_hold(
		before, hpt_moved_index(hold->hpt, before, guest, hold->index));
	if (is_copy_of(hold, &old)) {
		glni_rev_or_rc(hold->hpt, hold->index, hold_is_linked(hold),
			       noted_in(&old));
		old.v &= ~GLN_HPTE_V_BOLTED;
	}
	hold_release(&old);
}

/* By the entry's copy, if the guest still has it. */
static void settle_copy(struct hpt *hpt, struct hpt *before, uint64_t index)
{
	struct hpt_hold old = glni_hpt_hold(before, index);
	const struct gln_hpte guest = glni_hold_guest(&old);
	struct hpt_hold hold;

	hold_release(&old);
	hold = glni_hpt_hold(hpt, hpt_moved_index(before, hpt, guest, index));
	glni_hold_settle(&hold);
	hold_release(&hold);
}

/* The page of an entry that was linked; its slot may be closed by now. */
static bool find_page(struct hpt_mmu *mmu, struct gln_hpte guest,
		      struct gln_hpte_size size, struct hpt_page *page)
{
	/* Relaxed: set before the first slot, never changed. */
	const unsigned int shift = gln_load_relaxed(&mmu->slots_shift);
	const gln_gfn gfn = hpt_guest_addr(guest.r, size) >> shift;
	bool is_closed = false;
	struct gln_backend_slot *const face =
		mmu->backend.slot_at(&mmu->backend, gfn, &is_closed);

	if (!face)
		return false;
	*page = hpt_page_of(face->priv, gfn);
	return true;
}

static void add_to_head(struct hpt_slot *slot, gln_word *page, uint64_t noted)
{
	uint64_t head;

	/* Of a logged page, C is the log's business. */
	if (slot_is_logged(slot))
		noted &= ~PAGE_C;
	if (!noted)
		return;
	head = page_lock(page);
	page_unlock(page, head | noted);
}

/* A valid entry that hardware has left: to the log, and to its page. */
static void tell_page(struct hpt_mmu *mmu, const struct hpt_hold *old)
{
	const struct gln_hpte guest = glni_hold_guest(old);
	const uint64_t r = hpte_r(old->entry);
	struct gln_hpte_size size;
	struct hpt_page page;

	if (!(r & RC) || !gln_hpte_decode(guest.v, guest.r, &size) ||
	    !find_page(mmu, guest, size, &page))
		return;
	if (r & GLN_HPTE_R_C)
		glni_hold_mark(guest, &page);
	add_to_head(page.slot, page.head,
		    (r & GLN_HPTE_R_R ? PAGE_R : 0) |
			    (r & GLN_HPTE_R_C ? PAGE_C : 0));
}

static void drain_entry(struct hpt_mmu *mmu, struct hpt *hpt,
			struct hpt *before, uint64_t index)
{
	const uint64_t v = hpte_v(&before->entries[index]);
	struct hpt_hold old;

	if (!(v & (GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT)))
		return;
	if (v & GLN_HPTE_V_BOLTED)
		settle_copy(hpt, before, index);
	if (!(v & GLN_HPTE_V_VALID))
		return;
	old = glni_hpt_hold(before, index);
	tell_page(mmu, &old);
	hold_release(&old);
}

/* Groups [first, end) of the table before. The lock is held. */
static void drain_groups(struct hpt_mmu *mmu, uint64_t first, uint64_t end)
{
	struct hpt *const hpt = hpt_table(mmu);

	glni_read_lock();
	for (uint64_t i = first * GROUP; i < end * GROUP; i++)
		drain_entry(mmu, hpt, mmu->resize.old, i);
	glni_read_unlock();
}

/* All groups told: nobody settles from here on. True if there are more. */
static bool drain_table(struct hpt_mmu *mmu, uint64_t max_groups)
{
	struct hpt_resize *const resize = &mmu->resize;
	const uint64_t nr_groups = resize->old->group_mask + 1;
	const uint64_t end = resize->old_group +
			     gln_min(max_groups, nr_groups - resize->old_group);

	while (resize->old_group < end) {
		const uint64_t part_end =
			gln_min(resize->old_group + SECTION_GROUPS, end);

		drain_groups(mmu, resize->old_group, part_end);
		resize->old_group = part_end;
	}
	if (end < nr_groups)
		return true;
	/* Relaxed: see hold_settle(). */
	gln_store_relaxed(&hpt_table(mmu)->before, NULL);
	resize->dead = resize->old;
	resize->old = NULL;
	return false;
}

/* The last pages of a slot whose old heads are not carried over yet. */
static void carry_some(struct hpt_slot *slot, uint64_t max_pages)
{
	uint64_t nr = gln_min(max_pages, slot->nr_to_carry);

	while (nr--) {
		const uint64_t page = --slot->nr_to_carry;
		/* Relaxed: nobody uses the old heads. */
		const uint64_t head = gln_load_relaxed(&slot->spare[page]);

		add_to_head(slot, &slot->pages[page], head & (PAGE_R | PAGE_C));
	}
}

static struct hpt_slot *find_to_carry(const struct hpt_mmu *mmu)
{
	struct hpt_slot *slot = mmu->slots;

	while (slot && !slot->nr_to_carry)
		slot = slot->next;
	return slot;
}

static bool drain_heads(struct hpt_mmu *mmu, uint64_t max_groups)
{
	/* As many as fit, whatever the caller says. */
	uint64_t left = max_groups > UINT64_MAX / GROUP_HEADS
				? UINT64_MAX
				: max_groups * GROUP_HEADS;
	struct hpt_slot *slot;

	while ((slot = find_to_carry(mmu)) && left) {
		const uint64_t was = slot->nr_to_carry;

		carry_some(slot, left);
		left -= was - slot->nr_to_carry;
	}
	return slot;
}

bool glni_hpt_drain_some(struct hpt_mmu *mmu, uint64_t max_groups)
{
	if (mmu->resize.old ? drain_table(mmu, max_groups) || find_to_carry(mmu)
			    : drain_heads(mmu, max_groups))
		return true;
	/* sync resize.2 (release) -> resize.1: a harvest that is not told to
	 * drain finds all marks that draining made.
	 */
	gln_store_release(&mmu->resize.is_draining, false);
	return false;
}

void glni_hpt_drain(struct hpt_mmu *mmu)
{
	if (!hpt_is_draining(mmu))
		return;
	gln_plat_mutex_lock(&mmu->lock);
	while (hpt_is_draining(mmu) && glni_hpt_drain_some(mmu, UINT64_MAX))
		;
	gln_plat_mutex_unlock(&mmu->lock);
}
