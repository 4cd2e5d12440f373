/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - the inner loops that depend on the CPU, chosen once at run time.
 *
 *   scalar   kernel.c        any CPU
 *   popcnt   kernel_x86.c    x86 since 2008
 *   avx2     kernel_x86.c    vectors of 4 words
 *   avx512   kernel_x86.c    vectors of 8 words, which is a line
 *   neon     kernel_arm.c    any Armv8-A: vectors of 2 words
 *   vsx      kernel_power.c  POWER8 and later: vectors of 2 words
 *
 * All give the same answers. Those with vectors are built where the compiler
 * may use vector registers: always for libglean, for libglean-core if it is
 * built with GLN_CORE_VECTORS, since most hypervisors do not own them.
 */
#ifndef GLN_CORE_BITMAP_KERNEL_H
#define GLN_CORE_BITMAP_KERNEL_H

#include "core/bitmap/bitmap.h"

/* What the compiler was allowed: -mgeneral-regs-only takes these away. */
#if defined(__x86_64__)
#define KERNEL_X86 1
#endif
#if defined(__x86_64__) && defined(__SSE2__)
#define KERNEL_AVX 1
#endif
#if defined(__aarch64__) && defined(__ARM_NEON)
#define KERNEL_NEON 1
#endif
#if defined(__powerpc64__) && defined(__POWER8_VECTOR__)
#define KERNEL_VSX 1
#endif

/**
 * struct line_take - lines to take, and what it took.
 *
 * @lines:	a bit each; those that turn out empty are cleared.
 * @nr_atomics:	words that were exchanged are added.
 */
struct line_take {
	uint64_t lines;
	uint64_t nr_atomics;
};

/** struct span - adjacent lines of a snapshot that hold something. */
struct span {
	uint64_t *words;
	uint64_t nr_lines;
};

/**
 * struct scan_kernel - one way to do them.
 *
 * @take_lines:	take the words of those lines of the summary word @group that
 *		are in @take, all of them within the bitmap. Returns pages
 *		taken.
 * @count:	bits set in @nr_spans spans.
 * @drain:	the same, and clear them.
 * @ones:	how many of the first words of a snapshot are all ones, up to
 *		@nr_words: a long run, at the speed of memory.
 */
struct scan_kernel {
	const char *name;
	bool (*is_usable)(void);
	uint64_t (*take_lines)(struct bitmap *bm, struct snapshot *snap,
			       uint64_t group, struct line_take *take);
	uint64_t (*count)(const struct span *spans, size_t nr_spans);
	uint64_t (*drain)(const struct span *spans, size_t nr_spans);
	uint64_t (*ones)(const uint64_t *words, uint64_t nr_words);
};

extern const struct scan_kernel glni_kernel_popcnt;
extern const struct scan_kernel glni_kernel_avx2;
extern const struct scan_kernel glni_kernel_avx512;
extern const struct scan_kernel glni_kernel_neon;
extern const struct scan_kernel glni_kernel_vsx;

/** glni_scan_kernel() - the @i-th kernel, worst first; NULL past the last. */
const struct scan_kernel *glni_scan_kernel(size_t i);

/** glni_best_kernel() - the last that this CPU can run. */
const struct scan_kernel *glni_best_kernel(void);

/** glni_chosen_kernel() - that, unless gln_scan_kernel_use() named another. */
const struct scan_kernel *glni_chosen_kernel(void);

#endif
