/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.h - dirty words under a summary, and the snapshot taken from them.
 *
 *   upper     one bit a line of what is below it, until all fits in a line
 *      |      1 TiB of 4 KiB pages: 128 bytes; 12 TiB: 1.5 KiB and 24 bytes
 *      v
 *   summary   one bit a line: "some word of this line may be set"
 *      |      1 TiB of 4 KiB pages: 64 KiB
 *      v
 *   words     one bit a page, 64 to a word, 8 words (512 pages) to a line
 *             1 TiB of 4 KiB pages: 32 MiB
 *
 *   B1  After a mark has returned, the summary bit of its line is set, and the
 *       one above it at each level, unless a take that began after the word
 *       was set has taken the word. In the form FENCE_GRACE this holds as soon
 *       as the word is set.
 *   B2  A summary bit may be set although nothing below it is; a take of all
 *       that is below clears it.
 *   B3  Bits past nr_pages are never set.
 *   B4  A snapshot's line holds something only while its "taken" bit is set;
 *       what words elsewhere hold means nothing.
 */
#ifndef GLN_CORE_BITMAP_BITMAP_H
#define GLN_CORE_BITMAP_BITMAP_H

#include <glean/types.h>

#include "core/base/atomic.h"
#include "core/base/bits.h"
#include "core/base/broken.h"
#include "core/sync/fence.h"

enum {
	LINE_WORDS = 8, /* a cache line of words */
	LINE_WORD_SHIFT = 3,
	LINE_SHIFT = LINE_WORD_SHIFT + GLN_WORD_SHIFT,
	LINE_PAGES = 1 << LINE_SHIFT,
	/* Pages under one word of the summary. */
	SUMMARY_WORD_SHIFT = LINE_SHIFT + GLN_WORD_SHIFT,
	SUMMARY_WORD_PAGES = 1 << SUMMARY_WORD_SHIFT,
	/* Levels above the summary: enough for 2^64 pages. */
	MAX_UPPER = 6,
};

struct scan_kernel;

/**
 * struct bitmap - live marks: any thread sets, one harvester takes.
 *
 * @upper: @nr_upper levels above the summary, the lowest first. They lie behind
 *	   it, in the same memory; see bitmap_find_levels().
 */
struct bitmap {
	uint64_t nr_pages;
	gln_word *words;
	gln_word *summary;
	gln_word *upper[MAX_UPPER];
	unsigned int nr_upper;
	enum fence_form fence;
	const struct scan_kernel *kernel;
};

/** struct snapshot - marks taken; one thread's own, no atomics. */
struct snapshot {
	uint64_t nr_pages;
	uint64_t *words;
	uint64_t *taken; /* one bit a line, like the summary; room for levels */
};

static inline uint64_t bitmap_nr_words(uint64_t nr_pages)
{
	return gln_div_up(nr_pages, GLN_WORD_BITS);
}

/* Words are allocated in whole lines, so that a line can be read as one. */
static inline uint64_t bitmap_words_bytes(uint64_t nr_pages)
{
	return gln_div_up(nr_pages, LINE_PAGES) * LINE_WORDS * GLN_WORD_BYTES;
}

static inline uint64_t bitmap_nr_summary_words(uint64_t nr_pages)
{
	return gln_div_up(nr_pages, SUMMARY_WORD_PAGES);
}

/* Words of the level above one of @nr_words words; 0 if these fit in a line. */
static inline uint64_t bitmap_nr_words_above(uint64_t nr_words)
{
	return nr_words <= LINE_WORDS ? 0 : gln_div_up(nr_words, LINE_PAGES);
}

/* Whole lines of a level, so that the next begins with a line. */
static inline uint64_t bitmap_level_words(uint64_t nr_words)
{
	return gln_div_up(nr_words, LINE_WORDS) * LINE_WORDS;
}

/* The summary and all levels above it. */
static inline uint64_t bitmap_summary_bytes(uint64_t nr_pages)
{
	uint64_t nr_words = bitmap_nr_summary_words(nr_pages);
	uint64_t sum = 0;

	for (; nr_words; nr_words = bitmap_nr_words_above(nr_words))
		sum += bitmap_level_words(nr_words);

	return sum * GLN_WORD_BYTES;
}

/** bitmap_level() - the summary for 0, the levels above it from 1 on. */
static inline gln_word *bitmap_level(const struct bitmap *bm,
				     unsigned int level)
{
	return level ? bm->upper[level - 1] : bm->summary;
}

/** bitmap_find_levels() - set @bm->upper, behind the summary. */
static inline void bitmap_find_levels(struct bitmap *bm)
{
	uint64_t nr_words = bitmap_nr_summary_words(bm->nr_pages);
	gln_word *level = bm->summary + bitmap_level_words(nr_words);

	bm->nr_upper = 0;
	while ((nr_words = bitmap_nr_words_above(nr_words))) {
		bm->upper[bm->nr_upper++] = level;
		level += bitmap_level_words(nr_words);
	}
}

/* The bits of word @word that stand for pages below @nr_pages. */
static inline uint64_t bitmap_valid_bits(uint64_t nr_pages, uint64_t word)
{
	const uint64_t first = word << GLN_WORD_SHIFT;

	if (first >= nr_pages)
		return 0;
	return gln_low_bits(
		(unsigned int)gln_min(nr_pages - first, GLN_WORD_BITS));
}

/* Set bits of a word of a level. Set ones are left alone, their line shared. */
static inline void bitmap_set_summary(gln_word *word, uint64_t bits)
{
	/*
	 * sync mark.7 (acquire) <-> take.1: a bit that another marker set after
	 * a take had cleared it must not be seen beside the level above as it
	 * was before that take.
	 */
	if (!(bits & ~gln_load_acquire(word)))
		return;

	/* sync mark.4 (acq_rel) <-> take.1: what is below, then its bit. */
	gln_fetch_or_acq_rel(word, bits);
}

/*
 * Set bits @lines of word @group of the summary, and what is above them, bottom
 * up. A word is in one line: there is one bit for all of it a level up.
 */
static inline void bitmap_summarise_group(struct bitmap *bm, uint64_t group,
					  uint64_t lines)
{
	uint64_t bit = group >> LINE_WORD_SHIFT;

	bitmap_set_summary(&bm->summary[group], lines);
	for (unsigned int i = 0; i < bm->nr_upper; i++) {
		bitmap_set_summary(&bm->upper[i][bit >> GLN_WORD_SHIFT],
				   UINT64_C(1) << bit % GLN_WORD_BITS);
		bit >>= LINE_SHIFT;
	}
}

/* Set the summary bit of @line, and those above it. */
static inline void bitmap_summarise(struct bitmap *bm, uint64_t line)
{
	bitmap_summarise_group(bm, line >> GLN_WORD_SHIFT,
			       UINT64_C(1) << line % GLN_WORD_BITS);
}

/*
 * Set one bit. True if it was not set. In this shape, the old value under the
 * same mask, gcc makes one instruction of it on x86 (lock bts); clang 14, and
 * LL/SC machines, go round again if this very word changed meanwhile.
 */
static inline bool bitmap_set_bit(gln_word *word, uint64_t bit)
{
	/* sync mark.6 (acq_rel) <-> take.3, take.5: as mark.3. */
	return !(gln_fetch_or_acq_rel(word, bit) & bit);
}

/* Set many. Returns those that were not set. */
static inline uint64_t bitmap_set_bits(gln_word *word, uint64_t bits)
{
	/*
	 * sync mark.3 (acq_rel) <-> take.3, take.5: guest's bytes, then the
	 * bit; and if a take came first, its summary's clearing too.
	 */
	return bits & ~gln_fetch_or_acq_rel(word, bits);
}

/* The guest's bytes are written; words may be looked at after this. */
static inline void bitmap_written(const struct bitmap *bm)
{
	/*
	 * sync mark.1 (seq_cst) <-> take.4, clear.1, watch.1, all.2: the
	 * guest's bytes, or the entry that lets it write, leave the store
	 * buffer before the load below. Else a take in between clears the bit
	 * and its harvest protects an entry that is not writable yet, while we,
	 * having seen the bit, leave it clear: a lost write, in seconds even on
	 * x86 (tests/stress/store_buffer.c).
	 */
	glni_fence_light(bm->fence);
}

/* What is left to set of @bits. */
static inline uint64_t bitmap_look(struct bitmap *bm, uint64_t word,
				   uint64_t bits)
{
	if (GLN_BREAK_SUMMARY_FIRST)
		bitmap_summarise(bm, word >> LINE_WORD_SHIFT);

	/*
	 * sync mark.2 (acquire) <- take.3: a word that another marker set after
	 * a take had left it must not be seen beside that take's old summary.
	 */
	return bits & ~gln_load_acquire(&bm->words[word]);
}

/** bitmap_is_quick() - does a page's bit alone say that it is marked? */
static inline bool bitmap_is_quick(const struct bitmap *bm)
{
	return bm->fence == FENCE_GRACE;
}

/*
 * Words of @lines of summary word @group are about to be set. Where others look
 * at the words alone, the bits above come first: whoever clears them before the
 * words are set waits for us (ordering.md, "A look at the bit alone").
 */
static inline void bitmap_group_to_mark(struct bitmap *bm, uint64_t group,
					uint64_t lines)
{
	if (bitmap_is_quick(bm) && !GLN_BREAK_SUMMARY_LAST)
		bitmap_summarise_group(bm, group, lines);
}

/* The word is about to be set. */
static inline void bitmap_to_mark(struct bitmap *bm, uint64_t word)
{
	const uint64_t line = word >> LINE_WORD_SHIFT;

	bitmap_group_to_mark(bm, line >> GLN_WORD_SHIFT,
			     UINT64_C(1) << line % GLN_WORD_BITS);
}

/* Words of @lines of summary word @group are set: else they come now. */
static inline void bitmap_group_marked(struct bitmap *bm, uint64_t group,
				       uint64_t lines)
{
	/*
	 * sync mark.5 (seq_cst) <-> take.2, all.1: the word is set before the
	 * summary is looked at. In the form with a fence each, take exchanges
	 * every word under a summary bit and the orders above suffice.
	 */
	gln_fence_compiler();
	if (bitmap_is_quick(bm) ? GLN_BREAK_SUMMARY_LAST
				: !GLN_BREAK_SUMMARY_FIRST)
		bitmap_summarise_group(bm, group, lines);
}

/* The word is set: see to its summary bit. */
static inline void bitmap_marked(struct bitmap *bm, uint64_t word)
{
	const uint64_t line = word >> LINE_WORD_SHIFT;

	bitmap_group_marked(bm, line >> GLN_WORD_SHIFT,
			    UINT64_C(1) << line % GLN_WORD_BITS);
}

/** bitmap_mark_word() - mark @bits of @word. Returns those that are new. */
static inline uint64_t bitmap_mark_word(struct bitmap *bm, uint64_t word,
					uint64_t bits)
{
	uint64_t fresh;

	bitmap_written(bm);
	fresh = bitmap_look(bm, word, bits);
	if (fresh) {
		bitmap_to_mark(bm, word);
		fresh = bitmap_set_bits(&bm->words[word], bits);
	} else if (bitmap_is_quick(bm)) {
		return 0;
	}
	bitmap_marked(bm, word);

	return fresh;
}

/** bitmap_mark() - mark one page. True if the mark is new. */
static inline bool bitmap_mark(struct bitmap *bm, uint64_t page)
{
	const uint64_t word = page >> GLN_WORD_SHIFT;
	const uint64_t bit = UINT64_C(1) << page % GLN_WORD_BITS;
	bool fresh = false;

	bitmap_written(bm);
	if (bitmap_look(bm, word, bit)) {
		bitmap_to_mark(bm, word);
		fresh = bitmap_set_bit(&bm->words[word], bit);
	} else if (bitmap_is_quick(bm)) {
		return false;
	}
	bitmap_marked(bm, word);
	return fresh;
}

/* Is this bit of a level set? Levels are looked at from the words up. */
static inline bool bitmap_level_has(const gln_word *level, uint64_t bit)
{
	/* sync mark.8 (acquire) <-> take.1: as mark.7. */
	return gln_load_acquire(&level[bit >> GLN_WORD_SHIFT]) >>
		       bit % GLN_WORD_BITS &
	       1;
}

/**
 * bitmap_is_marked() - would bitmap_mark() find nothing to do? It looks at what
 * that one looks at, in its order.
 */
static inline bool bitmap_is_marked(struct bitmap *bm, uint64_t page)
{
	uint64_t bit = page >> LINE_SHIFT;

	bitmap_written(bm);
	if (bitmap_look(bm, page >> GLN_WORD_SHIFT,
			UINT64_C(1) << page % GLN_WORD_BITS))
		return false;
	if (bitmap_is_quick(bm))
		return true;
	if (!bitmap_level_has(bm->summary, bit))
		return false;
	for (unsigned int i = 0; i < bm->nr_upper; i++) {
		bit >>= LINE_SHIFT;
		if (!bitmap_level_has(bm->upper[i], bit))
			return false;
	}

	return true;
}

/** bitmap_mark_rest() - bitmap_mark() after such a look, which said no. */
static inline bool bitmap_mark_rest(struct bitmap *bm, uint64_t page)
{
	const uint64_t word = page >> GLN_WORD_SHIFT;
	bool fresh;

	bitmap_to_mark(bm, word);
	fresh = bitmap_set_bit(&bm->words[word],
			       UINT64_C(1) << page % GLN_WORD_BITS);
	bitmap_marked(bm, word);
	return fresh;
}

/**
 * glni_bitmap_mark_range() - mark pages [first, first + count), all of them
 * below nr_pages. Returns how many marks are new.
 */
uint64_t glni_bitmap_mark_range(struct bitmap *bm, uint64_t first,
				uint64_t count);

/**
 * glni_bitmap_count() - marks now. Others may be marking: then a guess.
 */
uint64_t glni_bitmap_count(const struct bitmap *bm);

/**
 * struct take_limits - how far a take may go.
 *
 * @first:	page to start at.
 * @end:	page to stop before.
 * @max_pages:	pages to take at most.
 * @deadline_ns: clock to stop at, checked between groups of lines; 0: none.
 */
struct take_limits {
	uint64_t first;
	uint64_t end;
	uint64_t max_pages;
	uint64_t deadline_ns;
};

/**
 * struct take_result - what was taken, and at what cost.
 *
 * @next_page:	the first page that was not looked at.
 * @nr_looked:	lines that were looked at.
 * @nr_empty:	of these, lines of which nothing was taken.
 * @nr_put_back: lines whose summary bit was taken for nothing.
 * @nr_atomics: locked operations on words.
 */
struct take_result {
	uint64_t nr_pages;
	uint64_t next_page;
	uint64_t nr_looked;
	uint64_t nr_empty;
	uint64_t nr_put_back;
	uint64_t nr_atomics;
};

/**
 * glni_bitmap_take() - move marks into the snapshot, whose lines in the range
 * are empty. One caller at a time; markers may run.
 *
 * Makes some progress however tight the limits. The caller issues fence take.4
 * before it protects what was taken.
 */
struct take_result glni_bitmap_take(struct bitmap *bm, struct snapshot *snap,
				    const struct take_limits *limits);

/**
 * glni_bitmap_take_summary(), glni_bitmap_take_lines() - the same without
 * limits, in two halves, so that several bitmaps share a fence and several
 * threads the second half (dirty/parts.h).
 *
 * The first takes the summary, and is false if no line may hold a mark. Else
 * the caller issues fence take.2 next, glni_fence_taken(). The second takes the
 * words of pages [first, end), which begin and end with a word of the summary,
 * or with the bitmap; returns pages taken.
 */
bool glni_bitmap_take_summary(struct bitmap *bm, struct snapshot *snap);
uint64_t glni_bitmap_take_lines(struct bitmap *bm, struct snapshot *snap,
				uint64_t first, uint64_t end);

/**
 * glni_bitmap_take_bits() - take those of @bits that are set in @word into the
 * snapshot, where no bit of them is. For clear_dirty_log. Returns them.
 */
uint64_t glni_bitmap_take_bits(struct bitmap *bm, struct snapshot *snap,
			       uint64_t word, uint64_t bits);

/**
 * glni_snapshot_next_line() - first taken line in [line, end), or end.
 */
uint64_t glni_snapshot_next_line(const struct snapshot *snap, uint64_t line,
				 uint64_t end);

/**
 * glni_snapshot_span() - how many lines from the taken @line on are taken too,
 * itself included; no more than can be gone through at once.
 */
uint64_t glni_snapshot_span(const struct snapshot *snap, uint64_t line);

/** snapshot_word() - word @word of the snapshot, 0 where nothing was taken. */
static inline uint64_t snapshot_word(const struct snapshot *snap, uint64_t word)
{
	const uint64_t line = word >> LINE_WORD_SHIFT;

	if (!(snap->taken[line >> GLN_WORD_SHIFT] >> line % GLN_WORD_BITS & 1))
		return 0;
	return snap->words[word];
}

/** snapshot_open_line() - have @line, of which nothing was taken, empty. */
static inline void snapshot_open_line(struct snapshot *snap, uint64_t line)
{
	uint64_t *const taken = &snap->taken[line >> GLN_WORD_SHIFT];
	const uint64_t bit = UINT64_C(1) << line % GLN_WORD_BITS;

	if (*taken & bit)
		return;
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		snap->words[(line << LINE_WORD_SHIFT) + i] = 0;
	*taken |= bit;
}

/**
 * glni_snapshot_add() - pages [first, first + count), all of them below
 * nr_pages, are in the snapshot. Returns how many were not.
 */
uint64_t glni_snapshot_add(struct snapshot *snap, uint64_t first,
			   uint64_t count);

/**
 * glni_snapshot_drop() - forget pages [first, end) of the snapshot.
 * glni_snapshot_put_back() - mark them again, then forget them.
 *
 * Return how many there were.
 */
uint64_t glni_snapshot_drop(struct snapshot *snap, uint64_t first,
			    uint64_t end);
uint64_t glni_snapshot_put_back(struct snapshot *snap, struct bitmap *bm,
				uint64_t first, uint64_t end);

/** glni_snapshot_reset() - forget everything, leaving words as they are. */
void glni_snapshot_reset(struct snapshot *snap);

/**
 * glni_snapshot_count() - pages in the snapshot.
 * glni_snapshot_drain() - the same, and all of it is 0 afterwards.
 *
 * @kernel counts.
 */
uint64_t glni_snapshot_count(const struct snapshot *snap,
			     const struct scan_kernel *kernel);
uint64_t glni_snapshot_drain(struct snapshot *snap,
			     const struct scan_kernel *kernel);

/**
 * glni_snapshot_drain_words() - as glni_snapshot_drain(), but leaves "taken" to
 * a glni_snapshot_reset() that follows: for a part of a snapshot.
 */
uint64_t glni_snapshot_drain_words(const struct snapshot *snap,
				   const struct scan_kernel *kernel);

/** glni_bitmap_nr_lines() - lines whose summary bit is set, up to @enough. */
uint64_t glni_bitmap_nr_lines(const struct bitmap *bm, uint64_t enough);

/**
 * glni_bitmap_lines_end() - the line after the @nr-th of [line, end) whose
 * summary bit is set, or @end if it has not as many. @nr > 0, line < end.
 */
uint64_t glni_bitmap_lines_end(const struct bitmap *bm, uint64_t line,
			       uint64_t end, uint64_t nr);

#endif
