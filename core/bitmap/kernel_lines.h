/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_lines.h - the text that scan kernels share; what differs goes in.
 *
 * A line of 8 words is the block that a take adapts to: looked at whole, it is
 * empty and dropped, or full and exchanged in one go, or some words of it are
 * exchanged, with one branch that the CPU cannot foresee in place of 8.
 */
#ifndef GLN_CORE_BITMAP_KERNEL_LINES_H
#define GLN_CORE_BITMAP_KERNEL_LINES_H

#include "core/base/memory.h"
#include "core/bitmap/kernel.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
	LINE_BYTES = LINE_WORDS * GLN_WORD_BYTES,
	ALL_WORDS = (1 << LINE_WORDS) - 1,
	/* Spans on their way from memory: misses worth overlapping. */
	FETCH_SPANS = 32,
};

/* Bits set in a word. */
typedef unsigned int (*count_fn)(uint64_t word);

/*
 * The words of a live line that are not 0, a bit each. Others set bits while we
 * look, and nobody else clears any: a word that was set before we look is seen
 * set even if it is read in pieces. So a kernel may read many words at once,
 * with an instruction that C has no name for.
 */
typedef unsigned int (*look_fn)(const gln_word *line);

/* Relaxed: fence take.2 is between the summary and here. */
ALWAYS_INLINE unsigned int look_at_words(const gln_word *line)
{
	unsigned int set = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i++)
		set |= (unsigned int)(gln_load_relaxed(&line[i]) != 0) << i;

	return set;
}

/* Take one word. A mark that is set later is the next harvest's. */
ALWAYS_INLINE uint64_t take_word(gln_word *word)
{
	/*
	 * sync take.3 (acq_rel) <-> mark.2, mark.3, mark.6: the bytes behind
	 * each bit are read after it; whoever marks after us sees the summary
	 * cleared.
	 */
	return gln_xchg_acq_rel(word, 0);
}

/* All words. Counted afterwards: an exchange waits for what is before it. */
ALWAYS_INLINE uint64_t take_whole_line(gln_word *from, uint64_t *to,
				       count_fn count)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i++)
		to[i] = take_word(&from[i]);
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		nr += count(to[i]);

	return nr;
}

/* Words that are 0 stay in a shared line. */
ALWAYS_INLINE uint64_t take_set_words(gln_word *from, uint64_t *to,
				      unsigned int set, count_fn count)
{
	uint64_t nr = 0;

	__builtin_memset(to, 0, LINE_BYTES);
	for (; set; set &= set - 1) {
		const unsigned int i = (unsigned int)__builtin_ctz(set);

		to[i] = take_word(&from[i]);
		nr += count(to[i]);
	}

	return nr;
}

ALWAYS_INLINE uint64_t take_line(gln_word *from, uint64_t *to, unsigned int set,
				 count_fn count)
{
	if (!set)
		return 0;
	if (set == ALL_WORDS)
		return take_whole_line(from, to, count);
	return take_set_words(from, to, set, count);
}

ALWAYS_INLINE uint64_t take_each_line(struct bitmap *bm, struct snapshot *snap,
				      uint64_t group, struct line_take *take,
				      look_fn look, count_fn count)
{
	uint64_t nr_pages = 0;

	for (uint64_t left = take->lines; left; left &= left - 1) {
		const uint64_t line = group << GLN_WORD_SHIFT | gln_ctz64(left);
		const uint64_t word = line << LINE_WORD_SHIFT;
		const unsigned int set = look(&bm->words[word]);
		const uint64_t nr = take_line(&bm->words[word],
					      &snap->words[word], set, count);

		if (!nr)
			take->lines &= ~(left & -left);
		take->nr_atomics += count(set);
		nr_pages += nr;
	}

	return nr_pages;
}

/* Not looking: every word of the line may be set. */
ALWAYS_INLINE unsigned int assume_set(const gln_word *line)
{
	(void)line;
	return ALL_WORDS;
}

/*
 * Looking first needs fence take.2 between the summary and here; where markers
 * pay for fences there is none, and every word is exchanged.
 */
ALWAYS_INLINE uint64_t take_lines(struct bitmap *bm, struct snapshot *snap,
				  uint64_t group, struct line_take *take,
				  look_fn look, count_fn count)
{
	return fence_is_heavy(bm->fence)
		       ? take_each_line(bm, snap, group, take, look, count)
		       : take_each_line(bm, snap, group, take, assume_set,
					count);
}

/* Add the bits set in a line to *@sums, which is of the kernel's own type. */
typedef void (*line_fn)(uint64_t *line, void *sums);

ALWAYS_INLINE void add_line(const uint64_t *line, uint64_t *sum, count_fn count)
{
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		*sum += count(line[i]);
}

/* It is in L1 by now: to count and to clear are one pass, not two. */
ALWAYS_INLINE void clear_line(uint64_t *line)
{
	__builtin_memset(line, 0, LINE_BYTES);
}

/*
 * Visit all lines of all spans. Where little is dirty each span is a line and a
 * cache miss, and finding the next one is no work that could hide it.
 */
ALWAYS_INLINE void each_line(const struct span *spans, size_t nr_spans,
			     line_fn visit, void *sums)
{
	for (size_t i = 0; i < gln_min(nr_spans, FETCH_SPANS); i++)
		gln_fetch_to_write(spans[i].words);
	for (size_t i = 0; i < nr_spans; i++) {
		uint64_t *line = spans[i].words;

		if (i + FETCH_SPANS < nr_spans)
			gln_fetch_to_write(spans[i + FETCH_SPANS].words);
		for (uint64_t left = spans[i].nr_lines; left; left--) {
			visit(line, sums);
			line += LINE_WORDS;
		}
	}
}

/* Words from @nr on that are all ones, one by one. */
ALWAYS_INLINE uint64_t ones_from(const uint64_t *words, uint64_t nr,
				 uint64_t nr_words)
{
	while (nr < nr_words && words[nr] == UINT64_MAX)
		nr++;

	return nr;
}

/* As many words at once as a line has: the loads of one need no other's. */
ALWAYS_INLINE uint64_t ones_by_line(const uint64_t *words, uint64_t nr_words)
{
	uint64_t nr = 0;

	for (; nr + LINE_WORDS <= nr_words; nr += LINE_WORDS) {
		uint64_t all = UINT64_MAX;

		for (unsigned int i = 0; i < LINE_WORDS; i++)
			all &= words[nr + i];
		if (all != UINT64_MAX)
			break;
	}

	return ones_from(words, nr, nr_words);
}

#endif
