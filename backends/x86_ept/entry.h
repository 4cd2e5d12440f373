/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry.h - an entry of an EPT table: who owns which bit.
 *
 *	63    62..55 54..53  52 51......12 11 10 9 8 7 6 5..3 2 1 0
 *	sVE          mmu,host F address    P     D A L I type X W R
 *
 * The backend writes entries and the model of the CPU reads them; this page is
 * all that they share. Registers, exit qualifications and the walk are in
 * neither's interest to share: what both get wrong alike, no test could see.
 * Numbers are the Intel SDM's, volume 3C, section 29.3.2 and its tables.
 */
#ifndef GLN_BACKENDS_X86_EPT_ENTRY_H
#define GLN_BACKENDS_X86_EPT_ENTRY_H

#include <stdint.h>

/* A table: 512 entries of 8 bytes fill a page of 4 KiB at every level. */
enum {
	EPT_PAGE_SHIFT = 12,
	EPT_TABLE_SHIFT = 12, /* log2 of a table's bytes */
	EPT_INDEX_BITS = 9,   /* of the address, for each level */
	EPT_TABLE_ENTRIES = 512,
	EPT_LEVELS_MIN = 4,	 /* 48 bits of guest physical address */
	EPT_LEVELS_MAX = 5,	 /* 57 bits */
	EPT_BLOCK_SHIFT_2M = 21, /* a leaf of the last level but one */
	EPT_BLOCK_SHIFT_1G = 30, /* a leaf of the last level but two: the top */
};

_Static_assert(1 << EPT_INDEX_BITS == EPT_TABLE_ENTRIES, "one index a level");
_Static_assert(EPT_INDEX_BITS + 3 == EPT_TABLE_SHIFT, "8 bytes an entry");
_Static_assert(EPT_PAGE_SHIFT + EPT_INDEX_BITS == EPT_BLOCK_SHIFT_2M &&
		       EPT_BLOCK_SHIFT_2M + EPT_INDEX_BITS ==
			       EPT_BLOCK_SHIFT_1G,
	       "a block is what the next level's table would map");

/* The CPU's bits. An entry is present to it if any of R, W, X is set. */
#define EPT_READ   (UINT64_C(1) << 0)
#define EPT_WRITE  (UINT64_C(1) << 1)
#define EPT_EXEC   (UINT64_C(1) << 2)
#define EPT_RIGHTS (EPT_READ | EPT_WRITE | EPT_EXEC)

/* Bits 5:3 and 6: leaves only; reserved, and zero, where a table is named. */
#define EPT_TYPE_SHIFT 3
#define EPT_TYPE_MASK  (UINT64_C(7) << EPT_TYPE_SHIFT)
#define EPT_TYPE_UC    (UINT64_C(0) << EPT_TYPE_SHIFT)
#define EPT_TYPE_WB    (UINT64_C(6) << EPT_TYPE_SHIFT)
#define EPT_IGNORE_PAT (UINT64_C(1) << 6)

#define EPT_LARGE    (UINT64_C(1) << 7) /* a leaf above the last level */
#define EPT_ACCESSED (UINT64_C(1) << 8) /* if EPTP bit 6 is set, */
#define EPT_DIRTY    (UINT64_C(1) << 9) /* this in leaves only */
#define EPT_ADDRESS  UINT64_C(0x000ffffffffff000) /* 51:12 */

/* Set: an EPT violation is an exit and not a #VE within the guest. */
#define EPT_SUPPRESS_VE (UINT64_C(1) << 63)

/*
 * Software's bits. Every CPU ignores 11 and 56:52; some of 62:57 mean something
 * when a later feature is on.
 */
#define EPT_PRESENT	  (UINT64_C(1) << 11) /* maps, or names a table */
#define EPT_HOST_WRITABLE (UINT64_C(1) << 53) /* the host allows W */
#define EPT_MMU_WRITABLE  (UINT64_C(1) << 54) /* a fault may set W by itself */
#define EPT_SOFTWARE	  (EPT_PRESENT | EPT_HOST_WRITABLE | EPT_MMU_WRITABLE)

/*
 * Not present, neither to software nor to the CPU: an empty entry, and one that
 * somebody is replacing: keep off.
 */
#define EPT_EMPTY  EPT_SUPPRESS_VE
#define EPT_FROZEN (EPT_SUPPRESS_VE | UINT64_C(1) << 52)

/*
 * W without R is a misconfiguration (29.3.3.1). A slot may have come since: its
 * exit goes to gln_vcpu_fault() like any other.
 */
#define EPT_MMIO (EPT_SUPPRESS_VE | EPT_WRITE | EPT_EXEC)

_Static_assert((EPT_RIGHTS ^ EPT_TYPE_MASK ^ EPT_IGNORE_PAT ^ EPT_LARGE ^
		EPT_ACCESSED ^ EPT_DIRTY ^ EPT_ADDRESS ^ EPT_SUPPRESS_VE ^
		EPT_SOFTWARE) == (EPT_RIGHTS | EPT_TYPE_MASK | EPT_IGNORE_PAT |
				  EPT_LARGE | EPT_ACCESSED | EPT_DIRTY |
				  EPT_ADDRESS | EPT_SUPPRESS_VE | EPT_SOFTWARE),
	       "no bit of an entry has two owners");
_Static_assert((EPT_SOFTWARE & ~(UINT64_C(0x1f) << 52 | UINT64_C(1) << 11)) ==
		       0,
	       "software keeps to the bits that the CPU ignores");
_Static_assert(!(EPT_FROZEN & (EPT_RIGHTS | EPT_PRESENT)),
	       "a frozen entry is present to nobody");
_Static_assert((EPT_MMIO & (EPT_PRESENT | EPT_READ | EPT_WRITE)) == EPT_WRITE,
	       "MMIO is a misconfiguration, and present to software never");

#endif
