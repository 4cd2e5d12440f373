/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rev.c - the reverse map: the guest's R, and chains of entries of one page.
 *
 * A linked entry's b has two owners, by bits: who has locked the entry changes
 * R's rest, who has locked the head changes the link. Either knows what his
 * bits are, so he flips those that differ: one exclusive OR, which cannot fail
 * and leaves the other's alone. a is changed by who has the head, and only its
 * link; the RPN stays as long as the entry is linked.
 *
 * All accesses are relaxed: the locks order them (hpte.1, page.1).
 */
#include "core/hpt/table.h"

#include "core/base/assert.h"
#include "core/hpt/rev.h"

static struct rev *rev_at(const struct hpt *hpt, uint64_t index)
{
	gln_assert(index < hpt->nr_entries);
	return &hpt->rev[index];
}

/* Bits of b under @mask become those of @value. */
static void change_b(struct rev *rev, uint64_t mask, uint64_t value)
{
	/* Relaxed, both: under @mask nobody else changes it. */
	const uint64_t was = gln_load_relaxed(&rev->b);

	gln_fetch_xor_relaxed(&rev->b, (was ^ value) & mask);
}

/* What the words of a linked entry say of the guest's R. */
static uint64_t unpack(const struct hpt *hpt, const struct rev *rev)
{
	/* Relaxed, both: no link is looked at, all else is ours. */
	const uint64_t a = gln_load_relaxed(&rev->a);
	const uint64_t b = gln_load_relaxed(&rev->b);

	return rev_r_of_rest(b) | rev_rpn(hpt->link_bits, a, b);
}

/* The guest's R of an entry that is not; stored by who has locked it. */
static uint64_t load_b(const struct rev *rev)
{
	/* Relaxed: ours alone. */
	return gln_load_relaxed(&rev->b);
}

static void store_b(struct rev *rev, uint64_t r)
{
	/* Relaxed: ours alone; unlocking the entry orders it. */
	gln_store_relaxed(&rev->b, r & ~HPTE_R_MODIFIED);
}

uint64_t glni_rev_guest(const struct hpt *hpt, uint64_t index, bool linked,
			uint64_t r)
{
	const struct rev *const rev = rev_at(hpt, index);

	if (!linked)
		return load_b(rev);
	return unpack(hpt, rev) | (r & REV_R_OWN);
}

void glni_rev_set_guest(struct hpt *hpt, uint64_t index, bool linked,
			uint64_t guest)
{
	struct rev *const rev = rev_at(hpt, index);

	if (linked)
		change_b(rev, REV_REST, rev_rest(guest));
	else
		store_b(rev, guest);
}

void glni_rev_or_rc(struct hpt *hpt, uint64_t index, bool linked, uint64_t rc)
{
	struct rev *const rev = rev_at(hpt, index);

	rc &= GLN_HPTE_R_R | GLN_HPTE_R_C;
	if (linked)
		/* Relaxed: the bits are ours, the links beside them not. */
		gln_fetch_or_relaxed(&rev->b, rev_rest(rc));
	else
		store_b(rev, load_b(rev) | rc);
}

static gln_word *word_of_modified(struct rev *rev, bool linked)
{
	return linked ? &rev->b : &rev->a;
}

void glni_rev_set_modified(struct hpt *hpt, uint64_t index, bool linked)
{
	gln_word *const word = word_of_modified(rev_at(hpt, index), linked);

	/* Relaxed: the bit is ours, as above. */
	gln_fetch_or_relaxed(word, REV_MODIFIED);
}

bool glni_rev_take_modified(struct hpt *hpt, uint64_t index, bool linked)
{
	gln_word *const word = word_of_modified(rev_at(hpt, index), linked);

	/* Relaxed, both: ours, as above. */
	if (!(gln_load_relaxed(word) & REV_MODIFIED))
		return false;
	gln_fetch_and_relaxed(word, ~REV_MODIFIED);
	return true;
}

uint64_t glni_rev_next(const struct hpt *hpt, uint64_t index)
{
	/* Relaxed: links are the head's. */
	return rev_link(hpt->link_bits,
			gln_load_relaxed(&rev_at(hpt, index)->b));
}

uint64_t glni_rev_prev(const struct hpt *hpt, uint64_t index)
{
	/* Relaxed: as above. */
	return rev_link(hpt->link_bits,
			gln_load_relaxed(&rev_at(hpt, index)->a));
}

static void set_next(struct hpt *hpt, uint64_t index, uint64_t next)
{
	change_b(rev_at(hpt, index), gln_low_bits(hpt->link_bits), next);
}

static void set_prev(struct hpt *hpt, uint64_t index, uint64_t prev)
{
	struct rev *const rev = rev_at(hpt, index);
	/* Relaxed, both: while it is linked only the head's holder does it. */
	const uint64_t a = gln_load_relaxed(&rev->a);

	gln_store_relaxed(&rev->a, (a & ~gln_low_bits(hpt->link_bits)) | prev);
}

/* Both words of an entry become those of a linked one. */
static void pack(struct hpt *hpt, uint64_t index, uint64_t prev, uint64_t next)
{
	const unsigned int bits = hpt->link_bits;
	struct rev *const rev = rev_at(hpt, index);
	/* Relaxed, all: the entry is ours, and no neighbour's yet. */
	const uint64_t modified = gln_load_relaxed(&rev->a) & REV_MODIFIED;
	const uint64_t r = load_b(rev);

	gln_assert((r & GLN_HPTE_R_RPN) >> REV_RPN_SHIFT <=
		   gln_low_bits(hpt_rpn_bits(hpt->order)));
	gln_store_relaxed(&rev->a, rev_pack_a(bits, r, prev));
	gln_store_relaxed(&rev->b, rev_pack_b(bits, r, next) | modified);
}

void glni_rev_link(struct hpt *hpt, uint64_t index, uint64_t head)
{
	uint64_t last;

	if (head == index) {
		pack(hpt, index, index, index);
		return;
	}
	last = glni_rev_prev(hpt, head);
	pack(hpt, index, last, head);
	set_next(hpt, last, index);
	set_prev(hpt, head, index);
}

uint64_t glni_rev_unlink(struct hpt *hpt, uint64_t index, uint64_t guest)
{
	struct rev *const rev = rev_at(hpt, index);
	const uint64_t prev = glni_rev_prev(hpt, index);
	const uint64_t next = glni_rev_next(hpt, index);
	/* Relaxed: this bit is ours. */
	const uint64_t modified = gln_load_relaxed(&rev->b) & REV_MODIFIED;

	if (next != index) {
		set_next(hpt, prev, next);
		set_prev(hpt, next, prev);
	}
	/* Relaxed: the entry is ours, and no neighbour's any more. */
	gln_store_relaxed(&rev->a, modified);
	store_b(rev, guest);
	return next;
}
