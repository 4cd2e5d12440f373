/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tlb.h - what a modelled CPU remembers of a table.
 *
 * Direct-mapped, by height: a translation of a page has height 0, one of what
 * an entry n tables further up maps has height n. The same shape caches
 * pointers to tables: at height n the table whose entries have height n - 1.
 *
 * Nothing leaves but by maintenance, or when another translation takes its
 * place; so a TLB may hold a page and a block of one address at once.
 *
 * Context: of the vCPU's lock.
 */
#ifndef GLN_BACKENDS_MODEL_TLB_H
#define GLN_BACKENDS_MODEL_TLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLB_HEIGHTS = 5,  /* five tables at most, on x86 and on Arm */
	TLB_PAGES = 1024, /* so that conflicts are rare in a small guest */
	TLB_HIGHER = 64,  /* of each height but 0 */
};

/**
 * struct translation - where an address leads.
 *
 * @tag:	the address >> shift, and 1: never 0 where there is one.
 * @hpa:	of the first byte mapped, or of the table.
 * @rights:	GLN_ACCESS_*.
 * @is_dirty:	the table knows of a write: a store need not look at it.
 */
struct translation {
	uint64_t tag;
	uint64_t hpa;
	uint32_t rights;
	bool is_dirty;
};

/**
 * struct tlb - one of them.
 *
 * @shift:	log2 of the bytes that a translation of a height covers; 64 or
 *		more where the geometry has no such height.
 */
struct tlb {
	unsigned int shift[TLB_HEIGHTS];
	size_t nr_used;
	struct translation pages[TLB_PAGES];
	struct translation higher[TLB_HEIGHTS - 1][TLB_HIGHER];
};

/** A set of heights, for glni_tlb_drop_range(). */
#define TLB_ANY_HEIGHT ((1U << TLB_HEIGHTS) - 1)

/** Empty it, for pages of 1 << @page_shift bytes and @index_bits a table. */
void glni_tlb_init(struct tlb *tlb, unsigned int page_shift,
		   unsigned int index_bits);

/** The translation of @address of that height, or NULL. */
struct translation *glni_tlb_find(struct tlb *tlb, uint64_t address,
				  unsigned int height);

/** Remember @what, but for its tag, as that of @address. */
void glni_tlb_put(struct tlb *tlb, uint64_t address, unsigned int height,
		  struct translation what);

/**
 * Forget what covers any byte of [first, last] with a height in the set; all of
 * it. The number of translations that went.
 */
uint64_t glni_tlb_drop_range(struct tlb *tlb, uint64_t first, uint64_t last,
			     unsigned int heights);
uint64_t glni_tlb_drop_all(struct tlb *tlb);

#endif
