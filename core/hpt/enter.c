/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * enter.c - H_ENTER: a new entry, in a free place of its group.
 */
#include "core/base/errno.h"
#include "core/hpt/real.h"

#define TAKEN (GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT)

/*
 * Two passes: the first takes what is free and not contended, the second waits
 * for each lock, so that a group is not said to be full because somebody was
 * looking at its last free entry (H-67).
 */
static bool claim_in_group(struct hpt *hpt, uint64_t first,
			   struct hpt_hold *hold)
{
	for (unsigned int i = 0; i < GLN_HPT_GROUP_ENTRIES; i++)
		if (glni_hpt_try_hold(hpt, first + i, TAKEN, hold))
			return true;
	for (unsigned int i = 0; i < GLN_HPT_GROUP_ENTRIES; i++) {
		*hold = glni_hpt_hold(hpt, first + i);
		if (!hold_is_used(hold))
			return true;
		hold_release(hold);
	}
	return false;
}

static bool claim_exactly(struct hpt *hpt, uint64_t index,
			  struct hpt_hold *hold)
{
	*hold = glni_hpt_hold(hpt, index);
	if (!hold_is_used(hold))
		return true;
	hold_release(hold);
	return false;
}

/** struct placing - what is to become of an entry once it has its place. */
struct placing {
	struct hpt_page page;
	struct hpt_real real;
	bool is_mmio;
};

/* What the guest asks for, seen from the host. 0 or a GLN_H_* code. */
static int64_t prepare(struct hpt_mmu *mmu, struct gln_hpte entry,
		       struct placing *placing)
{
	struct gln_hpte_size size;
	int err;

	*placing = (struct placing){.is_mmio = false};
	if (entry.v >> (GLN_HPTE_V_B_SHIFT + 1))
		return GLN_H_PARAMETER; /* B = 1x: it would get into tlbie */
	if (!gln_hpte_decode(entry.v, entry.r, &size))
		return GLN_H_PARAMETER;

	switch (glni_hpt_where(mmu, hpt_guest_addr(entry.r, size),
			       &placing->page)) {
	case WHERE_NOWHERE:
		placing->is_mmio = true;
		return GLN_H_SUCCESS;
	case WHERE_CLOSED:
		return GLN_H_SUCCESS;
	case WHERE_SLOT:
		break;
	}
	if (!glni_hpt_fits_slot(placing->page.slot, size))
		return GLN_H_PARAMETER;
	err = glni_hpt_real(mmu, &placing->page, entry, GLN_ACCESS_READ,
			    &placing->real);
	return err == -EINVAL ? GLN_H_PARAMETER : GLN_H_SUCCESS;
}

static void place(struct hpt_mmu *mmu, struct hpt_hold *hold,
		  struct gln_hpte entry, const struct placing *placing)
{
	uint64_t r = placing->real.r;

	hold->v = hpte_to_memory(mmu->isa, entry).v;
	glni_rev_set_guest(hold->hpt, hold->index, false, entry.r);
	glni_hold_changed(mmu, hold);
	if (!placing->real.is_there) {
		glni_hold_set_absent(hold, entry, placing->is_mmio);
		hold_release(hold);
		return;
	}
	if (!placing->real.is_writable)
		r = hpt_read_only(r);
	glni_hold_map(hold, &placing->page, entry, r);
}

int64_t glni_hpt_enter(struct hpt_mmu *mmu, struct hpt_vcpu *vcpu,
		       uint64_t flags, uint64_t index, struct gln_hpte entry,
		       uint64_t *found)
{
	struct hpt *const hpt = hpt_table(mmu);
	struct placing placing;
	struct hpt_hold hold;
	int64_t code;
	bool is_claimed;

	if (!hpt)
		return HPT_H_TOO_HARD;
	if (index >= hpt->nr_entries)
		return GLN_H_PARAMETER;
	entry.v &= ~(GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT | GLN_HPTE_V_VALID);
	entry.r &= ~HPTE_R_MODIFIED;
	code = prepare(mmu, entry, &placing);
	if (code)
		return code;

	if (flags & GLN_H_EXACT)
		is_claimed = claim_exactly(hpt, index, &hold);
	else
		is_claimed = claim_in_group(
			hpt, index & ~(uint64_t)(GLN_HPT_GROUP_ENTRIES - 1),
			&hold);
	if (!is_claimed) {
		glni_hpt_count(mmu, vcpu, HPT_FULL, 1);
		return GLN_H_PTEG_FULL;
	}

	*found = hold.index;
	place(mmu, &hold, entry, &placing);
	glni_hpt_count(mmu, vcpu, HPT_ENTERS, 1);
	if (entry.v & GLN_HPTE_V_SECONDARY)
		glni_hpt_count(mmu, vcpu, HPT_SECONDARIES, 1);
	return GLN_H_SUCCESS;
}
