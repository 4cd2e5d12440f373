/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - what the host does to guest pages: slots come and go, pages are
 * taken back, and looked at for use.
 *
 * From a page's head to its entries. The head is peeked at, the entry is held,
 * and then it is looked at again whether it is still of this page: so the order
 * of locks is the one of hypercalls, and nobody has to be tried (H-65).
 */
#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"

/* The index a page's chain begins with; false if it has none. */
static bool peek(const gln_word *head, uint64_t *index)
{
	/* Relaxed: a hint; the entry is held and looked at. */
	const uint64_t seen = gln_load_relaxed(head);

	*index = seen & PAGE_HEAD;
	return seen & PAGE_PRESENT;
}

bool glni_hold_is_of(const struct hpt_hold *hold, const struct hpt_page *page)
{
	const unsigned int shift = page->slot->face->page_shift;
	struct gln_hpte guest;
	struct gln_hpte_size size;

	if (!hold_is_linked(hold))
		return false;
	guest = glni_hold_guest(hold);
	return gln_hpte_decode(guest.v, guest.r, &size) &&
	       hpt_guest_addr(guest.r, size) >> shift == page->gfn;
}

/*
 * Take all entries of a page away. While the slot is closed nobody adds one, so
 * each turn leaves fewer.
 */
static void expel_all(struct hpt_mmu *mmu, struct hpt *hpt,
		      const struct hpt_page *page)
{
	struct hpt_hold hold;
	uint64_t index;

	while (peek(page->head, &index)) {
		hold = glni_hpt_hold(hpt, index);
		const bool is_of = glni_hold_is_of(&hold, page);

		if (is_of)
			glni_hold_expel(mmu, NULL, &hold, page, false);
		hold_release(&hold);
		if (GLN_BREAK_KEEP_RMAP && !is_of)
			break;
	}
}

uint64_t glni_hpt_first_page(const struct hpt_slot *slot, gln_gfn first)
{
	const struct gln_backend_slot *const face = slot->face;
	/* Relaxed: who set it was in a section that is over. */
	const uint64_t max_shift = gln_load_relaxed(&slot->max_shift);
	const uint64_t page = first - face->base;

	if (max_shift <= face->page_shift)
		return page;
	/* Large pages are aligned where the guest has them. */
	first &= ~((UINT64_C(1) << (max_shift - face->page_shift)) - 1);
	return first > face->base ? first - face->base : 0;
}

/* Sizes of pages that may begin before the page of a slot that they reach. */
static const unsigned int large_shifts[] = {16, 24, 34};

enum { NR_LARGE = sizeof(large_shifts) / sizeof(large_shifts[0]) };

/* Where large pages would begin that reach page @page of a slot from before. */
static unsigned int find_bases(const struct hpt_slot *slot, uint64_t page,
			       uint64_t *bases)
{
	const struct gln_backend_slot *const face = slot->face;
	/* Relaxed: who set it was in a section that is over. */
	const uint64_t max_shift = gln_load_relaxed(&slot->max_shift);
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_LARGE && large_shifts[i] <= max_shift;
	     i++) {
		const uint64_t in_page =
			(face->base + page) &
			((UINT64_C(1) << large_shifts[i] >> face->page_shift) -
			 1);

		if (in_page && in_page <= page)
			bases[nr++] = page - in_page;
	}
	return nr;
}

static void unmap_page(struct hpt_mmu *mmu, struct hpt *hpt,
		       struct hpt_slot *slot, uint64_t page)
{
	const struct hpt_page at = hpt_page_of(slot, slot->face->base + page);

	expel_all(mmu, hpt, &at);
}

/* A range of a slot, with what reaches into it from before. */
static void unmap_pages(struct hpt_mmu *mmu, struct hpt_slot *slot,
			struct gln_range range)
{
	struct hpt *const hpt = hpt_table(mmu);
	const uint64_t first = range.first - slot->face->base;
	uint64_t bases[NR_LARGE];
	unsigned int nr_bases;

	if (!hpt)
		return;
	nr_bases = find_bases(slot, first, bases);
	for (unsigned int i = 0; i < nr_bases; i++)
		unmap_page(mmu, hpt, slot, bases[i]);
	for (uint64_t page = first; page < first + range.count; page++)
		unmap_page(mmu, hpt, slot, page);
}

void glni_hpt_op_unmap(struct gln_backend *be, struct gln_backend_slot *face,
		       struct gln_range range)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);

	glni_hpt_drain(mmu);
	unmap_pages(mmu, face->priv, range);
}

/* What a chain's entries and its head know of use; and they forget it. */
static bool take_young(struct hpt *hpt, const struct hpt_page *page)
{
	struct hpt_hold hold;
	uint64_t first, index, head;
	bool is_young = false;

	/* Relaxed: a hint. Most pages are old. */
	if (!(gln_load_relaxed(page->head) & (PAGE_PRESENT | PAGE_R)))
		return false;
	head = page_lock(page->head);
	is_young = head & PAGE_R;
	page_unlock(page->head, head & ~PAGE_R);
	if (!peek(page->head, &first))
		return is_young;

	index = first;
	do {
		hold = glni_hpt_hold(hpt, index);
		if (!glni_hold_is_of(&hold, page)) {
			/* Somebody changes the chain: that is use enough. */
			hold_release(&hold);
			return true;
		}
		if (hpte_r(hold.entry) & GLN_HPTE_R_R) {
			hpte_clear_r(hold.entry);
			glni_rev_or_rc(hpt, index, true, GLN_HPTE_R_R);
			is_young = true;
		}
		head = page_lock(page->head);
		index = glni_rev_next(hpt, index);
		page_unlock(page->head, head);
		hold_release(&hold);
	} while (index != (head & PAGE_HEAD));
	return is_young;
}

/* Pages of a large page that are in [page, end): all as young as the first. */
static uint64_t nr_covered(const struct hpt_slot *slot, struct hpt *hpt,
			   const struct hpt_page *at, uint64_t end)
{
	const uint64_t page = at->gfn - slot->face->base;
	struct gln_hpte_size size;
	struct gln_hpte guest;
	struct hpt_hold hold;
	uint64_t index, nr = 1;

	if (!peek(at->head, &index))
		return 1;
	hold = glni_hpt_hold(hpt, index);
	guest = glni_hold_guest(&hold);
	if (glni_hold_is_of(&hold, at) &&
	    gln_hpte_decode(guest.v, guest.r, &size))
		nr = hpt_size_pages(slot->face, size);
	hold_release(&hold);
	return gln_min(nr, end - page);
}

/*
 * struct ageing - pages are counted once, whoever maps them: those before
 * @counted are.
 */
struct ageing {
	struct hpt *hpt;
	struct hpt_slot *slot;
	uint64_t counted;
	uint64_t end;
	uint64_t nr_young;
};

/* What the entries of page @page map was accessed, or not. */
static void age_page(struct ageing *ageing, uint64_t page)
{
	const struct hpt_page at =
		hpt_page_of(ageing->slot, ageing->slot->face->base + page);
	const uint64_t first = gln_max(page, ageing->counted);
	uint64_t covered;

	if (!take_young(ageing->hpt, &at))
		return;
	covered =
		page + nr_covered(ageing->slot, ageing->hpt, &at, ageing->end);
	if (covered <= first)
		return;
	ageing->nr_young += covered - first;
	ageing->counted = covered;
}

void glni_hpt_op_age(struct gln_backend *be, struct gln_backend_slot *face,
		     struct gln_range range, uint64_t *nr_young)
{
	const uint64_t begin = range.first - face->base;
	struct ageing ageing = {
		.hpt = hpt_table(hpt_mmu_of(be)),
		.slot = face->priv,
		.counted = begin,
		.end = begin + range.count,
	};
	uint64_t bases[NR_LARGE];
	unsigned int nr_bases;

	if (!ageing.hpt)
		return;
	nr_bases = find_bases(ageing.slot, begin, bases);
	for (unsigned int i = 0; i < nr_bases; i++)
		age_page(&ageing, bases[i]);
	for (uint64_t page = begin; page < ageing.end; page++)
		age_page(&ageing, page);
	*nr_young += ageing.nr_young;
}

/* Slots. */

static size_t heads_bytes(const struct gln_backend_slot *face)
{
	return (size_t)face->nr_pages * sizeof(gln_word);
}

int glni_hpt_op_attach(struct gln_backend *be, struct gln_backend_slot *face)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	const struct hpt *const hpt = hpt_table(mmu);
	struct hpt_slot *slot;

	if (face->nr_pages > SIZE_MAX / sizeof(gln_word))
		return -ENOMEM;
	if (!hpt_holds(hpt ? hpt->order : GLN_HPT_ORDER_MIN, face))
		return -ERANGE;

	gln_plat_mutex_lock(&mmu->lock);
	slot = gln_alloc(&mmu->allocator, sizeof(*slot));
	if (slot) {
		slot->face = face;
		slot->pages = gln_alloc(&mmu->allocator, heads_bytes(face));
	}
	if (slot && !slot->pages) {
		gln_free(&mmu->allocator, slot, sizeof(*slot));
		slot = NULL;
	}
	if (slot) {
		slot->next = mmu->slots;
		mmu->slots = slot;
	}
	gln_plat_mutex_unlock(&mmu->lock);
	if (!slot)
		return -ENOMEM;

	face->priv = slot;
	/* Relaxed: a slot is found by who sees the set it is in. */
	gln_store_relaxed(&mmu->slots_shift, face->page_shift);
	glni_hpt_mmio_changed(mmu);
	return 0;
}

void glni_hpt_op_detach(struct gln_backend *be, struct gln_backend_slot *face)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt_slot *const slot = face->priv;
	const struct gln_range all = {face->base, face->nr_pages};
	struct hpt_slot **link = &mmu->slots;

	glni_hpt_drain(mmu);
	unmap_pages(mmu, slot, all);
	glni_hpt_mmio_changed(mmu);
	if (slot_is_logged(slot))
		glni_hpt_stop_watching(mmu, slot);

	gln_plat_mutex_lock(&mmu->lock);
	while (*link != slot)
		link = &(*link)->next;
	*link = slot->next;
	glni_hpt_forget_slot(mmu, slot);
	gln_free(&mmu->allocator, slot->pages, heads_bytes(face));
	gln_free(&mmu->allocator, slot, sizeof(*slot));
	gln_plat_mutex_unlock(&mmu->lock);
	face->priv = NULL;
}

/* vCPUs. */

int glni_hpt_op_vcpu_attach(struct gln_backend *be,
			    struct gln_backend_vcpu *face)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt_vcpu *vcpu;

	gln_plat_mutex_lock(&mmu->lock);
	vcpu = gln_alloc(&mmu->allocator, sizeof(*vcpu));
	if (vcpu) {
		vcpu->next = mmu->vcpus;
		mmu->vcpus = vcpu;
		/* Relaxed: the vCPU is told after this. */
		gln_fetch_add_relaxed(&mmu->nr_vcpus, 1);
	}
	gln_plat_mutex_unlock(&mmu->lock);
	face->priv = vcpu;
	return vcpu ? 0 : -ENOMEM;
}

void glni_hpt_op_vcpu_detach(struct gln_backend *be,
			     struct gln_backend_vcpu *face)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt_vcpu *const vcpu = face->priv;
	struct hpt_vcpu **link = &mmu->vcpus;

	gln_plat_mutex_lock(&mmu->lock);
	while (*link != vcpu)
		link = &(*link)->next;
	*link = vcpu->next;
	/* Relaxed: one that is left alone may do more by itself. */
	gln_fetch_add_relaxed(&mmu->nr_vcpus, UINT64_MAX);
	for (unsigned int i = 0; i < NR_HPT_COUNTS; i++)
		/* Relaxed: figures. */
		gln_fetch_add_relaxed(&mmu->own[i],
				      gln_load_relaxed(&vcpu->counts[i]));
	gln_free(&mmu->allocator, vcpu, sizeof(*vcpu));
	gln_plat_mutex_unlock(&mmu->lock);
	face->priv = NULL;
}
