/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry.h - a stage-2 descriptor: who owns which bit.
 *
 *	58..55   54:53 52   51  50..48 47......12 11 10 9:8 7 6 5..2 1 0
 *	software XN    cont DBM        address       AF SH  W R attr T V
 *
 * The backend writes descriptors and the model of the CPU reads them; this page
 * is all that they share. Registers, syndromes, TLBI operands and the walk each
 * side has from the manual: what both get wrong alike, no test could see.
 * Numbers are the Arm ARM's, DDI 0487, D8.3 (VMSAv8-64 descriptors), and for
 * Armv7 DDI 0406C, B3.6 (long-descriptor format).
 */
#ifndef GLN_BACKENDS_ARM_S2_ENTRY_H
#define GLN_BACKENDS_ARM_S2_ENTRY_H

#include <stdint.h>

/*
 * A table fills one granule: 512, 2048 or 8192 descriptors of 8 bytes. Up to 16
 * of them side by side may stand for the root.
 */
enum {
	S2_GRANULE_4K = 12,
	S2_GRANULE_16K = 14,
	S2_GRANULE_64K = 16,
	S2_ENTRY_SHIFT = 3,   /* a descriptor is 8 bytes */
	S2_INDEX_BITS_4K = 9, /* of the address, for each level */
	S2_INDEX_BITS_16K = 11,
	S2_INDEX_BITS_64K = 13,
	S2_CONCATENATED_MAX = 16,
	S2_IPA_BITS_MIN = 32,
	S2_IPA_BITS_MAX = 52,
	S2_ARMV7_IPA_BITS = 40,
};

_Static_assert(S2_INDEX_BITS_4K + S2_ENTRY_SHIFT == S2_GRANULE_4K &&
		       S2_INDEX_BITS_16K + S2_ENTRY_SHIFT == S2_GRANULE_16K &&
		       S2_INDEX_BITS_64K + S2_ENTRY_SHIFT == S2_GRANULE_64K,
	       "a table fills a granule");

#define S2_VALID (UINT64_C(1) << 0)
/* Above the last level a table, at the last level a page; else a block. */
#define S2_TABLE (UINT64_C(1) << 1)
#define S2_PAGE	 S2_TABLE

/* Memory attributes, as without FEAT_S2FWB. Leaves only, as all up to AF. */
#define S2_ATTR_SHIFT  2
#define S2_ATTR_MASK   (UINT64_C(0xf) << S2_ATTR_SHIFT)
#define S2_ATTR_NORMAL (UINT64_C(0xf) << S2_ATTR_SHIFT) /* write-back */
#define S2_ATTR_DEVICE (UINT64_C(0x1) << S2_ATTR_SHIFT) /* Device-nGnRE */

#define S2_READ	 (UINT64_C(1) << 6) /* S2AP[0] */
#define S2_WRITE (UINT64_C(1) << 7) /* S2AP[1]; with DBM the dirty state */

/* Shareability; with LPA2 these bits are address, and VTCR.SH0 says it. */
#define S2_SH_SHIFT 8
#define S2_SH_MASK  (UINT64_C(3) << S2_SH_SHIFT)
#define S2_SH_INNER (UINT64_C(3) << S2_SH_SHIFT)

#define S2_AF (UINT64_C(1) << 10) /* accessed */

/*
 * Output address, or the next table's. Bits below the granule are zero, but
 * for the two 52-bit forms:
 *
 *	granule		bits 51:48 of the address	bits 47:.. and below
 *	64K		descriptor 15:12		47:16
 *	4K, 16K LPA2	9:8 and 49:48			47:12, 47:14
 */
#define S2_ADDRESS_4K	    UINT64_C(0x0000fffffffff000) /* 47:12 */
#define S2_ADDRESS_16K	    UINT64_C(0x0000ffffffffc000) /* 47:14 */
#define S2_ADDRESS_64K	    UINT64_C(0x0000ffffffff0000) /* 47:16 */
#define S2_ADDRESS_LPA2_4K  UINT64_C(0x0003fffffffff000) /* 49:12 */
#define S2_ADDRESS_LPA2_16K UINT64_C(0x0003ffffffffc000) /* 49:14 */
#define S2_HIGH_LPA2_MASK   (UINT64_C(3) << 8)		 /* address 51:50 */
#define S2_HIGH_LPA2_SHIFT  (50 - 8)			 /* to the left */
#define S2_HIGH_64K_MASK    (UINT64_C(0xf) << 12)	 /* address 51:48 */
#define S2_HIGH_64K_SHIFT   (48 - 12)

/* The CPU itself may set S2AP.W (VTCR.HD): writable-clean until it has. */
#define S2_DBM	      (UINT64_C(1) << 51)
#define S2_CONTIGUOUS (UINT64_C(1) << 52)

/* Execute-never (54:53); Armv7 has bit 54 only. */
#define S2_XN_MASK (UINT64_C(3) << 53)
#define S2_XN_EXEC (UINT64_C(0) << 53) /* may be executed */
#define S2_XN_NONE (UINT64_C(2) << 53) /* may not */

/* Software's bits (58:55), which the CPU ignores. */
#define S2_HOST_WRITABLE (UINT64_C(1) << 55) /* the host allows W */
#define S2_MMU_WRITABLE	 (UINT64_C(1) << 56) /* a fault may set W by itself */
#define S2_SOFTWARE	 (S2_HOST_WRITABLE | S2_MMU_WRITABLE)

/* Invalid. The CPU ignores the rest; software says why nothing is there. */
#define S2_EMPTY  UINT64_C(0)
#define S2_LOCKED (UINT64_C(1) << 10) /* a break-before-make is in progress */

#define S2_LOW_BITS \
	(S2_VALID | S2_TABLE | S2_ATTR_MASK | S2_READ | S2_WRITE | S2_AF)
#define S2_HIGH_BITS (S2_DBM | S2_CONTIGUOUS | S2_XN_MASK | S2_SOFTWARE)

_Static_assert((S2_VALID ^ S2_TABLE ^ S2_ATTR_MASK ^ S2_READ ^ S2_WRITE ^
		S2_SH_MASK ^ S2_AF ^ S2_ADDRESS_LPA2_4K ^ S2_DBM ^
		S2_CONTIGUOUS ^ S2_XN_MASK ^ S2_SOFTWARE) ==
		       (S2_LOW_BITS | S2_SH_MASK | S2_ADDRESS_LPA2_4K |
			S2_HIGH_BITS),
	       "no bit of a descriptor has two owners");
_Static_assert(!(S2_ADDRESS_64K & S2_HIGH_64K_MASK) &&
		       !(S2_HIGH_64K_MASK & (S2_LOW_BITS | S2_SH_MASK)) &&
		       !(S2_HIGH_LPA2_MASK & (S2_LOW_BITS | S2_HIGH_BITS)),
	       "the high address bits lie where another geometry has none");
_Static_assert(!(S2_SOFTWARE & ~(UINT64_C(0xf) << 55)),
	       "software keeps to the bits that the CPU ignores");
_Static_assert(!(S2_LOCKED & S2_VALID), "a locked descriptor is invalid");

#endif
