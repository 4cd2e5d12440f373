/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.c - mark in bulk, count, and what becomes of a snapshot.
 */
#include "core/bitmap/kernel.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

/* Kept out of a short function, which would else save registers for it. */
#define NOINLINE __attribute__((noinline))

/* How many are set of marks that mostly are all new, or none of them. */
static uint64_t count_fresh(uint64_t fresh)
{
	if (!fresh)
		return 0;
	return fresh == UINT64_MAX ? GLN_WORD_BITS : gln_popcount64(fresh);
}

/* One word of many: its summary bit comes later. Returns how many are new. */
static uint64_t mark_bits(struct bitmap *bm, uint64_t word, uint64_t bits)
{
	if (!bitmap_look(bm, word, bits))
		return 0;
	return count_fresh(bitmap_set_bits(&bm->words[word], bits));
}

/*
 * Pages [first, end) under one word of the summary, some at least: an OR a
 * word, and one for the bits above all of them.
 */
static uint64_t mark_in_group(struct bitmap *bm, uint64_t first, uint64_t end)
{
	const uint64_t last = end - 1;
	const uint64_t last_word = last >> GLN_WORD_SHIFT;
	const uint64_t head = UINT64_MAX << first % GLN_WORD_BITS;
	const uint64_t tail = gln_low_bits(last % GLN_WORD_BITS + 1);
	uint64_t word = first >> GLN_WORD_SHIFT;
	const uint64_t lines =
		gln_bits_between((first >> LINE_SHIFT) % GLN_WORD_BITS,
				 (last >> LINE_SHIFT) % GLN_WORD_BITS);
	uint64_t nr_new = 0;

	bitmap_group_to_mark(bm, last >> SUMMARY_WORD_SHIFT, lines);
	if (word == last_word) {
		nr_new = mark_bits(bm, word, head & tail);
	} else {
		nr_new = mark_bits(bm, word++, head);
		while (word < last_word)
			nr_new += mark_bits(bm, word++, UINT64_MAX);
		nr_new += mark_bits(bm, word, tail);
	}
	bitmap_group_marked(bm, last >> SUMMARY_WORD_SHIFT, lines);

	return nr_new;
}

/* Pages [first, end), of one word or of many. */
static NOINLINE uint64_t mark_groups(struct bitmap *bm, uint64_t first,
				     uint64_t end)
{
	uint64_t nr_new = 0;

	bitmap_written(bm);
	while (first < end) {
		const uint64_t stop =
			gln_min(end, (first | (SUMMARY_WORD_PAGES - 1)) + 1);

		nr_new += mark_in_group(bm, first, stop);
		first = stop;
	}

	return nr_new;
}

uint64_t glni_bitmap_mark_range(struct bitmap *bm, uint64_t first,
				uint64_t count)
{
	const unsigned int bit = first % GLN_WORD_BITS;

	gln_assert(first <= bm->nr_pages && count <= bm->nr_pages - first);

	if (!count)
		return 0;
	if (count > GLN_WORD_BITS - bit)
		return mark_groups(bm, first, first + count);
	return count_fresh(
		bitmap_mark_word(bm, first >> GLN_WORD_SHIFT,
				 gln_low_bits((unsigned int)count) << bit));
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

uint64_t glni_bitmap_lines_end(const struct bitmap *bm, uint64_t line,
			       uint64_t end, uint64_t nr)
{
	const uint64_t nr_words = gln_div_up(end, GLN_WORD_BITS);
	uint64_t word = line >> GLN_WORD_SHIFT;
	uint64_t skipped = gln_low_bits((unsigned int)(line % GLN_WORD_BITS));

	while (word < nr_words) {
		/* Relaxed: a guess that decides how much to take, not what. */
		const uint64_t bits =
			gln_load_relaxed(&bm->summary[word]) & ~skipped;
		const uint64_t some =
			gln_lowest_set(bits, gln_min(nr, GLN_WORD_BITS));

		nr -= gln_popcount64(some);
		if (!nr)
			return gln_min(end, (word << GLN_WORD_SHIFT) +
						    gln_last_set(some) + 1);
		skipped = 0;
		word = next_word(bm, 0, word + 1, nr_words);
	}

	return end;
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

uint64_t glni_snapshot_add(struct snapshot *snap, uint64_t first,
			   uint64_t count)
{
	const uint64_t end = first + count;
	uint64_t nr_new = 0;

	gln_assert(first <= snap->nr_pages && count <= snap->nr_pages - first);

	for (uint64_t word = first >> GLN_WORD_SHIFT;
	     word < bitmap_nr_words(end); word++) {
		const uint64_t bits = bits_in_range(word, first, end);

		snapshot_open_line(snap, word >> LINE_WORD_SHIFT);
		nr_new += count_fresh(bits & ~snap->words[word]);
		snap->words[word] |= bits;
	}

	return nr_new;
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

enum { SPAN_LINES = 512 }; /* 32 KiB are gone through at once: they fit in L1 */

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

enum {
	/*
	 * A kernel fetches spans ahead within one batch, and starts anew with
	 * the next: as many as that does not count, for 3 KiB of stack.
	 */
	BATCH_SPANS = 128,
	/* Bits that are looked for together, found or not. */
	STRIDE = 4,
};
_Static_assert(GLN_WORD_BITS % STRIDE == 0, "a word's last stride has room");

/** struct batch - spans, and room for those of a summary word more. */
struct batch {
	size_t nr;
	struct span spans[BATCH_SPANS + GLN_WORD_BITS];
};

/*
 * Add the lines of summary word @group, some at least. They are one span if it
 * is full; others are one each, also where two touch: to find out costs more
 * than it saves.
 *
 * In strides, the last of which may write its last span again, past the end:
 * how many lines a word has, which the CPU cannot foresee, is asked once for
 * each stride.
 */
static void add_lines(struct batch *batch, const struct snapshot *snap,
		      uint64_t group)
{
	uint64_t *const words =
		snap->words + (group << (LINE_WORD_SHIFT + GLN_WORD_SHIFT));
	uint64_t lines = snap->taken[group];
	const uint64_t last = UINT64_C(1) << gln_last_set(lines);
	struct span *to = &batch->spans[batch->nr];

	if (lines == UINT64_MAX) {
		*to = (struct span){words, GLN_WORD_BITS};
		batch->nr++;
		return;
	}

	batch->nr += gln_popcount64(lines);
	for (; lines; to += STRIDE) {
		for (unsigned int i = 0; i < STRIDE; i++) {
			const unsigned int line = gln_ctz64(lines | last);

			to[i] = (struct span){&words[line << LINE_WORD_SHIFT],
					      1};
			lines &= lines - 1;
		}
	}
}

/* Fill a batch from summary word @group on. Returns the next one's. */
static uint64_t fill(struct batch *batch, const struct snapshot *snap,
		     uint64_t group)
{
	const uint64_t nr_groups = bitmap_nr_summary_words(snap->nr_pages);

	batch->nr = 0;
	for (; group < nr_groups && batch->nr < BATCH_SPANS; group++)
		if (snap->taken[group])
			add_lines(batch, snap, group);

	return group;
}

typedef uint64_t (*spans_fn)(const struct span *spans, size_t nr_spans);

/* The sum of @visit over all spans. */
static uint64_t sum_spans(const struct snapshot *snap, spans_fn visit)
{
	struct batch batch;
	uint64_t group = 0, sum = 0;

	do {
		group = fill(&batch, snap, group);
		sum += visit(batch.spans, batch.nr);
	} while (batch.nr);

	return sum;
}

uint64_t glni_snapshot_count(const struct snapshot *snap,
			     const struct scan_kernel *kernel)
{
	return sum_spans(snap, kernel->count);
}

uint64_t glni_snapshot_drain_words(const struct snapshot *snap,
				   const struct scan_kernel *kernel)
{
	return sum_spans(snap, kernel->drain);
}

uint64_t glni_snapshot_drain(struct snapshot *snap,
			     const struct scan_kernel *kernel)
{
	const uint64_t nr = glni_snapshot_drain_words(snap, kernel);

	glni_snapshot_reset(snap);
	return nr;
}
