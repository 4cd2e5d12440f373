/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_merge.h - the inner loop of a merge, which depends on the CPU.
 *
 *	lane 0	|========|========|====...	a line of each source at a
 *	lane 1	   |========|========|=...	time, shifted into place,
 *	lane 2	|========|========|====...	counted, and marked where a
 *	           v        v			bit of it is new
 *	bitmap	|========|========|====...
 */
#ifndef GLN_CORE_BITMAP_KERNEL_MERGE_H
#define GLN_CORE_BITMAP_KERNEL_MERGE_H

#include "core/base/memory.h"
#include "core/bitmap/kernel.h"

enum {
	/* Lanes of one call: what it needs of a stack grows with them. */
	MERGE_LANES = 8,
	/* Bytes of a source that stand for a line of the bitmap. */
	LINE_BYTES = LINE_WORDS * GLN_WORD_BYTES,
};

static inline bool host_is_big(void)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

/** word_load() - the word at @from, at any address. */
static inline uint64_t word_load(const unsigned char *from, bool is_big)
{
	uint64_t word;

	/* The compiler's own: without a C library memcpy() is a call. */
	__builtin_memcpy(&word, from, sizeof(word));
	return is_big == host_is_big() ? word : __builtin_bswap64(word);
}

/**
 * struct merge_counts - pages that a source named, for each word of a line
 * apart: so that they are added as the vectors they are.
 *
 * @nr_set:	all of them.
 * @nr_new:	those that nobody had marked before.
 */
struct merge_counts {
	uint64_t nr_set[LINE_WORDS];
	uint64_t nr_new[LINE_WORDS];
};

/**
 * struct merge_lane - a source beside some lines of the bitmap.
 *
 * @from:	where its words begin, at any address; LINE_BYTES a line, and a
 *		word behind the last one where there is a @shift.
 * @shift:	which bit of the first word is the first page's; 0 to 63.
 * @is_big:	its words are big-endian.
 * @counts:	calls add to them.
 */
struct merge_lane {
	const unsigned char *from;
	unsigned int shift;
	bool is_big;
	struct merge_counts *counts;
};

/**
 * struct merge_lines - the lines of a call.
 *
 * @first:	the first of them in the bitmap.
 * @nr:		how many; the bitmap has that many.
 */
struct merge_lines {
	uint64_t first;
	uint64_t nr;
};

/**
 * struct merge_to - where marks go.
 *
 * @marks:	the live ones, where others mark at the same time.
 * @snap:	if not NULL, there and not to @marks: the caller's own.
 */
struct merge_to {
	struct bitmap *marks;
	struct snapshot *snap;
};

/**
 * merge_fn - mark what @nr_lanes lanes, MERGE_LANES at most, say of @lines.
 * They name no page past the end of the bitmap.
 */
typedef void (*merge_fn)(const struct merge_to *to, struct merge_lines lines,
			 const struct merge_lane *lanes, unsigned int nr_lanes);

/** glni_merge_kernel() - to merge with what @kernel scans with. */
merge_fn glni_merge_kernel(const struct scan_kernel *kernel);

#endif
