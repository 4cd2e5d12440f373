/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.c - mark in bulk, count, and what becomes of a snapshot.
 */
#include "core/bitmap/bitmap.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

uint64_t glni_bitmap_mark_range(struct bitmap *bm, uint64_t first,
				uint64_t count)
{
	const uint64_t end = first + count;
	uint64_t nr_new = 0;

	gln_assert(first <= bm->nr_pages && count <= bm->nr_pages - first);

	while (first < end) {
		const uint64_t word = first >> GLN_WORD_SHIFT;
		const uint64_t stop =
			gln_min(end, (word + 1) << GLN_WORD_SHIFT);
		const uint64_t bits = gln_bits_between(
			first % GLN_WORD_BITS, (stop - 1) % GLN_WORD_BITS);

		nr_new += gln_popcount64(bitmap_mark_word(bm, word, bits));
		first = stop;
	}

	return nr_new;
}

uint64_t glni_bitmap_count(const struct bitmap *bm)
{
	const uint64_t nr_words = bitmap_nr_words(bm->nr_pages);
	uint64_t nr = 0;

	/* Relaxed: a count of marks that come and go orders nothing. */
	for (uint64_t i = 0; i < nr_words; i++)
		nr += gln_popcount64(gln_load_relaxed(&bm->words[i]));

	return nr;
}

uint64_t glni_snapshot_next_line(const struct snapshot *snap, uint64_t line,
				 uint64_t end)
{
	while (line < end) {
		const uint64_t left = snap->taken[line >> GLN_WORD_SHIFT] >>
				      line % GLN_WORD_BITS;

		if (left)
			return gln_min(line + gln_ctz64(left), end);
		line = (line | (GLN_WORD_BITS - 1)) + 1;
	}

	return end;
}

/* Bits of @word that stand for pages [first, end). */
static uint64_t bits_in_range(uint64_t word, uint64_t first, uint64_t end)
{
	return bitmap_valid_bits(end, word) & ~bitmap_valid_bits(first, word);
}

/*
 * Take what is left of pages [first, end) out of the snapshot; mark it again
 * in @bm, unless that is NULL.
 */
static uint64_t settle(struct snapshot *snap, struct bitmap *bm, uint64_t first,
		       uint64_t end)
{
	const uint64_t end_line = gln_div_up(end, LINE_PAGES);
	uint64_t line = first >> LINE_SHIFT;
	uint64_t nr = 0;

	while ((line = glni_snapshot_next_line(snap, line, end_line)) <
	       end_line) {
		const uint64_t word = line++ << LINE_WORD_SHIFT;

		for (uint64_t i = word; i < word + LINE_WORDS; i++) {
			const uint64_t bits =
				snap->words[i] & bits_in_range(i, first, end);

			if (!bits)
				continue;
			if (bm && !GLN_BREAK_NO_PUT_BACK)
				bitmap_mark_word(bm, i, bits);
			snap->words[i] &= ~bits;
			nr += gln_popcount64(bits);
		}
	}

	return nr;
}

uint64_t glni_snapshot_drop(struct snapshot *snap, uint64_t first, uint64_t end)
{
	return settle(snap, NULL, first, end);
}

uint64_t glni_snapshot_put_back(struct snapshot *snap, struct bitmap *bm,
				uint64_t first, uint64_t end)
{
	return settle(snap, bm, first, end);
}

void glni_snapshot_reset(struct snapshot *snap)
{
	memset(snap->taken, 0, bitmap_summary_bytes(snap->nr_pages));
}
