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
			glni_hold_expel(mmu, NULL, &hold, page);
		hold_release(&hold);
		if (GLN_BREAK_KEEP_RMAP && !is_of)
			break;
	}
}

/* Sizes of pages that may begin before the page of a slot that they reach. */
static const unsigned int large_shifts[] = {16, 24, 34};

_Static_assert(sizeof(large_shifts) / sizeof(large_shifts[0]) ==
		       HPT_LARGE_SIZES,
	       "one for each");

unsigned int glni_hpt_find_bases(const struct hpt_slot *slot, uint64_t page,
				 uint64_t *bases)
{
	const struct gln_backend_slot *const face = slot->face;
	/* Relaxed: who set it was in a section that is over. */
	const uint64_t max_shift = gln_load_relaxed(&slot->max_shift);
	unsigned int nr = 0;

	for (unsigned int i = 0;
	     i < HPT_LARGE_SIZES && large_shifts[i] <= max_shift; i++) {
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
	uint64_t bases[HPT_LARGE_SIZES];
	unsigned int nr_bases;

	if (!hpt)
		return;
	nr_bases = glni_hpt_find_bases(slot, first, bases);
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

/* R of a held entry, if it is set, becomes the guest's. */
static bool take_r(struct hpt_mmu *mmu, const struct hpt_hold *hold)
{
	const bool is_young = hpte_r(hold->entry) & GLN_HPTE_R_R;

	if (!is_young)
		return false;
	if (!(glni_hold_guest(hold).r & GLN_HPTE_R_R))
		glni_hold_noted(mmu, hold);
	hpte_clear_r(hold->entry);
	glni_rev_or_rc(hold->hpt, hold->index, true, GLN_HPTE_R_R);
	return true;
}

static uint64_t nr_mapped(const struct hpt_hold *hold,
			  const struct gln_backend_slot *face)
{
	const struct gln_hpte guest = glni_hold_guest(hold);
	struct gln_hpte_size size;

	return gln_hpte_decode(guest.v, guest.r, &size)
		       ? hpt_size_pages(face, size)
		       : 1;
}

/*
 * How many pages from this one on its entries, and its head, know to be used;
 * and they forget it. A chain that changes meanwhile is looked at as far as it
 * holds still.
 */
static uint64_t take_young(struct hpt_mmu *mmu, struct hpt *hpt,
			   const struct hpt_page *page)
{
	uint64_t index, head, nr_young, left = hpt->nr_entries;

	/* Relaxed: a hint. Most pages are old. */
	if (!(gln_load_relaxed(page->head) & (PAGE_PRESENT | PAGE_R)))
		return 0;
	head = page_lock(page->head);
	page_unlock(page->head, head & ~PAGE_R);
	nr_young = head & PAGE_R ? 1 : 0;
	if (!peek(page->head, &index))
		return nr_young;

	do {
		const struct hpt_hold hold = glni_hpt_hold(hpt, index);

		if (!glni_hold_is_of(&hold, page)) {
			hold_release(&hold);
			break;
		}
		if (take_r(mmu, &hold))
			nr_young = gln_max(nr_young,
					   nr_mapped(&hold, page->slot->face));
		head = page_lock(page->head);
		index = glni_rev_next(hpt, index);
		page_unlock(page->head, head);
		hold_release(&hold);
	} while (index != (head & PAGE_HEAD) && --left);
	return nr_young;
}

/*
 * struct ageing - pages are counted once, whoever maps them: those before
 * @counted are.
 */
struct ageing {
	struct hpt_mmu *mmu;
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
	const uint64_t end = gln_min(
		page + take_young(ageing->mmu, ageing->hpt, &at), ageing->end);
	const uint64_t first = gln_max(page, ageing->counted);

	if (end <= first)
		return;
	ageing->nr_young += end - first;
	ageing->counted = end;
}

void glni_hpt_op_age(struct gln_backend *be, struct gln_backend_slot *face,
		     struct gln_range range, uint64_t *nr_young)
{
	const uint64_t begin = range.first - face->base;
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct ageing ageing = {
		.mmu = mmu,
		.slot = face->priv,
		.counted = begin,
		.end = begin + range.count,
	};
	uint64_t bases[HPT_LARGE_SIZES];
	unsigned int nr_bases;

	/* What the table before says of use counts, and it must not go. */
	glni_hpt_drain(mmu);
	ageing.hpt = hpt_table(mmu);
	if (!ageing.hpt)
		return;
	nr_bases = glni_hpt_find_bases(ageing.slot, begin, bases);
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
	for (unsigned int i = 0; i < NR_HPT_COUNTS; i++)
		/* Relaxed: figures. */
		gln_fetch_add_relaxed(&mmu->own[i],
				      gln_load_relaxed(&vcpu->counts[i]));
	gln_free(&mmu->allocator, vcpu, sizeof(*vcpu));
	gln_plat_mutex_unlock(&mmu->lock);
	face->priv = NULL;
}
