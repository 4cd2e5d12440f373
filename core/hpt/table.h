/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - a hashed page table and its reverse map.
 *
 * Beside each entry of 16 bytes stands a reverse entry of 16 bytes: what the
 * guest believes R to be, and, while the entry is valid, links to the other
 * entries that map the same guest page. That is as much as the table itself and
 * never more.
 *
 *	not linked			linked
 *	  a  63: MODIFIED		  a  link_bits: previous entry
 *	     rest 0			     rest: RPN, low part
 *	  b  the guest's R		  b  link_bits: next entry
 *					     then: RPN, high part
 *					     63:54: what of the guest's R the
 *					     entry itself does not say
 *
 * link_bits is order - 4: links reach every entry whatever the order. An RPN
 * has 48 bits, or what is left: 34 for order 46, that is 64 TiB of guest.
 *
 *   T1  A reverse entry belongs to who has locked its entry, but for the links,
 *	 which belong to who has locked the chain's head (page.h).
 *   T2  An entry is linked from before it is valid until after it no longer is;
 *	 when nobody has locked it, just while it is valid.
 */
#ifndef GLN_CORE_HPT_TABLE_H
#define GLN_CORE_HPT_TABLE_H

#include "core/hpt/hpte.h"

/** struct rev - a reverse entry. */
struct rev {
	gln_word a;
	gln_word b;
};

_Static_assert(sizeof(struct rev) == sizeof(struct hpte),
	       "table and reverse map are not more than twice the table");

struct hpt_pool;

/**
 * struct hpt - a table. Constant from its making but for what it points to, and
 * @before.
 *
 * @pool:	it was allocated beforehand and goes back there; else NULL.
 * @before:	the table that bolted entries were copied from, while that may
 *		have R and C that the guest's R in here lacks (resize.h); NULL.
 */
struct hpt {
	struct hpte *entries;
	struct rev *rev;
	enum gln_hpt_isa isa;
	unsigned int order;
	unsigned int link_bits;
	uint64_t nr_entries;
	uint64_t group_mask;
	struct hpt_pool *pool;
	_Atomic(struct hpt *) before;
};

/**
 * glni_hpt_init() - allocate a table and its reverse map, all empty.
 * @pool:	take the table from there if it has one of this order; or NULL.
 *
 * Return: 0; -ENOMEM; -ERANGE if the allocator did not align the table to its
 * size. @hpt is untouched on failure.
 */
int glni_hpt_init(struct hpt *hpt, const struct gln_allocator *allocator,
		  enum gln_hpt_isa isa, unsigned int order,
		  struct hpt_pool *pool);
void glni_hpt_fini(struct hpt *hpt, const struct gln_allocator *allocator);

/**
 * glni_hpt_pool_take() - a table allocated beforehand, as its last user left
 * it; NULL if there is none left of @order. See pool.h.
 *
 * glni_hpt_pool_give() - give it back.
 *
 * Context: any thread; takes the pool's lock.
 */
struct hpte *glni_hpt_pool_take(struct hpt_pool *pool, unsigned int order);
void glni_hpt_pool_give(struct hpt_pool *pool, struct hpte *entries);

/** glni_hpt_reset() - empty the table and its reverse map. Nobody uses them. */
void glni_hpt_reset(struct hpt *hpt);

/** hpt_rpn_bits() - bits of a guest page number, in 4 KiB, that links leave. */
static inline unsigned int hpt_rpn_bits(unsigned int order)
{
	const unsigned int left = 128 - 10 - 2 * (order - GLN_HPT_ENTRY_SHIFT);

	return left < 48 ? left : 48;
}

/** hpt_entry() - an entry as it is in memory, from memory's format. */
static inline struct gln_hpte hpt_entry(const struct hpt *hpt, uint64_t v,
					uint64_t r)
{
	return hpte_from_memory(hpt->isa, (struct gln_hpte){v, r});
}

/*
 * The reverse map. The caller has locked the entry; @linked says whether it is
 * linked: since T2, whether V was VALID.
 */

/**
 * glni_rev_guest() - the guest's R, without MODIFIED.
 * @r:		the entry's own R, which holds key and N of a linked one.
 */
uint64_t glni_rev_guest(const struct hpt *hpt, uint64_t index, bool linked,
			uint64_t r);

/**
 * glni_rev_set_guest() - set it. Of a linked entry the RPN stays, and key and N
 * are the entry's.
 */
void glni_rev_set_guest(struct hpt *hpt, uint64_t index, bool linked,
			uint64_t guest);

/** glni_rev_or_rc() - add R and C bits to it. */
void glni_rev_or_rc(struct hpt *hpt, uint64_t index, bool linked, uint64_t rc);

/** Changed since a stream read it: set, and take. */
void glni_rev_set_modified(struct hpt *hpt, uint64_t index, bool linked);
bool glni_rev_take_modified(struct hpt *hpt, uint64_t index, bool linked);

/*
 * Chains: circular, doubly linked, through the reverse entries. The caller has
 * also locked the head. @head is the first entry's index.
 */

/**
 * glni_rev_link() - put an entry that is not linked at the end of the chain of
 * @head, or make it a chain by itself if @head is its own index.
 */
void glni_rev_link(struct hpt *hpt, uint64_t index, uint64_t head);

/**
 * glni_rev_unlink() - take it out. Its guest's R is @guest from now on.
 *
 * Return: the next entry of the chain; its own index if it was alone.
 */
uint64_t glni_rev_unlink(struct hpt *hpt, uint64_t index, uint64_t guest);

/** glni_rev_next() - the next entry of the chain; the first one's after all. */
uint64_t glni_rev_next(const struct hpt *hpt, uint64_t index);

/** glni_rev_prev() - and the previous one; for checks. */
uint64_t glni_rev_prev(const struct hpt *hpt, uint64_t index);

#endif
