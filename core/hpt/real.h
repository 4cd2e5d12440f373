/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real.h - guest pages, what backs them, and steps of changing an entry that
 * only core/hpt takes.
 */
#ifndef GLN_CORE_HPT_REAL_H
#define GLN_CORE_HPT_REAL_H

#include "core/hpt/ops.h"

/**
 * struct hpt_page - the guest page that an entry maps; of a large one, the page
 * of the slot that it begins with.
 */
struct hpt_page {
	struct hpt_slot *slot;
	gln_gfn gfn;
	gln_word *head;
};

/** enum hpt_where - what is at a guest address. */
enum hpt_where {
	WHERE_SLOT,
	WHERE_CLOSED, /* in a slot that is being unmapped: hands off */
	WHERE_NOWHERE,
};

/** slot_is_logged() - is it, or has that just ended? In a section. */
static inline bool slot_is_logged(const struct hpt_slot *slot)
{
	/* sync hpt.5 (acquire) <- hpt.6: the bitmap that is to be marked. */
	return gln_load_acquire(&slot->is_logged);
}

/** hpt_size_pages() - pages of the slot that an entry maps; at least one. */
static inline uint64_t hpt_size_pages(const struct gln_backend_slot *face,
				      struct gln_hpte_size size)
{
	return size.actual > face->page_shift
		       ? UINT64_C(1) << (size.actual - face->page_shift)
		       : 1;
}

/** hpt_guest_addr() - where what @r maps begins. */
static inline uint64_t hpt_guest_addr(uint64_t r, struct gln_hpte_size size)
{
	return r & GLN_HPTE_R_RPN & ~((UINT64_C(1) << size.actual) - 1);
}

/** hpt_is_writable() - may anybody write by this R, whatever the key? */
static inline bool hpt_is_writable(uint64_t r)
{
	return (r & GLN_HPTE_R_PP) != GLN_HPTE_R_PP && !(r & GLN_HPTE_R_PP0);
}

/** hpt_read_only() - the same R, and nobody may write. */
static inline uint64_t hpt_read_only(uint64_t r)
{
	if ((r & GLN_HPTE_R_PP0) || !(r & GLN_HPTE_R_PP))
		return (r & ~GLN_HPTE_R_PP) | GLN_HPTE_R_PP0 | 2;
	return r | GLN_HPTE_R_PP;
}

/** glni_hpt_where() - find the page that begins at @addr. In a section. */
enum hpt_where glni_hpt_where(struct hpt_mmu *mmu, uint64_t addr,
			      struct hpt_page *page);

/** hpt_page_of() - the page of a slot. */
static inline struct hpt_page hpt_page_of(struct hpt_slot *slot, gln_gfn gfn)
{
	return (struct hpt_page){
		.slot = slot,
		.gfn = gfn,
		.head = &slot->pages[gfn - slot->face->base],
	};
}

/**
 * glni_hold_page() - the page of a linked entry. In a section.
 *
 * Its slot is there, though perhaps closed: who takes a slot away keeps others
 * from linking, waits for a grace period, and then needs the lock of every
 * entry that is linked. So a slot that a held, linked entry is in goes nowhere.
 */
struct hpt_page glni_hold_page(struct hpt_mmu *mmu,
			       const struct hpt_hold *hold);

/**
 * struct hpt_real - what an entry may say in memory.
 *
 * @r:		old format, R and C clear; nothing if not @is_there.
 * @is_writable: the host lets the guest write.
 */
struct hpt_real {
	uint64_t r;
	bool is_there;
	bool is_writable;
};

/**
 * glni_hpt_real() - ask the host what backs a page.
 *
 * Return: 0, and @real, perhaps of nothing; -EAGAIN if it is not there now;
 * -EINVAL if the guest asks for what the host's page cannot be: larger than it,
 * or cached though it is a device; -EFAULT if nothing backs it.
 */
int glni_hpt_real(const struct hpt_mmu *mmu, const struct hpt_page *page,
		  struct gln_hpte guest, uint32_t access,
		  struct hpt_real *real);

/** glni_hpt_ask_host() - what backs a page; 0, -EAGAIN or -EFAULT. */
int glni_hpt_ask_host(const struct hpt_mmu *mmu, const struct hpt_page *page,
		      uint32_t access, struct gln_host_page *host);

/** glni_hpt_fits_slot() - are the slot's ends on pages of this size? */
bool glni_hpt_fits_slot(const struct hpt_slot *slot, struct gln_hpte_size size);

/**
 * glni_hold_map() - a held entry that is not linked, and whose guest's R is
 * set, gets its real page: linked, valid; released.
 */
void glni_hold_map(struct hpt_hold *hold, const struct hpt_page *page,
		   struct gln_hpte guest, uint64_t real_r);

/** glni_hold_make_valid() - a broken entry is to be valid when it is released.
 */
void glni_hold_make_valid(struct hpt_hold *hold, struct gln_hpte real);

/** glni_hold_set_valid() - the same, and release it. */
void glni_hold_set_valid(struct hpt_hold *hold, struct gln_hpte real);

/** glni_hpt_stop_watching() - the slot's log is over; sleeps. */
void glni_hpt_stop_watching(struct hpt_mmu *mmu, struct hpt_slot *slot);

/** glni_hpt_watch() - the page may be written from now on. In a section. */
void glni_hpt_watch(const struct hpt_page *page);

bool glni_hpt_try_hold(struct hpt *hpt, uint64_t index, uint64_t bits,
		       struct hpt_hold *hold);
void glni_hpt_tlbie(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		    const struct gln_hpt_tlbie *ops, size_t nr);
struct gln_hpt_tlbie glni_hold_tlbie(const struct hpt_mmu *mmu,
				     const struct hpt_hold *hold);

/** glni_hold_break() - no longer valid, absent; what CPUs keep, they keep. */
void glni_hold_break(struct hpt_hold *hold);

/**
 * glni_hold_invalidate() - break it, and have nobody use it. Returns the entry,
 * old format, with R and C as they ended up.
 */
struct gln_hpte glni_hold_invalidate(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
				     struct hpt_hold *hold);

/** glni_hold_mark() - all that the entry maps was written. */
void glni_hold_mark(struct gln_hpte guest, const struct hpt_page *page);

/** glni_hold_unlink() - out of its page's chain, which keeps what was noted. */
void glni_hold_unlink(struct hpt_hold *hold, const struct hpt_page *page,
		      uint64_t guest, uint64_t noted);

/** glni_hold_retire() - after invalidation: note, mark, unlink, absent. */
void glni_hold_retire(struct hpt_mmu *mmu, struct hpt_hold *hold,
		      const struct hpt_page *page, struct gln_hpte guest,
		      uint64_t real_r);
void glni_hold_expel(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		     struct hpt_hold *hold, const struct hpt_page *page);

/** glni_hold_set_absent() - the second doubleword of an absent entry. */
void glni_hold_set_absent(struct hpt_hold *hold, struct gln_hpte guest,
			  bool is_mmio);
bool glni_hold_is_mmio(const struct hpt_hold *hold);
void glni_hpt_mmio_changed(struct hpt_mmu *mmu);

/** glni_hold_is_of() - is the entry in the chain of this page? */
bool glni_hold_is_of(const struct hpt_hold *hold, const struct hpt_page *page);

/** Pages may be larger than the slot's, in so many sizes. */
enum { HPT_LARGE_SIZES = 3 };

/**
 * glni_hpt_find_bases() - pages of a slot before @page in whose chain an entry
 * may be that reaches it. Returns how many.
 */
unsigned int glni_hpt_find_bases(const struct hpt_slot *slot, uint64_t page,
				 uint64_t *bases);

/** glni_hold_noted() - the guest's R of a linked entry has R or C anew. */
void glni_hold_noted(struct hpt_mmu *mmu, const struct hpt_hold *hold);

/** glni_hold_changed() - tell streams and a resize; before it is released. */
void glni_hold_changed(struct hpt_mmu *mmu, const struct hpt_hold *hold);

/** glni_hold_drop() - an entry that is not linked is empty, and released. */
void glni_hold_drop(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		    struct hpt_hold *hold);

#endif
