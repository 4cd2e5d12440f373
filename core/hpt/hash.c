/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.c - from an address to its groups, and back from an entry.
 *
 * A virtual address has 78 bits; b is log2 of the base page, s of the segment:
 *
 *	77            s s-1     23 22     b b-1     0
 *	+--------------+----------+--------+---------+
 *	|     VSID     |        page       |  offset |
 *	+--------------+----------+--------+---------+
 *	|          AVPN of V      | in hash|
 *
 * The hash is VSID ^ page, with a VSID of 1 TiB folded once more 25 bits up
 * (ISA 2.07 book III-S 5.7.7.3). V lacks the address below bit 23, and b is 12
 * at least. So what V lacks is the low 11 bits of the page or fewer, and stands
 * in the hash at its low end; the smallest table has 11 bits of group.
 */
#include <glean/hpte.h>

#include "core/base/assert.h"
#include "core/base/bits.h"
#include "core/hpt/ops.h"

enum {
	SEGMENT_SHIFT = 28,
	SEGMENT_SHIFT_1T = 40,
	FOLD_SHIFT = 25,
	HASH_BITS = 39,	 /* the mask of an order-46 table, and no more */
	AVPN_SHIFT = 23, /* the lowest bit of an address that V has */
	V_FROM_VA = 16,	 /* and how far it moves on its way there */
};

_Static_assert(AVPN_SHIFT - 12 <= GLN_HPT_ORDER_MIN - GLN_HPT_GROUP_SHIFT,
	       "every group has the bits that V lacks");
_Static_assert(HASH_BITS == GLN_HPT_ORDER_MAX - GLN_HPT_GROUP_SHIFT,
	       "a hash reaches every group");

/* B is in the same place in V and in an SLB entry. */
static unsigned int segment_shift(uint64_t b)
{
	return b & GLN_HPTE_V_1TB ? SEGMENT_SHIFT_1T : SEGMENT_SHIFT;
}

static uint64_t vsid_of_slb(uint64_t slb)
{
	return (slb & ~GLN_SLB_B) >>
	       (slb & GLN_SLB_1TB ? GLN_SLB_VSID_SHIFT_1T : GLN_SLB_VSID_SHIFT);
}

static uint64_t hash(unsigned int segment, uint64_t vsid, uint64_t page)
{
	uint64_t sum = vsid ^ page;

	if (segment == SEGMENT_SHIFT_1T)
		sum ^= vsid << FOLD_SHIFT;
	return sum & gln_low_bits(HASH_BITS);
}

/* AVPN, B: what of V is below the base page is nobody's. */
static uint64_t above_base(uint64_t v, unsigned int segment, unsigned int base)
{
	const unsigned int end = base < segment ? base : segment;

	v &= GLN_HPTE_V_COMPARE;
	return end > V_FROM_VA ? v & ~gln_low_bits(end - V_FROM_VA) : v;
}

uint64_t gln_hpt_hash(uint64_t slb, uint64_t ea)
{
	const unsigned int segment = segment_shift(slb);

	return hash(segment, vsid_of_slb(slb),
		    (ea & gln_low_bits(segment)) >> gln_slb_page_shift(slb));
}

uint64_t gln_hpt_vpn(uint64_t slb, uint64_t ea)
{
	const unsigned int segment = segment_shift(slb);
	const uint64_t v =
		(slb & GLN_SLB_B) |
		(vsid_of_slb(slb) << (segment - V_FROM_VA) & GLN_HPTE_V_AVPN) |
		(ea & gln_low_bits(segment)) >> V_FROM_VA;

	return above_base(v, segment, gln_slb_page_shift(slb)) |
	       (slb & GLN_SLB_L ? GLN_HPTE_V_LARGE : 0);
}

/* The low @nr bits of a page, which V lacks: the group has the hash. */
static uint64_t lost_bits(uint64_t v, uint64_t group, unsigned int nr)
{
	const unsigned int shift = segment_shift(v) - V_FROM_VA;
	const uint64_t primary = v & GLN_HPTE_V_SECONDARY ? ~group : group;

	return (primary ^ (v & GLN_HPTE_V_AVPN) >> shift) & gln_low_bits(nr);
}

/*
 * The low 64 bits of an entry's virtual address. Below a base page of 16 MiB or
 * more they are as the guest wrote them, which is anything.
 */
static uint64_t address_of(uint64_t v, uint64_t group, unsigned int base)
{
	uint64_t va = (v & GLN_HPTE_V_AVPN) << V_FROM_VA;

	if (base < AVPN_SHIFT)
		va |= lost_bits(v, group, AVPN_SHIFT - base) << base;
	return va;
}

uint64_t gln_hpte_hash(const struct gln_hpte *entry, uint64_t group,
		       unsigned int order)
{
	const unsigned int segment = segment_shift(entry->v);
	struct gln_hpte_size size;
	uint64_t va;

	if (!gln_hpte_decode(entry->v, entry->r, &size))
		return 0;
	group &= gln_low_bits(order - GLN_HPT_GROUP_SHIFT);
	va = address_of(entry->v, group, size.base);
	return hash(segment,
		    (entry->v & GLN_HPTE_V_AVPN) >> (segment - V_FROM_VA),
		    (va & gln_low_bits(segment)) >> size.base);
}

/*
 * RB, by L:
 *
 *	0	63:12 address	9:8 B	7:5 AP		0 is 0
 *	1	63:20 address	19:12 the same or LP	9:8 B
 *		7:1 address 19:13			0 is 1
 *
 * AP is the actual page of an entry in a 4K segment, as the SLB would encode
 * it: 4K, 64K or 16M. With L, LP has the encoding below the actual page and the
 * address above it, and the address is repeated, as far as the base page goes.
 */
enum {
	RB_B_SHIFT = 8,
	RB_AP_SHIFT = 5,
	RB_AP_64K = 5,
	RB_AP_16M = 4,
	RB_AVAL = 0xfe,
	RB_AVAL_SHIFT = 12, /* from the address's place */
	RB_L = 1,
	BASE_4K = 12,
	ACTUAL_64K = 16,
};

static uint64_t rb_4k(uint64_t va, unsigned int actual)
{
	if (actual == BASE_4K)
		return va;
	return va | (uint64_t)(actual == ACTUAL_64K ? RB_AP_64K : RB_AP_16M)
			    << RB_AP_SHIFT;
}

static uint64_t rb_large(uint64_t va, uint64_t r, unsigned int actual)
{
	return (va & ~gln_low_bits(actual)) |
	       (r & GLN_HPTE_R_LP & gln_low_bits(actual)) |
	       (va >> RB_AVAL_SHIFT & RB_AVAL) | RB_L;
}

uint64_t glni_hpt_rb(const struct gln_hpte *entry, uint64_t index)
{
	const uint64_t group = index / GLN_HPT_GROUP_ENTRIES;
	struct gln_hpte_size size = {BASE_4K, BASE_4K};
	const bool is_known = gln_hpte_decode(entry->v, entry->r, &size);
	uint64_t va, rb;

	gln_assert(is_known);
	(void)is_known;
	va = address_of(entry->v, group, size.base);
	rb = size.base == BASE_4K ? rb_4k(va, size.actual)
				  : rb_large(va, entry->r, size.actual);
	return rb |
	       (entry->v & GLN_HPTE_V_B) >> (GLN_HPTE_V_B_SHIFT - RB_B_SHIFT);
}
