/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_power.c - the scan kernel of POWER8 and later: VSX.
 *
 * Built where the compiler is told of such a CPU, as it is for little-endian
 * Linux: then all of the library needs one, and there is nothing to ask. Words
 * count alike in either byte order.
 *
 * Live words are looked at one by one, as on Arm and for its reason.
 */
#include "core/bitmap/kernel_lines.h"

#if KERNEL_VSX

#include <altivec.h>

/* It takes three words of C for its own; ours is this one. */
#undef vector
#undef pixel
#undef bool
#define bool _Bool

typedef __vector unsigned long long words_vector;

enum {
	VSX_BYTES = 16,
	VSX_VECTORS = LINE_BYTES / VSX_BYTES,
};

static bool always_usable(void)
{
	return true;
}

static inline unsigned int count_power(uint64_t word)
{
	return (unsigned int)__builtin_popcountll(word);
}

static uint64_t take_lines_vsx(struct bitmap *bm, struct snapshot *snap,
			       uint64_t group, struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_at_words, count_power);
}

/* Vector @i of a line. */
static inline words_vector load(const uint64_t *line, unsigned int i)
{
	return vec_xl((int)i * VSX_BYTES, (const unsigned long long *)line);
}

static inline words_vector line_counts(const uint64_t *line)
{
	words_vector sums = vec_popcnt(load(line, 0));

	for (unsigned int i = 1; i < VSX_VECTORS; i++)
		sums = vec_add(sums, vec_popcnt(load(line, i)));

	return sums;
}

static inline void count_line_vsx(uint64_t *line, void *sums)
{
	words_vector *const to = sums;

	*to = vec_add(*to, line_counts(line));
}

static inline void drain_line_vsx(uint64_t *line, void *sums)
{
	count_line_vsx(line, sums);
	clear_line(line);
}

static uint64_t count_spans_vsx(const struct span *spans, size_t nr_spans)
{
	words_vector sums = {0, 0};

	each_line(spans, nr_spans, count_line_vsx, &sums);
	return sums[0] + sums[1];
}

static uint64_t drain_spans_vsx(const struct span *spans, size_t nr_spans)
{
	words_vector sums = {0, 0};

	each_line(spans, nr_spans, drain_line_vsx, &sums);
	return sums[0] + sums[1];
}

static uint64_t ones_vsx(const uint64_t *words, uint64_t nr_words)
{
	const words_vector ones = {UINT64_MAX, UINT64_MAX};
	uint64_t nr = 0;

	for (; nr + LINE_WORDS <= nr_words; nr += LINE_WORDS) {
		const uint64_t *const line = &words[nr];
		words_vector all = load(line, 0);

		for (unsigned int i = 1; i < VSX_VECTORS; i++)
			all = vec_and(all, load(line, i));
		if (!vec_all_eq(all, ones))
			break;
	}

	return ones_from(words, nr, nr_words);
}

const struct scan_kernel glni_kernel_vsx = {
	.name = "vsx",
	.is_usable = always_usable,
	.take_lines = take_lines_vsx,
	.count = count_spans_vsx,
	.drain = drain_spans_vsx,
	.ones = ones_vsx,
};

#endif
