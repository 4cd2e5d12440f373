/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry.h - entries of a hashed page table in memory.
 *
 * Two big-endian doublewords, on every host. Before ISA 3.0 they are V and R of
 * <glean/hpte.h>; from then on the segment size is in R (ISA 3.0 book III
 * 5.7.9.2). All the library computes with the old format; the functions here
 * are the only place where the two meet (H-76). Software bits, VALID and what
 * hardware notes are in the same place in both.
 */
#ifndef GLN_CORE_HPT_ENTRY_H
#define GLN_CORE_HPT_ENTRY_H

#include <glean/hpt.h>

#include "core/base/atomic.h"

/** struct hpte - an entry in memory; only through hpte_* functions. */
struct hpte {
	gln_word v;
	gln_word r;
};

_Static_assert(sizeof(struct hpte) == 1 << GLN_HPT_ENTRY_SHIFT,
	       "hardware reads 16 bytes an entry");

/* What of V is in the first doubleword since ISA 3.0: 68 bits of address. */
#define HPTE_V_3_0	 UINT64_C(0x000fffffffffffff)
/* Where B is since then. */
#define HPTE_R_B_3_0	 UINT64_C(0x0c00000000000000)
#define HPTE_B_SHIFT_3_0 4U /* from V's place to R's */
/* Real page numbers since then. */
#define HPTE_R_RPN_3_0	 UINT64_C(0x01fffffffffff000)

/*
 * The guest copy of R alone: changed since a stream read it. Reserved in the
 * architecture, and never in memory that hardware reads.
 */
#define HPTE_R_MODIFIED UINT64_C(0x4000000000000000)

/* R is in the byte before C's: clearing one by itself leaves the other alone.
 */
enum { HPTE_R_BYTE = 14 };

/** hpte_be() - a number to or from its form in memory. */
static inline uint64_t hpte_be(uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(x);
#else
	return x;
#endif
}

/** hpte_to_memory() - an entry as numbers, from the old format to @isa's. */
static inline struct gln_hpte hpte_to_memory(enum gln_hpt_isa isa,
					     struct gln_hpte entry)
{
	if (isa == GLN_HPT_ISA_2_07)
		return entry;
	return (struct gln_hpte){
		.v = entry.v & HPTE_V_3_0,
		.r = (entry.r & ~HPTE_R_B_3_0) |
		     (entry.v & GLN_HPTE_V_B) >> HPTE_B_SHIFT_3_0,
	};
}

/** hpte_from_memory() - and back. */
static inline struct gln_hpte hpte_from_memory(enum gln_hpt_isa isa,
					       struct gln_hpte entry)
{
	if (isa == GLN_HPT_ISA_2_07)
		return entry;
	return (struct gln_hpte){
		.v = (entry.v & HPTE_V_3_0) | (entry.r & HPTE_R_B_3_0)
						      << HPTE_B_SHIFT_3_0,
		.r = entry.r & ~HPTE_R_B_3_0,
	};
}

#endif
