/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_merge.h - the inner loop of a merge, which depends on the CPU.
 */
#ifndef GLN_CORE_BITMAP_KERNEL_MERGE_H
#define GLN_CORE_BITMAP_KERNEL_MERGE_H

#include "core/base/memory.h"
#include "core/bitmap/bitmap.h"

static inline bool host_is_big(void)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

/** word_load() - the word at @from, at any address. */
static inline uint64_t word_load(const unsigned char *from, bool is_big)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	return is_big == host_is_big() ? word : __builtin_bswap64(word);
}

enum {
	/*
	 * Lines between two looks at the next source: so few that what they
	 * become fits in L1 and on a stack, so many that turning to a source
	 * costs nothing beside reading it.
	 */
	BLOCK_LINES = 16,
	BLOCK_PAGES = BLOCK_LINES * LINE_PAGES,
};

/**
 * struct merge_block - what the sources say of some lines of the bitmap.
 *
 * @named:	lines of which a source has named a page; others mean nothing.
 * @bits:	what they named.
 * @old:	what was marked when the first of them did.
 * @live:	the first word of the block in the bitmap.
 */
struct merge_block {
	uint64_t named;
	gln_word *live;
	uint64_t bits[BLOCK_LINES][LINE_WORDS];
	uint64_t old[BLOCK_LINES][LINE_WORDS];
};

/**
 * struct merge_counts - of one source: see struct gln_source.
 *
 * @is_dense:	a guess, the kernel's own: the next lines have something too,
 *		as those before had, so there is no use in looking first.
 */
struct merge_counts {
	uint64_t nr_set;
	uint64_t nr_new;
	bool is_dense;
};

/**
 * struct merge_kernel - one way to add to a block.
 *
 * @add_words:	words of @line, assembled already.
 * @add_lines:	@nr_lines lines from @line on, whose first bit is bit @shift of
 *		the word at @from. @shift is 0 to 63; unless it is 0, the word
 *		after the last line is read too.
 */
struct merge_kernel {
	const char *name;
	bool (*is_usable)(void);
	void (*add_words)(struct merge_block *block, unsigned int line,
			  const uint64_t *words, struct merge_counts *counts);
	void (*add_lines)(struct merge_block *block, unsigned int line,
			  unsigned int nr_lines, const unsigned char *from,
			  unsigned int shift, bool is_big,
			  struct merge_counts *counts);
};

/** glni_merge_kernel() - the @i-th kernel, worst first; NULL past the last. */
const struct merge_kernel *glni_merge_kernel(size_t i);

/** glni_best_merge_kernel() - the last that this CPU can run. */
const struct merge_kernel *glni_best_merge_kernel(void);

#endif
