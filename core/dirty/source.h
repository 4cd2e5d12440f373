/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - read a source of a merge: words at any address, bit and page size.
 *
 * Nothing here writes, and nothing is read that the source does not have: what
 * is asked for beyond it is 0. Its memory may change under us, so each bit is
 * read once for each time it is asked for, by memcpy, and never trusted.
 */
#ifndef GLN_CORE_DIRTY_SOURCE_H
#define GLN_CORE_DIRTY_SOURCE_H

#include <glean/merge.h>

#include "core/bitmap/kernel_merge.h"

/**
 * struct source - a gln_source that was checked, as a VM sees it.
 *
 * @shift:	log2 of VM pages in a page of it; below 0: pages of it in the
 * VM's
 * @is_big:	its words are big-endian.
 * @bytes:	what may be read at @data, if that is a bitmap or bytes.
 * @last:	its last frame; it has at least one.
 * @page:	pages [@page, @end) of the slot are those it covers.
 */
struct source {
	const unsigned char *data;
	uint64_t bytes;
	uint64_t offset;
	uint64_t nr;
	uint64_t stride;
	uint64_t first;
	uint64_t last;
	uint64_t page;
	uint64_t end;
	int shift;
	uint32_t kind;
	bool is_big;
};

/**
 * source_halve() - one bit for each two of @x: set if either is. Those of the
 * upper half of the result are 0.
 *
 *	x   ..hg fedc ba	g|h, e|f, c|d, a|b are gathered at the low end
 */
static inline uint64_t source_halve(uint64_t x)
{
	x = (x | x >> 1) & UINT64_C(0x5555555555555555);
	x = (x | x >> 1) & UINT64_C(0x3333333333333333);
	x = (x | x >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
	return (x | x >> 16) & UINT64_C(0x00000000ffffffff);
}

/** source_double() - each of the 32 low bits of @x twice. */
static inline uint64_t source_double(uint64_t x)
{
	x &= UINT64_C(0x00000000ffffffff);
	x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
	x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	x = (x | x << 2) & UINT64_C(0x3333333333333333);
	x = (x | x << 1) & UINT64_C(0x5555555555555555);
	return x | x << 1;
}

/** source_pack() - a bit for each byte of @x that is not 0. */
static inline unsigned int source_pack(uint64_t x)
{
	x |= x >> 4;
	x |= x >> 2;
	x |= x >> 1;
	x &= UINT64_C(0x0101010101010101);
	/* Byte i meets the factor's bit 56 - 7 i, and goes to bit 56 + i. */
	return (unsigned int)(x * UINT64_C(0x0102040810204080) >> 56);
}

/**
 * glni_source_init() - see @from as a slot of pages [@base, @base + @nr_pages),
 * of 1 << @page_shift bytes each, has it. @from was checked.
 */
void glni_source_init(struct source *source, const struct gln_source *from,
		      unsigned int page_shift, gln_gfn base, uint64_t nr_pages);

/**
 * glni_source_has() - may there be something among the @nr frames, at least
 * one, from @frame on? Over words at the speed of memory; false is certain.
 */
bool glni_source_has(const struct source *source, uint64_t frame, uint64_t nr);

/**
 * glni_source_words() - what it says of @nr_words words, the first of which
 * begins with page @page of the slot, frame @gfn. For every page size.
 */
void glni_source_words(const struct source *source, uint64_t page, gln_gfn gfn,
		       uint64_t *words, unsigned int nr_words);

/**
 * glni_source_entry() - of a list, pages of the slot that entry @i names.
 */
struct gln_range glni_source_entry(const struct source *source, uint64_t i,
				   gln_gfn base, uint64_t nr_pages);

/** glni_source_has_pages() - glni_source_has() for @nr frames of the VM. */
bool glni_source_has_pages(const struct source *source, gln_gfn gfn,
			   uint64_t nr);

#endif
