/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.c - mark in bulk, count, and what becomes of a snapshot.
 */
#include "core/bitmap/kernel.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

/* Pages [first, end) of one line: an OR a word, then the summary, once. */
static uint64_t mark_in_line(struct bitmap *bm, uint64_t first, uint64_t end)
{
	const uint64_t last_word = (end - 1) >> GLN_WORD_SHIFT;
	uint64_t nr_new = 0;

	for (uint64_t word = first >> GLN_WORD_SHIFT; word <= last_word;
	     word++) {
		const uint64_t bits = bitmap_valid_bits(end, word) &
				      ~bitmap_valid_bits(first, word);

		if (bitmap_look(bm, word, bits))
			nr_new += gln_popcount64(
				bitmap_set_bits(&bm->words[word], bits));
	}
	bitmap_marked(bm, last_word);

	return nr_new;
}

uint64_t glni_bitmap_mark_range(struct bitmap *bm, uint64_t first,
				uint64_t count)
{
	const uint64_t end = first + count;
	uint64_t nr_new = 0;

	gln_assert(first <= bm->nr_pages && count <= bm->nr_pages - first);

	bitmap_written(bm);
	while (first < end) {
		const uint64_t stop =
			gln_min(end, (first | (LINE_PAGES - 1)) + 1);

		nr_new += mark_in_line(bm, first, stop);
		first = stop;
	}

	return nr_new;
}

static uint64_t next_set(const struct bitmap *bm, unsigned int level,
			 uint64_t bit);

/*
 * First word of a level from @word on that is not 0; some word past the end if
 * there is none. Relaxed: others may be marking; who must see what, does.
 */
static uint64_t next_word(const struct bitmap *bm, unsigned int level,
			  uint64_t word, uint64_t end)
{
	const gln_word *const words = bitmap_level(bm, level);

	for (; word < end; word++) {
		if (level < bm->nr_upper && word % LINE_WORDS == 0)
			word = next_set(bm, level + 1, word >> LINE_WORD_SHIFT)
			       << LINE_WORD_SHIFT;
		if (word >= end || gln_load_relaxed(&words[word]))
			break;
	}

	return word;
}

/* First bit of a level from @bit on that is set; some bit past the end. */
static uint64_t next_set(const struct bitmap *bm, unsigned int level,
			 uint64_t bit)
{
	const gln_word *const words = bitmap_level(bm, level);
	const uint64_t lines = gln_div_up(bm->nr_pages, LINE_PAGES);
	const uint64_t nr_words =
		((lines - 1) >> (level * LINE_SHIFT + GLN_WORD_SHIFT)) + 1;
	uint64_t word = bit >> GLN_WORD_SHIFT;
	uint64_t bits;

	if (word >= nr_words)
		return bit;
	bits = gln_load_relaxed(&words[word]) >> bit % GLN_WORD_BITS;
	if (bits)
		return bit + gln_ctz64(bits);
	word = next_word(bm, level, word + 1, nr_words);
	if (word >= nr_words)
		return nr_words << GLN_WORD_SHIFT;

	/* A take may have cleared it since: then it is as good as any. */
	bits = gln_load_relaxed(&words[word]);
	return word << GLN_WORD_SHIFT | (bits ? gln_ctz64(bits) : 0);
}

uint64_t glni_bitmap_count(const struct bitmap *bm)
{
	const uint64_t nr_words = bitmap_nr_summary_words(bm->nr_pages);
	uint64_t nr = 0;

	for (uint64_t i = 0; (i = next_word(bm, 0, i, nr_words)) < nr_words;
	     i++) {
		uint64_t lines = gln_load_relaxed(&bm->summary[i]);

		for (; lines; lines &= lines - 1) {
			const uint64_t word =
				(i << GLN_WORD_SHIFT | gln_ctz64(lines))
				<< LINE_WORD_SHIFT;

			for (uint64_t j = word; j < word + LINE_WORDS; j++)
				nr += gln_popcount64(
					gln_load_relaxed(&bm->words[j]));
		}
	}

	return nr;
}

uint64_t glni_bitmap_nr_lines(const struct bitmap *bm, uint64_t enough)
{
	const uint64_t nr_words = bitmap_nr_summary_words(bm->nr_pages);
	uint64_t nr = 0;

	/* Relaxed: a guess that decides how to take, not what. */
	for (uint64_t i = 0;
	     nr < enough && (i = next_word(bm, 0, i, nr_words)) < nr_words; i++)
		nr += gln_popcount64(gln_load_relaxed(&bm->summary[i]));

	return gln_min(nr, enough);
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

enum {
	SPAN_LINES = 512, /* 32 KiB are gone through at once: they fit in L1 */
	MAX_SPANS = 32,	  /* cache misses worth overlapping */
};

/** struct span - adjacent lines of a snapshot that hold something. */
struct span {
	uint64_t line;
	uint64_t nr_lines;
};

uint64_t glni_snapshot_span(const struct snapshot *snap, uint64_t line)
{
	const uint64_t end = gln_min(gln_div_up(snap->nr_pages, LINE_PAGES),
				     line + SPAN_LINES);
	uint64_t next = line;

	while (next < end) {
		const uint64_t gaps = ~(snap->taken[next >> GLN_WORD_SHIFT] >>
					next % GLN_WORD_BITS);
		const uint64_t boundary = (next | (GLN_WORD_BITS - 1)) + 1;

		next = gaps ? gln_min(next + gln_ctz64(gaps), boundary)
			    : boundary;
		if (next < boundary)
			break;
	}

	return gln_min(next, end) - line;
}

/*
 * Find up to MAX_SPANS spans from @line on and have them fetched: where little
 * is dirty, each is a cache miss, and this overlaps them.
 */
static unsigned int find_spans(const struct snapshot *snap, uint64_t line,
			       struct span *spans)
{
	const uint64_t end = gln_div_up(snap->nr_pages, LINE_PAGES);
	unsigned int nr = 0;

	while (nr < MAX_SPANS &&
	       (line = glni_snapshot_next_line(snap, line, end)) < end) {
		const uint64_t nr_lines = glni_snapshot_span(snap, line);

		__builtin_prefetch(&snap->words[line << LINE_WORD_SHIFT], 1);
		spans[nr++] = (struct span){line, nr_lines};
		line += nr_lines;
	}

	return nr;
}

typedef uint64_t (*span_fn)(uint64_t *words, uint64_t nr_lines,
			    const struct scan_kernel *kernel);

static uint64_t count_span(uint64_t *words, uint64_t nr_lines,
			   const struct scan_kernel *kernel)
{
	return kernel->count(words, nr_lines);
}

static uint64_t drain_span(uint64_t *words, uint64_t nr_lines,
			   const struct scan_kernel *kernel)
{
	return kernel->drain(words, nr_lines);
}

/* The sum of @visit over all spans. */
static uint64_t sum_spans(const struct snapshot *snap, span_fn visit,
			  const struct scan_kernel *kernel)
{
	struct span spans[MAX_SPANS];
	uint64_t line = 0, sum = 0;
	unsigned int nr;

	while ((nr = find_spans(snap, line, spans))) {
		for (unsigned int i = 0; i < nr; i++)
			sum += visit(
				&snap->words[spans[i].line << LINE_WORD_SHIFT],
				spans[i].nr_lines, kernel);
		line = spans[nr - 1].line + spans[nr - 1].nr_lines;
	}

	return sum;
}

uint64_t glni_snapshot_count(const struct snapshot *snap,
			     const struct scan_kernel *kernel)
{
	return sum_spans(snap, count_span, kernel);
}

uint64_t glni_snapshot_drain(struct snapshot *snap,
			     const struct scan_kernel *kernel)
{
	const uint64_t nr = sum_spans(snap, drain_span, kernel);

	glni_snapshot_reset(snap);
	return nr;
}
