/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rev.h - how a reverse entry is packed (see table.h). Pure.
 *
 * A linked one's words, with @bits for link_bits:
 *
 *	a	63			bits bits-1	      0
 *		+---------------------------+------------------+
 *		| RPN, low part		    | previous entry   |
 *		+---------------------------+------------------+
 *	b	63	 54 53		bits bits-1	      0
 *		+----------+----------------+------------------+
 *		| R's rest | RPN, high part | next entry       |
 *		+----------+----------------+------------------+
 *
 * R's rest, from bit 63 down: MODIFIED, PP0, R, C, WIMG, PP. Key and N are in
 * the entry itself: hardware applies them as the guest set them.
 */
#ifndef GLN_CORE_HPT_REV_H
#define GLN_CORE_HPT_REV_H

#include "core/base/bits.h"
#include "core/hpt/entry.h"

/* In a of an entry that is not linked, in b of one that is. */
#define REV_MODIFIED (UINT64_C(1) << 63)

/* What of the guest's R is in b: three groups, and how far each moves. */
#define REV_R_MID      (GLN_HPTE_R_R | GLN_HPTE_R_C | GLN_HPTE_R_WIMG)
#define REV_TOP_DOWN   1U
#define REV_MID_UP     53U
#define REV_LOW_UP     54U
#define REV_REST_SHIFT 54U
#define REV_REST                                                    \
	(GLN_HPTE_R_PP0 >> REV_TOP_DOWN | REV_R_MID << REV_MID_UP | \
	 GLN_HPTE_R_PP << REV_LOW_UP)

/* What the entry itself says of it. */
#define REV_R_OWN (GLN_HPTE_R_KEY | GLN_HPTE_R_N)

#define REV_RPN_SHIFT 12U

_Static_assert((REV_MODIFIED | REV_REST) == UINT64_MAX << REV_REST_SHIFT,
	       "the rest fills the bits above the links");
_Static_assert((GLN_HPTE_R_PP0 | REV_R_MID | GLN_HPTE_R_PP | REV_R_OWN |
		GLN_HPTE_R_RPN | HPTE_R_MODIFIED) == UINT64_MAX,
	       "all of R is kept somewhere");

/** rev_rest() - R's bits where b has them. */
static inline uint64_t rev_rest(uint64_t r)
{
	return (r & GLN_HPTE_R_PP0) >> REV_TOP_DOWN |
	       (r & REV_R_MID) << REV_MID_UP |
	       (r & GLN_HPTE_R_PP) << REV_LOW_UP;
}

/** rev_r_of_rest() - and back, from b. */
static inline uint64_t rev_r_of_rest(uint64_t b)
{
	return (b << REV_TOP_DOWN & GLN_HPTE_R_PP0) |
	       (b >> REV_MID_UP & REV_R_MID) |
	       (b >> REV_LOW_UP & GLN_HPTE_R_PP);
}

/**
 * rev_pack_a(), rev_pack_b() - the words of a linked entry, not MODIFIED.
 * @r:		the guest's; its RPN in hpt_rpn_bits().
 */
static inline uint64_t rev_pack_a(unsigned int bits, uint64_t r, uint64_t prev)
{
	const uint64_t rpn = (r & GLN_HPTE_R_RPN) >> REV_RPN_SHIFT;

	return rpn << bits | prev;
}

static inline uint64_t rev_pack_b(unsigned int bits, uint64_t r, uint64_t next)
{
	const uint64_t rpn = (r & GLN_HPTE_R_RPN) >> REV_RPN_SHIFT;
	const uint64_t high = rpn >> (GLN_WORD_BITS - bits);

	return rev_rest(r) | high << bits | next;
}

/** rev_link() - the index in a or b. */
static inline uint64_t rev_link(unsigned int bits, uint64_t word)
{
	return word & gln_low_bits(bits);
}

/** rev_rpn() - the RPN, where R has it. */
static inline uint64_t rev_rpn(unsigned int bits, uint64_t a, uint64_t b)
{
	const uint64_t high = (b & gln_low_bits(REV_REST_SHIFT)) >> bits;
	const uint64_t rpn = a >> bits | high << (GLN_WORD_BITS - bits);

	return rpn << REV_RPN_SHIFT & GLN_HPTE_R_RPN;
}

#endif
