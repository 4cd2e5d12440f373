/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpte.h - an entry of the hashed page table, as a guest sees it.
 *
 * Two doublewords: V says which virtual page, R which real page and how it may
 * be used (Power ISA 2.07 book III-S 5.7.7; PAPR 14.5.4.1). This is the old
 * format, before ISA 3.0: hypercalls and the table's stream speak it whatever
 * the CPU. Values are numbers here; memory is big-endian, see hpt.h.
 *
 * Functions of this header are pure: any context.
 */
#ifndef GLN_HPTE_H
#define GLN_HPTE_H

#include <glean/types.h>

GLN_BEGIN_DECLS

/* V: the first doubleword. */
#define GLN_HPTE_V_B_SHIFT   62U /* segment size: 0 is 256 MiB, 1 is 1 TiB */
#define GLN_HPTE_V_B	     UINT64_C(0xc000000000000000)
#define GLN_HPTE_V_1TB	     UINT64_C(0x4000000000000000)
#define GLN_HPTE_V_AVPN	     UINT64_C(0x3fffffffffffff80)
#define GLN_HPTE_V_COMPARE   UINT64_C(0xffffffffffffff80) /* B and AVPN */
#define GLN_HPTE_V_HVLOCK    UINT64_C(0x40) /* the hypervisor's; never shown */
#define GLN_HPTE_V_ABSENT    UINT64_C(0x20) /* likewise */
#define GLN_HPTE_V_BOLTED    UINT64_C(0x10) /* the guest's: kept by a resize */
#define GLN_HPTE_V_LOCK	     UINT64_C(0x08) /* the guest's own lock */
#define GLN_HPTE_V_LARGE     UINT64_C(0x04) /* L: larger than 4 KiB, see LP */
#define GLN_HPTE_V_SECONDARY UINT64_C(0x02) /* H: found by the second hash */
#define GLN_HPTE_V_VALID     UINT64_C(0x01)

/* R: the second one. */
#define GLN_HPTE_R_PP0	    UINT64_C(0x8000000000000000)
#define GLN_HPTE_R_KEY_HI   UINT64_C(0x3000000000000000)
#define GLN_HPTE_R_RPN	    UINT64_C(0x0ffffffffffff000)
#define GLN_HPTE_R_LP	    UINT64_C(0x00000000000ff000) /* if V says L */
#define GLN_HPTE_R_LP_SHIFT 12U
#define GLN_HPTE_R_KEY_LO   UINT64_C(0x0e00)
#define GLN_HPTE_R_R	    UINT64_C(0x0100) /* referenced */
#define GLN_HPTE_R_C	    UINT64_C(0x0080) /* changed */
#define GLN_HPTE_R_W	    UINT64_C(0x0040)
#define GLN_HPTE_R_I	    UINT64_C(0x0020)
#define GLN_HPTE_R_M	    UINT64_C(0x0010)
#define GLN_HPTE_R_G	    UINT64_C(0x0008)
#define GLN_HPTE_R_WIMG	    UINT64_C(0x0078)
#define GLN_HPTE_R_N	    UINT64_C(0x0004) /* no execute */
#define GLN_HPTE_R_PP	    UINT64_C(0x0003)
#define GLN_HPTE_R_KEY	    (GLN_HPTE_R_KEY_HI | GLN_HPTE_R_KEY_LO)

/* The second doubleword of a segment lookaside buffer's entry (slbmte's RS). */
#define GLN_SLB_B_SHIFT	      62U
#define GLN_SLB_B	      UINT64_C(0xc000000000000000)
#define GLN_SLB_1TB	      UINT64_C(0x4000000000000000)
#define GLN_SLB_VSID_SHIFT    12U /* of a segment of 256 MiB */
#define GLN_SLB_VSID_SHIFT_1T 24U
#define GLN_SLB_KS	      UINT64_C(0x800)
#define GLN_SLB_KP	      UINT64_C(0x400)
#define GLN_SLB_N	      UINT64_C(0x200)
#define GLN_SLB_L	      UINT64_C(0x100)
#define GLN_SLB_LP	      UINT64_C(0x030)
#define GLN_SLB_LP_64K	      UINT64_C(0x010)
#define GLN_SLB_LP_16G	      UINT64_C(0x020)

/* A group is 8 entries of 16 bytes; an order is log2 of a table's bytes. */
#define GLN_HPT_GROUP_ENTRIES 8U
#define GLN_HPT_GROUP_SHIFT   7U
#define GLN_HPT_ENTRY_SHIFT   4U
#define GLN_HPT_ORDER_MIN     18U
#define GLN_HPT_ORDER_MAX     46U
#define GLN_HPT_ORDER_DEFAULT 24U

/** struct gln_hpte - an entry. */
struct gln_hpte {
	uint64_t v;
	uint64_t r;
};

/**
 * struct gln_hpte_size - the page sizes of an entry, as log2 of bytes.
 *
 * @base:	of its segment; it goes into the hash.
 * @actual:	what the entry maps.
 */
struct gln_hpte_size {
	unsigned int base;
	unsigned int actual;
};

/**
 * gln_hpte_decode() - the page sizes that L of @v and LP of @r encode.
 *
 * 4K, 64K, 16M and 16G; 64K and 16M in 4K segments; 16M in 64K segments
 * (the encodings of POWER7 and later, PAPR ibm,segment-page-sizes).
 *
 * Return: true, or false for an encoding that means nothing: @size is
 * untouched.
 */
GLN_PUBLIC bool gln_hpte_decode(uint64_t v, uint64_t r,
				struct gln_hpte_size *size);

/**
 * gln_hpte_encode() - what @size adds to an entry: L in @entry->v, LP in
 * @entry->r; the rest of both is 0.
 *
 * Return: true, or false for a pair of sizes that no entry can have.
 */
GLN_PUBLIC bool gln_hpte_encode(struct gln_hpte_size size,
				struct gln_hpte *entry);

/** gln_slb_page_shift() - the base page size that L and LP of @slb encode; 0 if
 * there is none (PAPR: 4K, 64K, 16M, 16G).
 */
GLN_PUBLIC unsigned int gln_slb_page_shift(uint64_t slb);

/**
 * gln_hpt_hash() - the hash of an address: all its bits, for any order.
 * @slb:	second doubleword of the segment's SLB entry.
 * @ea:		effective address.
 *
 * The primary group of a table is the hash and its mask, the secondary one the
 * hash's complement and its mask (ISA 2.07 book III-S 5.7.7.3). @slb must have
 * a page size.
 */
GLN_PUBLIC uint64_t gln_hpt_hash(uint64_t slb, uint64_t ea);

/**
 * gln_hpt_vpn() - V of an entry that maps @ea: B and AVPN, and L; no more. Bits
 * of the AVPN below the base page are 0.
 */
GLN_PUBLIC uint64_t gln_hpt_vpn(uint64_t slb, uint64_t ea);

/**
 * gln_hpte_hash() - the hash again, from an entry and where it is.
 * @entry:	V, with H if it is in its secondary group, and R.
 * @group:	the group it is in.
 * @order:	of the table.
 *
 * V has the bits above bit 22 of the address; the group gives the others.
 *
 * Return: the hash's low 39 bits; what gln_hpt_hash() gives, as far as tables
 * use it. 0 if @entry has no page size.
 */
GLN_PUBLIC uint64_t gln_hpte_hash(const struct gln_hpte *entry, uint64_t group,
				  unsigned int order);

GLN_END_DECLS

#endif
