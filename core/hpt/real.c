/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real.c - guest pages, what backs them, and entries that map them.
 */
#include "core/hpt/real.h"

#include "core/base/errno.h"

enum hpt_where glni_hpt_where(struct hpt_mmu *mmu, uint64_t addr,
			      struct hpt_page *page)
{
	bool is_closed = false;
	struct gln_backend_slot *face;
	struct hpt_slot *slot;
	unsigned int shift;
	gln_gfn gfn;

	/* Relaxed: set before the first slot, never changed. */
	shift = gln_load_relaxed(&mmu->slots_shift);
	if (!shift)
		return WHERE_NOWHERE;
	gfn = addr >> shift;
	face = mmu->backend.slot_at(&mmu->backend, gfn, &is_closed);
	if (!face)
		return WHERE_NOWHERE;
	if (is_closed)
		return WHERE_CLOSED;
	slot = face->priv;
	*page = hpt_page_of(slot, gfn);
	return WHERE_SLOT;
}

struct hpt_page glni_hold_page(struct hpt_mmu *mmu, const struct hpt_hold *hold)
{
	const struct gln_hpte guest = glni_hold_guest(hold);
	struct gln_backend_slot *face;
	struct gln_hpte_size size = {0, 0};
	bool is_closed;
	gln_gfn gfn;

	gln_hpte_decode(guest.v, guest.r, &size);
	/* Relaxed: set before the first slot, never changed. */
	gfn = hpt_guest_addr(guest.r, size) >>
	      gln_load_relaxed(&mmu->slots_shift);
	face = mmu->backend.slot_at(&mmu->backend, gfn, &is_closed);
	gln_assert(face);
	return hpt_page_of(face->priv, gfn);
}

bool glni_hpt_fits_slot(const struct hpt_slot *slot, struct gln_hpte_size size)
{
	const struct gln_backend_slot *const face = slot->face;
	const uint64_t in_page = hpt_size_pages(face, size) - 1;

	return !(face->base & in_page) && !(face->nr_pages & in_page);
}

/* The largest order that what the host tells may have. */
enum { ORDER_MAX = 63 };

int glni_hpt_ask_host(const struct hpt_mmu *mmu, const struct hpt_page *page,
		      uint32_t access, struct gln_host_page *host)
{
	struct gln_backend_slot *const face = page->slot->face;
	const uint64_t offset = (page->gfn - face->base) << face->page_shift;

	*host = (struct gln_host_page){
		.hpa = (uintptr_t)face->hva + offset,
		.order = ORDER_MAX,
		.is_writable = true,
		.type = GLN_MEMORY_NORMAL,
	};
	if (mmu->host.translate)
		return mmu->host.translate(mmu->host.ctx, face, page->gfn,
					   access, host);
	return face->hva ? 0 : -EFAULT;
}

/* Bits of real addresses that an entry has room for. */
static uint64_t rpn_mask(const struct hpt_mmu *mmu)
{
	return mmu->isa == GLN_HPT_ISA_2_07 ? GLN_HPTE_R_RPN : HPTE_R_RPN_3_0;
}

/*
 * The guest decides about key, PP, N and its size; the host about the page and
 * how memory is cached. Memory is cached and coherent whatever the guest asks
 * for; a device that the guest would cache is refused.
 */
int glni_hpt_real(const struct hpt_mmu *mmu, const struct hpt_page *page,
		  struct gln_hpte guest, uint32_t access, struct hpt_real *real)
{
	const unsigned int shift = page->slot->face->page_shift;
	struct gln_hpte_size size;
	struct gln_host_page host;
	uint64_t in_page, addr, r;
	int err;

	if (!gln_hpte_decode(guest.v, guest.r, &size))
		return -EINVAL;
	err = glni_hpt_ask_host(mmu, page, access, &host);
	if (err)
		return err;
	if (size.actual > shift && host.order < size.actual)
		return -EINVAL;

	/* The page of the slot may be larger than the entry's. */
	in_page = (UINT64_C(1) << size.actual) - 1;
	addr = host.hpa +
	       (hpt_guest_addr(guest.r, size) & ((UINT64_C(1) << shift) - 1));
	if (addr & in_page)
		return -EINVAL;
	if ((addr & rpn_mask(mmu)) != addr || host.type > GLN_MEMORY_DEVICE)
		return -EFAULT;
	if (host.type == GLN_MEMORY_DEVICE &&
	    (guest.r & (GLN_HPTE_R_I | GLN_HPTE_R_W)) != GLN_HPTE_R_I)
		return -EINVAL;

	r = (guest.r & (GLN_HPTE_R_PP0 | GLN_HPTE_R_KEY_HI | in_page)) | addr;
	r &= ~(GLN_HPTE_R_R | GLN_HPTE_R_C);
	if (host.type == GLN_MEMORY_NORMAL)
		r = (r & ~GLN_HPTE_R_WIMG) | GLN_HPTE_R_M;
	*real = (struct hpt_real){
		.r = r,
		.is_there = true,
		.is_writable = host.is_writable &&
			       !(page->slot->face->flags & GLN_SLOT_READ_ONLY),
	};
	return 0;
}

/*
 * R and C start clear unless page and guest both know that they are set: then
 * hardware need not tell again. C starts clear while the slot is logged: it
 * would be a write that nobody made (G2).
 */
static uint64_t known_rc(const struct hpt_page *page, uint64_t head,
			 uint64_t guest_r)
{
	uint64_t rc = 0;

	if (head & PAGE_R)
		rc |= guest_r & GLN_HPTE_R_R;
	if ((head & PAGE_C) && !slot_is_logged(page->slot))
		rc |= guest_r & GLN_HPTE_R_C;
	return rc;
}

/* The largest page of a slot so far: what is in it may begin so far before. */
static void note_size(struct hpt_slot *slot, struct gln_hpte guest)
{
	struct gln_hpte_size size;

	if (!gln_hpte_decode(guest.v, guest.r, &size))
		return;
	/* Relaxed: who looks from elsewhere has waited for this section. */
	if (gln_load_relaxed(&slot->max_shift) >= size.actual)
		return;
	uint64_t seen = gln_load_relaxed(&slot->max_shift);
	while (seen < size.actual &&
	       !gln_cas_strong_relaxed(&slot->max_shift, &seen, size.actual))
		;
}

void glni_hpt_watch(const struct hpt_page *page)
{
	if (slot_is_logged(page->slot))
		bitmap_mark(&page->slot->watch,
			    page->gfn - page->slot->face->base);
}

void glni_hold_map(struct hpt_hold *hold, const struct hpt_page *page,
		   struct gln_hpte guest, uint64_t real_r)
{
	struct gln_hpte real = {
		.v = (guest.v & ~GLN_HPTE_V_ABSENT) | GLN_HPTE_V_VALID,
	};
	uint64_t head;

	note_size(page->slot, guest);
	head = page_lock(page->head);
	real.r = real_r | known_rc(page, head, guest.r);
	if (!(head & PAGE_PRESENT))
		head = (head & ~PAGE_HEAD) | hold->index | PAGE_PRESENT;
	glni_rev_link(hold->hpt, hold->index, head & PAGE_HEAD);
	page_unlock(page->head, head);

	glni_hold_set_valid(hold, real);
	if (hpt_is_writable(real_r))
		glni_hpt_watch(page);
}

static struct gln_hpte as_valid(struct hpt_hold *hold, struct gln_hpte real)
{
	real.v = (real.v & ~GLN_HPTE_V_ABSENT) | GLN_HPTE_V_VALID;
	real = hpte_to_memory(hold->hpt->isa, real);
	hold->v = real.v;
	return real;
}

void glni_hold_make_valid(struct hpt_hold *hold, struct gln_hpte real)
{
	hpte_set_r(hold->entry, as_valid(hold, real).r);
}

void glni_hold_set_valid(struct hpt_hold *hold, struct gln_hpte real)
{
	hpte_publish(hold->entry, as_valid(hold, real));
}
