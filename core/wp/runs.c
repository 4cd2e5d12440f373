/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.c - walk a snapshot run by run, skipping what was not taken.
 *
 * Between two calls a walk stands before a run; within one, lines of a span are
 * gone through with as few branches as can be: where marks are scattered, what
 * a word holds cannot be foretold, and a wrong guess costs as much as four
 * runs.
 */
#include "core/wp/runs.h"

#include "core/bitmap/kernel.h"

/* The highest bit, of a word and of the runs in it. */
#define TOP_BIT (UINT64_C(1) << (GLN_WORD_BITS - 1))

/* Find the next taken lines, from @word on, and read their first word. */
static bool next_span(struct run_walk *walk, uint64_t word)
{
	const struct snapshot *const snap = walk->snap;
	const uint64_t end = gln_div_up(snap->nr_pages, LINE_PAGES);
	const uint64_t line =
		glni_snapshot_next_line(snap, word >> LINE_WORD_SHIFT, end);

	walk->word = line << LINE_WORD_SHIFT;
	walk->span_end = walk->word;
	walk->mask = 0;
	if (line >= end)
		return false;

	walk->span_end += glni_snapshot_span(snap, line) << LINE_WORD_SHIFT;
	walk->mask = snap->words[walk->word];
	return true;
}

/* Move to the next word that may hold something. False at the end. */
static bool step(struct run_walk *walk)
{
	const uint64_t next = walk->word + 1;

	if (next >= walk->span_end)
		return next_span(walk, next);

	walk->word = next;
	walk->mask = walk->snap->words[next];
	return true;
}

void glni_runs_start(struct run_walk *walk, const struct snapshot *snap,
		     const struct scan_kernel *kernel)
{
	*walk = (struct run_walk){.snap = snap, .kernel = kernel};
	next_span(walk, 0);
}

/* Words of this span, from @word on, that are all ones. */
static uint64_t whole_words(const struct run_walk *walk, uint64_t word)
{
	const uint64_t *const words = &walk->snap->words[word];

	if (*words != UINT64_MAX)
		return 0;
	return walk->kernel->ones(words, walk->span_end - word);
}

/*
 * A run reached the end of its word: let it go on in the words that follow. A
 * span begins with a line, so that whole lines are looked at from there on.
 */
static void extend(struct run_walk *walk, struct gln_range *run)
{
	for (;;) {
		const uint64_t follows = walk->word + 1;
		uint64_t end;

		if (!step(walk) || walk->word != follows)
			return;
		end = follows + whole_words(walk, follows);
		run->count += (end - follows) << GLN_WORD_SHIFT;
		if (end < walk->span_end) {
			walk->word = end;
			walk->mask = walk->snap->words[end];
			if (walk->mask & 1)
				run->count += run_take(&walk->mask, 0).count;
			return;
		}
		walk->word = end - 1;
		walk->mask = 0;
	}
}

/**
 * struct emit - where runs go.
 *
 * @out:	the next goes here, and the last, just before, may still grow.
 * @end:	no room from here on.
 */
struct emit {
	struct gln_range *out;
	struct gln_range *end;
};

/* The run of which @firsts and @lasts hold the ends, each as its lowest bit. */
static inline struct gln_range lowest_run(uint64_t firsts, uint64_t lasts,
					  gln_gfn base)
{
	const unsigned int first = gln_ctz64(firsts);

	return (struct gln_range){
		.first = base + first,
		.count = gln_ctz64(lasts) - first + 1,
	};
}

/*
 * Give out the runs of @mask, bit 0 being frame @base, while there is room, and
 * there is some. Returns the bits that are left.
 *
 * The first is written without asking whether there is one: nearly all words
 * have one run or none, and nobody could guess which.
 */
static inline uint64_t put_runs(struct emit *emit, uint64_t mask, gln_gfn base)
{
	uint64_t firsts = mask & ~(mask << 1);
	uint64_t lasts = mask & ~(mask >> 1);

	*emit->out = lowest_run(firsts | TOP_BIT, lasts | TOP_BIT, base);
	emit->out += mask != 0;

	while (firsts &= firsts - 1) {
		lasts &= lasts - 1;
		if (emit->out == emit->end)
			return mask & -(firsts & -firsts);
		*emit->out++ = lowest_run(firsts, lasts, base);
	}

	return 0;
}

/* Which words of a line hold something, one bit each. */
static inline unsigned int words_in_use(const uint64_t *line)
{
	unsigned int in_use = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i++)
		in_use |= (unsigned int)(line[i] != 0) << i;

	return in_use;
}

/* Words of @word's line, behind it, that hold something. */
static inline unsigned int words_behind(const uint64_t *words, uint64_t word)
{
	const unsigned int index = word % LINE_WORDS;

	return words_in_use(&words[word - index]) >> index >> 1 << index << 1;
}

/*
 * The next word of the span behind @word that holds something, or the span's
 * end. @in_use: those of @word's line that were not visited yet.
 */
static inline uint64_t next_in_use(const struct run_walk *walk, uint64_t word,
				   unsigned int *in_use)
{
	uint64_t line = word - word % LINE_WORDS;

	while (!*in_use) {
		line += LINE_WORDS;
		if (line >= walk->span_end)
			return walk->span_end;
		*in_use = words_in_use(&walk->snap->words[line]);
	}
	word = line + gln_ctz64(*in_use);
	*in_use &= *in_use - 1;
	return word;
}

/*
 * Give out runs from where the walk stands, a bit that is set, to the end of
 * the span, or to a word that is all one run with the one before, or while
 * there is room, and there is some. True if the last run given out reaches the
 * end of its word, where the walk stands then.
 */
static bool walk_span(struct run_walk *walk, struct emit *to, gln_gfn base)
{
	const uint64_t *const words = walk->snap->words;
	struct emit emit = *to;
	uint64_t word = walk->word, mask = walk->mask, left;
	unsigned int in_use = words_behind(words, word);
	uint64_t top;

	for (;;) {
		uint64_t next, joins;

		left = put_runs(&emit, mask, base + (word << GLN_WORD_SHIFT));
		top = mask >> (GLN_WORD_BITS - 1);
		if (emit.out == emit.end)
			break;
		next = next_in_use(walk, word, &in_use);
		if (next == walk->span_end) {
			word = top ? word : next - 1;
			break;
		}

		/* A carry from the word before takes the run it meets along. */
		mask = words[next] & (words[next] + (top & (next == word + 1)));
		joins = words[next] ^ mask;
		if (joins == UINT64_MAX)
			break;
		emit.out[-1].count += gln_ctz64(joins + 1);
		word = next;
	}

	walk->word = word;
	walk->mask = left;
	*to = emit;
	return top && !left;
}

size_t glni_runs_next(struct run_walk *walk, gln_gfn base,
		      struct gln_range *ranges, size_t max)
{
	struct emit emit = {.out = ranges, .end = ranges + max};

	while (emit.out != emit.end) {
		while (!walk->mask)
			if (walk->word >= walk->span_end || !step(walk))
				return (size_t)(emit.out - ranges);
		if (walk_span(walk, &emit, base))
			extend(walk, &emit.out[-1]);
	}

	return max;
}
