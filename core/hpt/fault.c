/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.c - a CPU found no entry that allows an access: whose business is it?
 *
 * The guest's, if it has no entry, or one that forbids the access. The host's,
 * if the entry is absent or lost a right for the host's own reasons: then it is
 * put right, and the guest tries again.
 */
#include "core/base/bits.h"
#include "core/base/errno.h"
#include "core/hpt/real.h"

/** struct search - an address, and the entry that the guest made for it. */
struct search {
	struct hpt *hpt;
	uint64_t want_v;  /* B and AVPN */
	uint64_t compare; /* what of V has to be so, and H */
	unsigned int base_shift;
	struct hpt_hold hold;
	struct gln_hpte guest;
	struct gln_hpte_size size;
};

/* AVPN begins with bit 23 of the address, at bit 7 of V. */
enum { AVPN_FIRST_SHIFT = 23, AVPN_V_SHIFT = 7, SEGMENT_SHIFT_256M = 28 };

/*
 * Bits of V that tell addresses of this page size apart; below they are
 * anything. Not of the VSID, though: a guest may have an entry of 16G in a
 * segment of 256M, where it maps the segment.
 */
static uint64_t compared_bits(uint64_t slb, unsigned int base_shift)
{
	unsigned int end = base_shift;

	if (!(slb & GLN_SLB_1TB) && end > SEGMENT_SHIFT_256M)
		end = SEGMENT_SHIFT_256M;
	if (end < AVPN_FIRST_SHIFT)
		end = AVPN_FIRST_SHIFT;
	return (GLN_HPTE_V_COMPARE &
		~gln_low_bits(end - AVPN_FIRST_SHIFT + AVPN_V_SHIFT)) |
	       GLN_HPTE_V_SECONDARY;
}

/*
 * Whether an entry is for the address; of one that is not locked, a guess. That
 * its base page is the segment's, L and LP have to say: one segment's address
 * may look like another's (H-89).
 */
static bool is_for(struct search *search, struct gln_hpte entry, uint64_t h)
{
	return (entry.v & (GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT)) &&
	       (entry.v & search->compare) == (search->want_v | h) &&
	       gln_hpte_decode(entry.v, entry.r, &search->size) &&
	       search->size.base == search->base_shift;
}

/* Like a guess, but the entry is held: the guest's own R decides. */
static bool hold_if_right(struct search *search, uint64_t index, uint64_t h)
{
	search->hold = glni_hpt_hold(search->hpt, index);
	search->guest = glni_hold_guest(&search->hold);
	if (is_for(search, search->guest, h))
		return true;
	hold_release(&search->hold);
	return false;
}

static bool search_group(struct search *search, uint64_t group, uint64_t h)
{
	const uint64_t first =
		(group & search->hpt->group_mask) * GLN_HPT_GROUP_ENTRIES;

	for (unsigned int i = 0; i < GLN_HPT_GROUP_ENTRIES; i++) {
		struct hpte *const entry = &search->hpt->entries[first + i];
		const struct gln_hpte seen =
			hpt_entry(search->hpt, hpte_v(entry), hpte_r(entry));

		/* A guess: R, which has B since ISA 3.0, may be changing. */
		if ((seen.v & search->compare) == (search->want_v | h) &&
		    hold_if_right(search, first + i, h))
			return true;
	}
	return false;
}

static bool find_entry(struct search *search, const struct gln_hpt_fault *fault)
{
	const uint64_t hash = gln_hpt_hash(fault->slb, fault->ea);

	search->compare = compared_bits(fault->slb, search->base_shift);
	search->want_v = gln_hpt_vpn(fault->slb, fault->ea) & search->compare;
	if (search->hpt->isa != GLN_HPT_ISA_2_07)
		search->want_v &= HPTE_V_3_0 | GLN_HPTE_V_B;
	return search_group(search, hash, 0) ||
	       search_group(search, ~hash, GLN_HPTE_V_SECONDARY);
}

/* Storage keys: two bits of AMR a key, the first key's uppermost. */
enum { AMR_NO_READ = 1, AMR_NO_WRITE = 2, AMR_LAST_SHIFT = 62 };

static unsigned int key_of(uint64_t r)
{
	enum { KEY_HI_SHIFT = 60, KEY_LO_SHIFT = 9, KEY_LO_BITS = 3 };

	return (unsigned int)((r & GLN_HPTE_R_KEY_HI) >>
				      KEY_HI_SHIFT << KEY_LO_BITS |
			      (r & GLN_HPTE_R_KEY_LO) >> KEY_LO_SHIFT);
}

/* Does the guest's own key forbid it? Fetches have other keys. */
static uint64_t denied_by_key(const struct gln_hpt_fault *fault, uint64_t r)
{
	const uint64_t pair = fault->amr >> (AMR_LAST_SHIFT - 2 * key_of(r));

	if (fault->access == GLN_ACCESS_READ && (pair & AMR_NO_READ))
		return GLN_DSISR_KEYFAULT;
	if (fault->access == GLN_ACCESS_WRITE && (pair & AMR_NO_WRITE))
		return GLN_DSISR_KEYFAULT;
	return 0;
}

/* Page protection (ISA 2.07 book III-S 5.7.9.2), by PP0, PP and the key bit. */
static bool pp_allows(const struct gln_hpt_fault *fault, uint64_t r)
{
	const uint64_t k =
		fault->flags & GLN_HPT_PROBLEM ? GLN_SLB_KP : GLN_SLB_KS;
	const bool has_key = fault->slb & k;
	const unsigned int pp = r & GLN_HPTE_R_PP;
	const bool pp0 = r & GLN_HPTE_R_PP0;

	if (fault->access == GLN_ACCESS_WRITE)
		return has_key ? pp == 2 && !pp0 : pp != 3 && !pp0;
	if (!has_key)
		return true;
	return pp0 ? false : pp != 0;
}

/* What the guest has forbidden itself; 0 if nothing. */
static uint64_t denied_by_guest(const struct gln_hpt_fault *fault, uint64_t r)
{
	const bool is_fetch = fault->access == GLN_ACCESS_EXEC;
	uint64_t why = 0;

	if (is_fetch &&
	    ((r & (GLN_HPTE_R_N | GLN_HPTE_R_G)) || (fault->slb & GLN_SLB_N)))
		why |= GLN_DSISR_NOEXEC;
	if (!pp_allows(fault, r))
		why |= GLN_DSISR_PROTFAULT;
	return why | denied_by_key(fault, r);
}

static int reflect(struct gln_hpt_fault *fault, uint64_t why)
{
	fault->dsisr = why;
	if (fault->access == GLN_ACCESS_WRITE)
		fault->dsisr |= GLN_DSISR_ISSTORE;
	return GLN_FAULT_REFLECT;
}

/*
 * What the entry may say now. While the slot is logged only who is about to
 * write gets to write: what is not written stays out of what a harvest walks.
 */
static uint64_t wanted_r(const struct hpt_page *page,
			 const struct gln_hpt_fault *fault,
			 const struct hpt_real *real)
{
	if (!real->is_writable ||
	    (fault->access != GLN_ACCESS_WRITE && slot_is_logged(page->slot)))
		return hpt_read_only(real->r);
	return real->r;
}

/* Give a valid entry back the right to write. It is broken meanwhile. */
static void relax_valid(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
			struct search *search, const struct hpt_page *page,
			uint64_t r)
{
	struct gln_hpte real = glni_hold_invalidate(mmu, vcpu, &search->hold);
	const uint64_t noted = real.r & (GLN_HPTE_R_R | GLN_HPTE_R_C);

	if (noted & GLN_HPTE_R_C)
		glni_hold_mark(search->guest, page);
	if (noted & ~search->guest.r)
		glni_hold_noted(mmu, &search->hold);
	glni_rev_or_rc(search->hold.hpt, search->hold.index, true, noted);
	real.r = r | (noted & GLN_HPTE_R_R);
	glni_hold_set_valid(&search->hold, real);
	glni_hpt_watch(page);
}

/*
 * The entry allows it, so what refused may be a translation that the CPU got by
 * another one: a page larger than its segment's has an entry for each base page
 * in it, which are cold and warm by themselves. The CPU keeps it until told.
 */
static void forget_refusal(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
			   const struct hpt_hold *hold)
{
	const struct gln_hpt_tlbie op = glni_hold_tlbie(mmu, hold);

	glni_hpt_tlbie(mmu, vcpu, &op, 1);
}

static int fault_in_slot(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
			 struct search *search, const struct hpt_page *page,
			 const struct gln_hpt_fault *fault)
{
	const bool is_write = fault->access == GLN_ACCESS_WRITE;
	const struct gln_hpte entry = hpt_entry(search->hpt, search->hold.v,
						hpte_r(search->hold.entry));
	struct hpt_real real;
	int err;

	if (hold_is_linked(&search->hold) &&
	    (!is_write || hpt_is_writable(entry.r))) {
		forget_refusal(mmu, vcpu, &search->hold);
		hold_release(&search->hold);
		return GLN_FAULT_SPURIOUS;
	}
	err = glni_hpt_fits_slot(page->slot, search->size)
		      ? glni_hpt_real(mmu, page, search->guest, fault->access,
				      &real)
		      : -EFAULT;
	if (err) {
		hold_release(&search->hold);
		return err == -EAGAIN ? GLN_FAULT_RETRY : -EFAULT;
	}
	if (is_write && !real.is_writable) {
		hold_release(&search->hold);
		return GLN_FAULT_READ_ONLY;
	}

	glni_hpt_count(mmu, vcpu, HPT_FAULTS, 1);
	if (hold_is_linked(&search->hold)) {
		relax_valid(mmu, vcpu, search, page, real.r);
		return GLN_FAULT_RELAXED;
	}
	glni_hold_map(&search->hold, page, search->guest,
		      wanted_r(page, fault, &real));
	return GLN_FAULT_MAPPED;
}

static int fault_found(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		       struct search *search, struct gln_hpt_fault *fault)
{
	const uint64_t why = denied_by_guest(fault, search->guest.r);
	const uint64_t begin = hpt_guest_addr(search->guest.r, search->size);
	const uint64_t in_page = (UINT64_C(1) << search->size.actual) - 1;
	struct hpt_page page;

	if (why) {
		hold_release(&search->hold);
		return reflect(fault, why);
	}
	switch (glni_hpt_where(mmu, begin, &page)) {
	case WHERE_SLOT:
		break;
	case WHERE_CLOSED:
		hold_release(&search->hold);
		return GLN_FAULT_RETRY;
	case WHERE_NOWHERE:
	default:
		/* The slot may have gone since: told as a device, it is one. */
		glni_hold_set_absent(&search->hold, search->guest, true);
		hold_release(&search->hold);
		fault->gpa = begin | (fault->ea & in_page);
		return GLN_FAULT_MMIO;
	}

	const int result = fault_in_slot(mmu, vcpu, search, &page, fault);

	if (result == GLN_FAULT_READ_ONLY)
		fault->gpa = begin | (fault->ea & in_page);
	return result;
}

int glni_hpt_op_fault(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		      struct gln_hpt_fault *fault)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct search search = {
		.hpt = hpt_table(mmu),
		.base_shift = gln_slb_page_shift(fault->slb),
	};

	if (!search.base_shift)
		return -EINVAL;
	if (!search.hpt)
		return GLN_FAULT_RETRY;
	if (!find_entry(&search, fault))
		return reflect(fault, GLN_DSISR_NOHPTE);
	return fault_found(mmu, vcpu->priv, &search, fault);
}
