/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - the rules of a quiet table and its reverse map, as code.
 *
 *   I1  No entry is locked, and no head.
 *   I2  An entry that is used has a page size.
 *   I3  It is valid or absent, not both.
 *   I4  One that is not valid is not linked; an empty one is nothing at all.
 *   I5  A head that is PRESENT begins a chain: circular, the same in both
 *	 directions, of valid entries of this page.
 *   I6  Every valid entry is in a chain.
 *   I7  Hardware lets nobody write where the guest would not.
 *
 * Whether an entry is in the group that its hash says, and whether two say the
 * same, is the guest's affair: it may lose what it enters.
 */
#include "core/base/errno.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"
#include "core/hpt/rev.h"
#include "core/hpt/stream.h"

/**
 * struct check - @nr_valid entries are, @nr_linked were found in chains.
 */
struct check {
	struct hpt *hpt;
	uint64_t nr_valid;
	uint64_t nr_linked;
	const char *why;
};

static bool is_right(bool rule, struct check *check, const char *why)
{
	if (!rule)
		check->why = why;
	return rule;
}

/* Nobody else is here, so an entry is as good as held. */
static struct hpt_hold as_held(struct hpt *hpt, uint64_t index)
{
	return (struct hpt_hold){
		.hpt = hpt,
		.entry = &hpt->entries[index],
		.index = index,
		.v = hpte_v(&hpt->entries[index]),
	};
}

static bool links_are_clear(const struct hpt_hold *hold)
{
	/* Relaxed: nobody else is here. */
	const uint64_t a = gln_load_relaxed(&hold->hpt->rev[hold->index].a);

	return !(a & ~REV_MODIFIED);
}

static bool unused_is_right(struct check *check, const struct hpt_hold *hold)
{
	return is_right(!hold->v, check, "I4: an empty entry is nothing") &&
	       is_right(links_are_clear(hold), check,
			"I4: an entry that is not valid is not linked");
}

static bool used_is_right(struct check *check, const struct hpt_hold *hold)
{
	const struct gln_hpte guest = glni_hold_guest(hold);
	struct gln_hpte_size size;

	if (!is_right(gln_hpte_decode(guest.v, guest.r, &size), check,
		      "I2: an entry that is used has a page size") ||
	    !is_right(!(hold->v & GLN_HPTE_V_VALID) ||
			      !(hold->v & GLN_HPTE_V_ABSENT),
		      check, "I3: an entry is valid or absent, not both"))
		return false;
	if (!hold_is_linked(hold))
		return is_right(links_are_clear(hold), check,
				"I4: an entry that is not valid is not linked");
	check->nr_valid++;
	return is_right(!hpt_is_writable(hpte_r(hold->entry)) ||
				hpt_is_writable(guest.r),
			check,
			"I7: hardware lets nobody write where the guest would "
			"not");
}

static bool entry_is_right(struct check *check, uint64_t index)
{
	const struct hpt_hold hold = as_held(check->hpt, index);

	if (!is_right(!(hold.v & GLN_HPTE_V_HVLOCK), check,
		      "I1: no entry of a quiet table is locked"))
		return false;
	return hold_is_used(&hold) ? used_is_right(check, &hold)
				   : unused_is_right(check, &hold);
}

/* One entry of a chain, and how it hangs together with the one before. */
static bool link_is_right(struct check *check, const struct hpt_page *page,
			  uint64_t index, uint64_t prev)
{
	struct hpt_hold hold;

	if (!is_right(index < check->hpt->nr_entries, check,
		      "I5: links lead to entries of the table"))
		return false;
	hold = as_held(check->hpt, index);
	return is_right(glni_hold_is_of(&hold, page), check,
			"I5: a chain has valid entries of its page alone") &&
	       is_right(glni_rev_prev(check->hpt, index) == prev, check,
			"I5: a chain is the same in both directions");
}

/*
 * Since each entry is whose next it is whose previous it is, nobody comes by
 * twice but the first.
 */
static bool chain_is_right(struct check *check, const struct hpt_page *page,
			   uint64_t first)
{
	struct hpt *const hpt = check->hpt;
	uint64_t index = first;
	uint64_t prev;

	if (!is_right(first < hpt->nr_entries, check,
		      "I5: links lead to entries of the table"))
		return false;
	prev = glni_rev_prev(hpt, first);
	do {
		if (!link_is_right(check, page, index, prev))
			return false;
		check->nr_linked++;
		prev = index;
		index = glni_rev_next(hpt, index);
	} while (index != first);
	return is_right(glni_rev_prev(hpt, first) == prev, check,
			"I5: a chain is circular");
}

static bool slot_is_right(struct check *check, struct hpt_slot *slot)
{
	for (uint64_t i = 0; i < slot->face->nr_pages; i++) {
		const struct hpt_page page =
			hpt_page_of(slot, slot->face->base + i);
		/* Relaxed: nobody else is here. */
		const uint64_t head = gln_load_relaxed(page.head);

		if (!is_right(!(head & PAGE_LOCK), check,
			      "I1: no head of a quiet table is locked"))
			return false;
		if ((head & PAGE_PRESENT) &&
		    !chain_is_right(check, &page, head & PAGE_HEAD))
			return false;
	}
	return true;
}

static bool table_is_right(struct hpt_mmu *mmu, struct check *check)
{
	for (uint64_t i = 0; i < check->hpt->nr_entries; i++)
		if (!entry_is_right(check, i))
			return false;
	for (struct hpt_slot *s = mmu->slots; s; s = s->next)
		if (!slot_is_right(check, s))
			return false;
	return is_right(check->nr_linked == check->nr_valid, check,
			"I6: every valid entry is in a chain");
}

int glni_hpt_op_check(struct gln_backend *be, const char **why)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct check check = {.hpt = hpt_table(mmu)};
	bool right;

	if (!check.hpt)
		return 0;
	glni_hpt_drain(mmu);
	/* Who copies ahead has the lock while he holds an entry. */
	gln_plat_mutex_lock(&mmu->lock);
	/* What looks pages up is used to one. */
	glni_read_lock();
	right = table_is_right(mmu, &check);
	glni_read_unlock();
	gln_plat_mutex_unlock(&mmu->lock);
	if (!right)
		*why = check.why;
	return right ? 0 : -EIO;
}
