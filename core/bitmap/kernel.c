/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.c - take whole lines, count them, clear them.
 *
 * The text is one; only the way to count bits differs. Without the CPU's
 * instruction counting costs as much as the exchange.
 */
#include "core/bitmap/kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

typedef unsigned int (*count_fn)(uint64_t word);

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/*
 * Take one word. A mark set after the load is the next harvest's.
 *
 * Looking first keeps words that are 0 in a shared line, but needs fence take.2
 * between the summary and here; where markers pay for fences there is none, and
 * every word is exchanged.
 */
ALWAYS_INLINE uint64_t take_word(gln_word *word, enum fence_form form)
{
	if (form == FENCE_ONE && !gln_load_relaxed(word))
		return 0;

	/*
	 * sync take.3 (acq_rel) <-> mark.2, mark.3, mark.6: the bytes behind
	 * each bit are read after it; whoever marks after us sees the summary
	 * cleared.
	 */
	return gln_xchg_acq_rel(word, 0);
}

ALWAYS_INLINE uint64_t take_line(gln_word *from, uint64_t *to,
				 enum fence_form form, count_fn count)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i++) {
		to[i] = take_word(&from[i], form);
		nr += count(to[i]);
	}

	return nr;
}

ALWAYS_INLINE uint64_t take_lines(struct bitmap *bm, struct snapshot *snap,
				  uint64_t group, uint64_t *lines,
				  count_fn count)
{
	const enum fence_form form = bm->fence;
	uint64_t nr_pages = 0;

	for (uint64_t left = *lines; left; left &= left - 1) {
		const uint64_t line = group << GLN_WORD_SHIFT | gln_ctz64(left);
		const uint64_t word = line << LINE_WORD_SHIFT;
		const uint64_t nr = take_line(&bm->words[word],
					      &snap->words[word], form, count);

		if (!nr)
			*lines &= ~(left & -left);
		nr_pages += nr;
	}

	return nr_pages;
}

ALWAYS_INLINE uint64_t count_lines(const uint64_t *words, uint64_t nr_lines,
				   count_fn count)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < nr_lines * LINE_WORDS; i++)
		nr += count(words[i]);

	return nr;
}

/* A line is cleared while it is in L1, so that this is one pass, not two. */
ALWAYS_INLINE uint64_t drain_lines(uint64_t *words, uint64_t nr_lines,
				   count_fn count)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < nr_lines; i++) {
		uint64_t *const line = &words[i << LINE_WORD_SHIFT];

		nr += count_lines(line, 1, count);
		__builtin_memset(line, 0, sizeof(uint64_t[LINE_WORDS]));
	}

	return nr;
}

static bool always_usable(void)
{
	return true;
}

static uint64_t take_lines_scalar(struct bitmap *bm, struct snapshot *snap,
				  uint64_t group, uint64_t *lines)
{
	return take_lines(bm, snap, group, lines, gln_popcount64);
}

static uint64_t count_scalar(const uint64_t *words, uint64_t nr_lines)
{
	return count_lines(words, nr_lines, gln_popcount64);
}

static uint64_t drain_scalar(uint64_t *words, uint64_t nr_lines)
{
	return drain_lines(words, nr_lines, gln_popcount64);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static inline unsigned int count_popcnt(
	uint64_t word)
{
	return (unsigned int)__builtin_popcountll(word);
}

__attribute__((target("popcnt"))) static uint64_t take_lines_popcnt(
	struct bitmap *bm, struct snapshot *snap, uint64_t group,
	uint64_t *lines)
{
	return take_lines(bm, snap, group, lines, count_popcnt);
}

__attribute__((target("popcnt"))) static uint64_t count_lines_popcnt(
	const uint64_t *words, uint64_t nr_lines)
{
	return count_lines(words, nr_lines, count_popcnt);
}

__attribute__((target("popcnt"))) static uint64_t drain_lines_popcnt(
	uint64_t *words, uint64_t nr_lines)
{
	return drain_lines(words, nr_lines, count_popcnt);
}

/* Intel SDM vol. 2, CPUID leaf 1: ECX bit 23 is POPCNT; AMD has it there too.
 */
static bool has_popcnt(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_POPCNT);
}
#endif

static const struct scan_kernel kernels[] = {
	{
		.name = "scalar",
		.is_usable = always_usable,
		.take_lines = take_lines_scalar,
		.count = count_scalar,
		.drain = drain_scalar,
	},
#if defined(__x86_64__)
	{
		.name = "popcnt",
		.is_usable = has_popcnt,
		.take_lines = take_lines_popcnt,
		.count = count_lines_popcnt,
		.drain = drain_lines_popcnt,
	},
#endif
};

enum { NR_KERNELS = sizeof(kernels) / sizeof(kernels[0]) };

const struct scan_kernel *glni_scan_kernel(size_t i)
{
	return i < NR_KERNELS ? &kernels[i] : NULL;
}

const struct scan_kernel *glni_best_kernel(void)
{
	size_t i = NR_KERNELS - 1;

	while (!kernels[i].is_usable())
		i--;

	return &kernels[i];
}
