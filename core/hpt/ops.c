/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ops.c - hold an entry, invalidate it, take it out of its page's chain.
 */
#include "core/hpt/ops.h"

#include "core/base/broken.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"

struct hpt_hold glni_hpt_hold(struct hpt *hpt, uint64_t index)
{
	struct hpte *const entry = &hpt->entries[index];
	struct hpt_hold hold = {
		.hpt = hpt,
		.entry = entry,
		.index = index,
		.v = hpte_lock(entry),
	};

	hold_settle(&hold);
	return hold;
}

bool glni_hpt_try_hold(struct hpt *hpt, uint64_t index, uint64_t bits,
		       struct hpt_hold *hold)
{
	struct hpte *const entry = &hpt->entries[index];
	uint64_t v;

	if (!hpte_try_lock(entry, bits | GLN_HPTE_V_HVLOCK, &v))
		return false;
	*hold = (struct hpt_hold){
		.hpt = hpt,
		.entry = entry,
		.index = index,
		.v = v,
	};
	hold_settle(hold);
	return true;
}

struct gln_hpte glni_hold_guest(const struct hpt_hold *hold)
{
	const uint64_t r = hpte_r(hold->entry);
	const struct gln_hpte real = hpt_entry(hold->hpt, hold->v, r);

	return (struct gln_hpte){
		.v = real.v,
		.r = glni_rev_guest(hold->hpt, hold->index,
				    hold_is_linked(hold), real.r),
	};
}

void glni_hpt_count(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		    enum hpt_count which, uint64_t n)
{
	if (vcpu)
		gln_count(&vcpu->counts[which], n);
	else
		/* Relaxed: a figure. */
		gln_fetch_add_relaxed(&mmu->own[which], n);
}

void glni_hpt_tlbie(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		    const struct gln_hpt_tlbie *ops, size_t nr)
{
	if (!GLN_BREAK_NO_FLUSH)
		mmu->tlbie(mmu->ctx, ops, nr);
	glni_hpt_count(mmu, vcpu, HPT_TLBIES, nr);
}

struct gln_hpt_tlbie glni_hold_tlbie(const struct hpt_mmu *mmu,
				     const struct hpt_hold *hold)
{
	const struct gln_hpte entry =
		hpt_entry(hold->hpt, hold->v, hpte_r(hold->entry));

	return (struct gln_hpt_tlbie){
		.rb = glni_hpt_rb(&entry, hold->index),
		.lpid = mmu->lpid,
	};
}

void glni_hold_break(struct hpt_hold *hold)
{
	hold->v = (hold->v & ~GLN_HPTE_V_VALID) | GLN_HPTE_V_ABSENT;
	hpte_set_v(hold->entry, hold->v);
}

/* The entry is invalid from here on, and R and C are final. */
struct gln_hpte glni_hold_invalidate(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
				     struct hpt_hold *hold)
{
	const struct gln_hpt_tlbie op = glni_hold_tlbie(mmu, hold);
	const uint64_t early = GLN_BREAK_EARLY_C ? hpte_r(hold->entry) : 0;

	glni_hold_break(hold);
	glni_hpt_tlbie(mmu, vcpu, &op, 1);
	return hpt_entry(hold->hpt, hold->v,
			 GLN_BREAK_EARLY_C ? early : hpte_r(hold->entry));
}

void glni_hold_mark(struct gln_hpte guest, const struct hpt_page *page)
{
	struct gln_backend_slot *const face = page->slot->face;
	struct gln_hpte_size size;

	if (gln_hpte_decode(guest.v, guest.r, &size))
		face->mark(face, page->gfn, hpt_size_pages(face, size));
}

void glni_hold_unlink(struct hpt_hold *hold, const struct hpt_page *page,
		      uint64_t guest, uint64_t noted)
{
	const bool keeps_c = !slot_is_logged(page->slot);
	uint64_t head = page_lock(page->head);
	const uint64_t next = glni_rev_unlink(hold->hpt, hold->index, guest);

	if (next == hold->index)
		head &= ~(PAGE_HEAD | PAGE_PRESENT);
	else if ((head & PAGE_HEAD) == hold->index)
		head = (head & ~PAGE_HEAD) | next;
	if (noted & GLN_HPTE_R_R)
		head |= PAGE_R;
	if ((noted & GLN_HPTE_R_C) && keeps_c)
		head |= PAGE_C;
	page_unlock(page->head, head);
	/*
	 * Whoever walks this chain now may have gone on from here to its end,
	 * if the entry is put back there: he missed the others.
	 */
	if (next != hold->index)
		glni_hpt_watch(page);
}

void glni_hold_expel(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		     struct hpt_hold *hold, const struct hpt_page *page)
{
	struct gln_hpte guest = glni_hold_guest(hold);
	const struct gln_hpte real = glni_hold_invalidate(mmu, vcpu, hold);

	glni_hold_retire(mmu, hold, page, guest, real.r);
}

/* A stream tells what hardware noted as well. Here the entry is still linked.
 */
void glni_hold_noted(struct hpt_mmu *mmu, const struct hpt_hold *hold)
{
	/* Relaxed: a stream waits for a grace period after it said so. */
	if (gln_load_relaxed(&mmu->nr_streams))
		glni_rev_set_modified(hold->hpt, hold->index, true);
}

void glni_hold_retire(struct hpt_mmu *mmu, struct hpt_hold *hold,
		      const struct hpt_page *page, struct gln_hpte guest,
		      uint64_t real_r)
{
	const uint64_t noted = real_r & (GLN_HPTE_R_R | GLN_HPTE_R_C);

	if (noted & GLN_HPTE_R_C)
		glni_hold_mark(guest, page);
	if (noted & ~guest.r)
		glni_hold_noted(mmu, hold);
	guest.r |= noted;
	glni_hold_unlink(hold, page, guest.r, noted);
	glni_hold_set_absent(hold, guest, false);
}

/*
 * What hardware does not look at tells an address without memory: all bits of
 * the key (H-69).
 */
void glni_hold_set_absent(struct hpt_hold *hold, struct gln_hpte guest,
			  bool is_mmio)
{
	struct gln_hpte value = {
		.v = guest.v,
		.r = is_mmio ? guest.r | GLN_HPTE_R_KEY
			     : guest.r & ~GLN_HPTE_R_KEY,
	};

	value = hpte_to_memory(hold->hpt->isa, value);
	hpte_set_r(hold->entry, value.r);
	hold->v = (hold->v & ~GLN_HPTE_V_VALID) | GLN_HPTE_V_ABSENT;
}

bool glni_hold_is_mmio(const struct hpt_hold *hold)
{
	return (hold->v & GLN_HPTE_V_ABSENT) &&
	       !(~hpte_r(hold->entry) & GLN_HPTE_R_KEY);
}

void glni_hpt_mmio_changed(struct hpt_mmu *mmu)
{
	/* Relaxed: what is told by it is told by nothing else. */
	gln_fetch_add_relaxed(&mmu->mmio_generation, 1);
}

void glni_hold_changed(struct hpt_mmu *mmu, const struct hpt_hold *hold)
{
	struct bitmap *stale;

	/* Relaxed: a stream waits for a grace period after it said so. */
	if (gln_load_relaxed(&mmu->nr_streams))
		glni_rev_set_modified(hold->hpt, hold->index,
				      hold_is_linked(hold));
	if (!(hold->v & GLN_HPTE_V_BOLTED))
		return;
	/* sync hpt.3 (acquire) <- hpt.4: the bitmap before its bits. */
	stale = gln_load_acquire(&mmu->stale);
	if (stale)
		bitmap_mark(stale, hold->index / GLN_HPT_GROUP_ENTRIES);
}

void glni_hold_drop(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		    struct hpt_hold *hold)
{
	if (glni_hold_is_mmio(hold))
		glni_hpt_mmio_changed(mmu);
	glni_hold_changed(mmu, hold);
	glni_rev_set_guest(hold->hpt, hold->index, false, 0);
	glni_hpt_count(mmu, vcpu, HPT_REMOVES, 1);
	hold->v = 0;
	hold_release(hold);
}

void glni_hpt_expel(struct hpt_mmu *mmu, struct hpt_hold *hold)
{
	struct hpt_page page;

	glni_read_lock();
	page = glni_hold_page(mmu, hold);
	glni_hold_expel(mmu, NULL, hold, &page);
	glni_read_unlock();
}

void glni_hpt_clear(struct hpt_mmu *mmu, struct hpt_hold *hold)
{
	if (hold_is_linked(hold))
		glni_hpt_expel(mmu, hold);
	glni_hold_drop(mmu, NULL, hold);
}
