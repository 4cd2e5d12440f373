/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.c - read a source of a merge.
 *
 * Frames are counted in pages of the source, elements in what it is made of:
 *
 *	elements  offset                    offset + nr
 *	          |--------------------------|
 *	frames    first                      last
 */
#include "core/dirty/source.h"

/* The VM's frames [@first, @last] that frames [@from, @to] of a source cover.
 * False if all are past the end of 64 bits. */
static bool to_gfns(const struct source *source, uint64_t from, uint64_t to,
		    gln_gfn *first, gln_gfn *last)
{
	if (source->shift <= 0) {
		*first = from >> -source->shift;
		*last = to >> -source->shift;
		return true;
	}
	if (from > UINT64_MAX >> source->shift)
		return false;
	*first = from << source->shift;
	*last = to > UINT64_MAX >> source->shift
			? UINT64_MAX
			: (to << source->shift) +
				  ((UINT64_C(1) << source->shift) - 1);
	return true;
}

/* Pages of the slot among those of frames [@from, @to] of the source. */
static struct gln_range to_pages(const struct source *source, uint64_t from,
				 uint64_t to, gln_gfn base, uint64_t nr_pages)
{
	struct gln_range range = {0, 0};
	gln_gfn first, last;

	if (!nr_pages || !to_gfns(source, from, to, &first, &last) ||
	    last < base || (first > base && first - base >= nr_pages))
		return range;
	range.first = first > base ? first - base : 0;
	range.count = gln_min(last - base, nr_pages - 1) - range.first + 1;
	return range;
}

void glni_source_init(struct source *source, const struct gln_source *from,
		      unsigned int page_shift, gln_gfn base, uint64_t nr_pages)
{
	struct gln_range pages = {0, 0};

	*source = (struct source){
		.data = from->data,
		.offset = from->offset,
		.nr = from->nr,
		.stride = from->stride_bytes ? from->stride_bytes
					     : sizeof(uint64_t),
		.first = from->first,
		.shift = (int)from->page_shift - (int)page_shift,
		.kind = from->kind,
		.is_big = from->order == GLN_SOURCE_BIG ||
			  (from->order == GLN_SOURCE_HOST && host_is_big()),
	};
	if (!source->nr || source->kind == GLN_SOURCE_LIST)
		return;

	source->bytes = source->offset + source->nr;
	if (source->kind == GLN_SOURCE_BITMAP)
		source->bytes = gln_div_up(source->bytes, 8);
	if (source->kind == GLN_SOURCE_BITMAP && source->is_big)
		source->bytes = gln_div_up(source->bytes, GLN_WORD_BYTES) *
				GLN_WORD_BYTES;
	source->last = source->first +
		       gln_min(source->nr - 1, UINT64_MAX - source->first);
	pages = to_pages(source, source->first, source->last, base, nr_pages);
	source->page = pages.first;
	source->end = pages.first + pages.count;
}

struct gln_range glni_source_entry(const struct source *source, uint64_t i,
				   gln_gfn base, uint64_t nr_pages)
{
	const uint64_t at = (source->offset + i) * source->stride;
	const uint64_t entry =
		word_load(source->data + (size_t)at, source->is_big);
	const uint64_t frame = source->first + entry;

	/* What was checked is what is used: the entry is not read again. */
	gln_fence_compiler();
	if (frame < entry)
		return (struct gln_range){0, 0};
	return to_pages(source, frame, frame, base, nr_pages);
}

/* Up to 64 bits of a bitmap, all of them its own, from bit @bit on. */
static uint64_t bitmap_bits(const struct source *source, uint64_t bit,
			    unsigned int nr)
{
	const unsigned int unit = source->is_big ? GLN_WORD_BITS : 8;
	const unsigned int skip = (unsigned int)(bit % unit);
	const uint64_t at = bit / unit * (unit / 8);
	const unsigned char *const from = source->data + (size_t)at;
	const uint64_t left = source->bytes - at;
	unsigned char copy[2 * GLN_WORD_BYTES] = {0};
	uint64_t bits;

	/* The first is two instructions, the other a call. */
	if (left >= sizeof(copy))
		__builtin_memcpy(copy, from, sizeof(copy));
	else
		memcpy(copy, from, (size_t)left);
	bits = word_load(copy, source->is_big) >> skip;
	if (skip + nr > GLN_WORD_BITS)
		bits |= word_load(copy + GLN_WORD_BYTES, source->is_big)
			<< (GLN_WORD_BITS - skip);

	return bits & gln_low_bits(nr);
}

/* As many from byte @byte on. */
static uint64_t byte_bits(const struct source *source, uint64_t byte,
			  unsigned int nr)
{
	const unsigned char *const from = source->data + (size_t)byte;
	uint64_t bits = 0;

	for (unsigned int i = 0; i < nr; i += 8) {
		unsigned char copy[8] = {0};

		if (nr - i >= sizeof(copy))
			__builtin_memcpy(copy, from + i, sizeof(copy));
		else
			memcpy(copy, from + i, nr - i);
		bits |= (uint64_t)source_pack(word_load(copy, false)) << i;
	}

	return bits;
}

/* What there is of frames [@frame, @frame + @nr); false if nothing is. */
static bool clip(const struct source *source, uint64_t frame, uint64_t nr,
		 uint64_t *skip, uint64_t *element, uint64_t *count)
{
	const uint64_t to = frame + gln_min(nr - 1, UINT64_MAX - frame);
	const uint64_t from = gln_max(frame, source->first);

	if (frame > source->last || to < source->first)
		return false;
	*skip = from - frame;
	*element = source->offset + (from - source->first);
	*count = gln_min(to, source->last) - from + 1;
	return true;
}

/* A bit for each of @nr frames, 64 at most, from @frame on. */
static uint64_t frame_bits(const struct source *source, uint64_t frame,
			   unsigned int nr)
{
	uint64_t skip, element, count;

	if (!clip(source, frame, nr, &skip, &element, &count))
		return 0;
	if (source->kind == GLN_SOURCE_BITMAP)
		return bitmap_bits(source, element, (unsigned int)count)
		       << skip;
	return byte_bits(source, element, (unsigned int)count) << skip;
}

/* Is any of these bytes not 0? */
static bool has_bytes(const unsigned char *from, uint64_t nr)
{
	enum { STEP = 8 * GLN_WORD_BYTES };
	uint64_t any = 0;

	for (; nr >= STEP && !any; nr -= STEP, from += STEP)
		for (unsigned int i = 0; i < STEP; i += GLN_WORD_BYTES)
			any |= word_load(from + i, false);
	for (uint64_t i = 0; i < nr && !any; i++)
		any |= from[i];

	return any != 0;
}

bool glni_source_has(const struct source *source, uint64_t frame, uint64_t nr)
{
	uint64_t skip, element, count, first, last;

	if (!clip(source, frame, nr, &skip, &element, &count))
		return false;
	first = element;
	last = element + count - 1;
	if (source->kind == GLN_SOURCE_BITMAP) {
		first /= 8;
		last /= 8;
	}
	if (source->kind == GLN_SOURCE_BITMAP && source->is_big) {
		first -= first % GLN_WORD_BYTES;
		last |= GLN_WORD_BYTES - 1;
	}

	return has_bytes(source->data + (size_t)first, last - first + 1);
}

bool glni_source_has_pages(const struct source *source, gln_gfn gfn,
			   uint64_t nr)
{
	if (source->shift <= 0)
		return glni_source_has(source, gfn << -source->shift,
				       nr << -source->shift);
	return glni_source_has(source, gfn >> source->shift,
			       ((gfn + nr - 1) >> source->shift) -
				       (gfn >> source->shift) + 1);
}

/* --- words of pages of another size --- */

/*
 * Pages that are so large that a word of the VM's lies in one of them, or in
 * two: the second begins at bit @left.
 */
static uint64_t grown_by_words(const struct source *source, gln_gfn gfn)
{
	const uint64_t nr = UINT64_C(1) << source->shift;
	const uint64_t frame = gfn >> source->shift;
	const uint64_t left = nr - (gfn & (nr - 1));
	uint64_t word = frame_bits(source, frame, 1) ? UINT64_MAX : 0;

	if (left < GLN_WORD_BITS) {
		word &= gln_low_bits((unsigned int)left);
		if (frame_bits(source, frame + 1, 1))
			word |= UINT64_MAX << left;
	}

	return word;
}

/* A word of pages that are larger than the VM's: each bit 1 << shift times. */
static uint64_t grown_word(const struct source *source, gln_gfn gfn)
{
	const unsigned int shift = (unsigned int)source->shift;
	unsigned int nr, phase;
	uint64_t low, high;

	if (shift >= GLN_WORD_SHIFT)
		return grown_by_words(source, gfn);

	/* One frame more: the word may begin within the first. */
	nr = (unsigned int)GLN_WORD_BITS >> shift;
	phase = (unsigned int)gfn & ((1U << shift) - 1);
	low = frame_bits(source, gfn >> shift, nr + 1);
	high = low >> nr;
	for (unsigned int i = 0; i < shift; i++) {
		low = source_double(low);
		high = source_double(high);
	}

	return phase ? low >> phase | high << (GLN_WORD_BITS - phase) : low;
}

/* Is any of @nr frames, a multiple of 64, from @frame on named? */
static bool names_any(const struct source *source, uint64_t frame, uint64_t nr)
{
	/* By the bytes first: bits beside its own may be in them. */
	if (!glni_source_has(source, frame, nr))
		return false;
	for (uint64_t i = 0; i < nr; i += GLN_WORD_BITS)
		if (frame_bits(source, frame + i, GLN_WORD_BITS))
			return true;

	return false;
}

/* Pages that are so small that a page of the VM has words of them. */
static uint64_t shrunk_by_words(const struct source *source, uint64_t frame)
{
	const uint64_t nr = UINT64_C(1) << -source->shift;
	uint64_t word = 0;

	for (unsigned int i = 0; i < GLN_WORD_BITS; i++)
		word |= (uint64_t)names_any(source, frame + i * nr, nr) << i;

	return word;
}

/* A word of pages that are smaller: one bit for 1 << -shift of theirs. */
static uint64_t shrunk_word(const struct source *source, gln_gfn gfn)
{
	const unsigned int shift = (unsigned int)-source->shift;
	const unsigned int nr = (unsigned int)GLN_WORD_BITS >> shift;
	const uint64_t frame = gfn << shift;
	uint64_t word = 0;

	if (shift > GLN_WORD_SHIFT)
		return shrunk_by_words(source, frame);
	for (unsigned int i = 0; i < 1U << shift; i++) {
		const uint64_t at = frame + (uint64_t)i * GLN_WORD_BITS;
		uint64_t bits = frame_bits(source, at, GLN_WORD_BITS);

		for (unsigned int j = 0; j < shift && bits; j++)
			bits = source_halve(bits);
		word |= bits << i * nr;
	}

	return word;
}

/* The word of pages [@page, @page + 64), less those it does not cover. */
static uint64_t source_word(const struct source *source, uint64_t page,
			    gln_gfn gfn)
{
	uint64_t word;

	if (page >= source->end || page + GLN_WORD_BITS <= source->page)
		return 0;
	word = source->shift > 0 ? grown_word(source, gfn)
				 : shrunk_word(source, gfn);
	if (page < source->page)
		word &= ~gln_low_bits((unsigned int)(source->page - page));
	if (source->end - page < GLN_WORD_BITS)
		word &= gln_low_bits((unsigned int)(source->end - page));

	return word;
}

void glni_source_words(const struct source *source, uint64_t page, gln_gfn gfn,
		       uint64_t *words, unsigned int nr_words)
{
	for (unsigned int i = 0; i < nr_words; i++) {
		const uint64_t skip = (uint64_t)i * GLN_WORD_BITS;

		words[i] = source_word(source, page + skip, gfn + skip);
	}
}
