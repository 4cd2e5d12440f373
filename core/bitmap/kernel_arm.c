/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_arm.c - the scan kernel of AArch64: NEON, which every one has.
 *
 * Live words are looked at one by one: exchanging them is what a take costs,
 * and a vector's way to the general registers is longer than 8 loads.
 */
#include "core/bitmap/kernel_lines.h"

#if KERNEL_NEON

#include <arm_neon.h>

enum { NEON_WORDS = 2 };

static bool always_usable(void)
{
	return true;
}

static inline unsigned int count_neon(uint64_t word)
{
	return vaddv_u8(vcnt_u8(vcreate_u8(word)));
}

static uint64_t take_lines_neon(struct bitmap *bm, struct snapshot *snap,
				uint64_t group, struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_at_words, count_neon);
}

static inline uint8x16_t byte_counts(const uint64_t *words)
{
	return vcntq_u8(vreinterpretq_u8_u64(vld1q_u64(words)));
}

/* Bits set in a line, as sums of 8: a byte counts to 32 at most. */
static inline uint16x8_t line_counts(const uint64_t *line)
{
	const uint8x16_t low =
		vaddq_u8(byte_counts(line), byte_counts(line + NEON_WORDS));
	const uint8x16_t high = vaddq_u8(byte_counts(line + 2 * NEON_WORDS),
					 byte_counts(line + 3 * NEON_WORDS));

	return vpaddlq_u8(vaddq_u8(low, high));
}

static inline void count_line_neon(uint64_t *line, void *sums)
{
	uint64x2_t *const to = sums;

	*to = vpadalq_u32(*to, vpaddlq_u16(line_counts(line)));
}

static inline void drain_line_neon(uint64_t *line, void *sums)
{
	count_line_neon(line, sums);
	clear_line(line);
}

static uint64_t count_spans_neon(const struct span *spans, size_t nr_spans)
{
	uint64x2_t sums = vdupq_n_u64(0);

	each_line(spans, nr_spans, count_line_neon, &sums);
	return vaddvq_u64(sums);
}

static uint64_t drain_spans_neon(const struct span *spans, size_t nr_spans)
{
	uint64x2_t sums = vdupq_n_u64(0);

	each_line(spans, nr_spans, drain_line_neon, &sums);
	return vaddvq_u64(sums);
}

/* Words that are all ones stay so under AND; the least 32 bits tell. */
static uint64_t ones_neon(const uint64_t *words, uint64_t nr_words)
{
	uint64_t nr = 0;

	for (; nr + LINE_WORDS <= nr_words; nr += LINE_WORDS) {
		const uint64_t *const line = &words[nr];
		const uint64x2_t low = vandq_u64(vld1q_u64(line),
						 vld1q_u64(line + NEON_WORDS));
		const uint64x2_t high =
			vandq_u64(vld1q_u64(line + 2 * NEON_WORDS),
				  vld1q_u64(line + 3 * NEON_WORDS));
		const uint32x4_t all =
			vreinterpretq_u32_u64(vandq_u64(low, high));

		if (vminvq_u32(all) != UINT32_MAX)
			break;
	}

	return ones_from(words, nr, nr_words);
}

const struct scan_kernel glni_kernel_neon = {
	.name = "neon",
	.is_usable = always_usable,
	.take_lines = take_lines_neon,
	.count = count_spans_neon,
	.drain = drain_spans_neon,
	.ones = ones_neon,
};

#endif
