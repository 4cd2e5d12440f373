/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - how often which value came up, from 0 to 2^64 - 1, in buckets
 * that are log-linear: each power of two is cut into eight of one width.
 *
 *	value		0 1 ... 15  16 17  18 19 ...  30 31  32 ... 35  36 ...
 *	bucket		0 1 ... 15    16     17         23       24       25
 *
 *   H1  A value is in a bucket whose last value is less than 9/8 of it; below
 *       16 a bucket is one value.
 *   H2  Adding takes no lock and is three relaxed accesses, two of them locked.
 *       Only a value above all before goes round, and then only as often as
 *       other threads add higher ones meanwhile.
 *   H3  Counts only grow. A reader stops nobody, and may be some values behind.
 */
#ifndef GLN_CORE_BASE_HISTOGRAM_H
#define GLN_CORE_BASE_HISTOGRAM_H

#include <stddef.h>

#include "core/base/atomic.h"
#include "core/base/bits.h"

enum {
	/* Buckets a power of two, as a shift: 4 KiB a histogram. */
	HISTOGRAM_SHIFT = 3,
	HISTOGRAM_BUCKETS = (GLN_WORD_BITS - HISTOGRAM_SHIFT + 1)
			    << HISTOGRAM_SHIFT,
};

/** struct histogram - counts by bucket; all 0 is an empty one. */
struct histogram {
	gln_word sum;
	gln_word max;
	gln_word counts[HISTOGRAM_BUCKETS];
};

/*
 * The bucket of a value: its four highest bits, behind those of lower powers.
 *
 *	value	0 .. 0 1 a b c x x x x x	shift = 5, the number of x
 *	bucket		shift * 8 + 1 a b c
 */
static inline unsigned int histogram_bucket(uint64_t value)
{
	const unsigned int shift =
		value >> HISTOGRAM_SHIFT ? gln_last_set(value) - HISTOGRAM_SHIFT
					 : 0;

	return (shift << HISTOGRAM_SHIFT) + (unsigned int)(value >> shift);
}

/* How many of a bucket's low bits are any, as its values differ in them. */
static inline unsigned int histogram_width_shift(unsigned int bucket)
{
	const unsigned int power = bucket >> HISTOGRAM_SHIFT;

	return power ? power - 1 : 0;
}

/** histogram_first() - the lowest value of a bucket. */
static inline uint64_t histogram_first(unsigned int bucket)
{
	const unsigned int shift = histogram_width_shift(bucket);

	return (uint64_t)(bucket - (shift << HISTOGRAM_SHIFT)) << shift;
}

/** histogram_last() - the highest value of a bucket. */
static inline uint64_t histogram_last(unsigned int bucket)
{
	return histogram_first(bucket) |
	       gln_low_bits(histogram_width_shift(bucket));
}

/** histogram_add() - one more of @value. Any thread. */
static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	uint64_t max;

	/*
	 * Relaxed, all of them: figures order nothing. The maximum comes first,
	 * and is read last, so that hardly anybody sees the count without it.
	 */
	max = gln_load_relaxed(&histogram->max);
	while (value > max &&
	       !gln_cas_strong_relaxed(&histogram->max, &max, value))
		;
	gln_fetch_add_relaxed(&histogram->counts[histogram_bucket(value)], 1);
	gln_fetch_add_relaxed(&histogram->sum, value);
}

/** histogram_count() - how many values there are. */
static inline uint64_t histogram_count(const struct histogram *histogram)
{
	uint64_t sum = 0;

	/* Relaxed: a figure. */
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += gln_load_relaxed(&histogram->counts[i]);

	return sum;
}

/** histogram_rank() - which of @count values, in order, @percent of them reach:
 * 1 is the lowest. @percent is from 1 to 100, @count not 0.
 */
static inline uint64_t histogram_rank(uint64_t count, unsigned int percent)
{
	return count / 100 * percent + gln_div_up(count % 100 * percent, 100);
}

/**
 * histogram_values() - the values at @nr ranks, which ascend: each the last of
 * its bucket, so up to 1/8 too high (H1), and never above the highest of all.
 */
static inline void histogram_values(const struct histogram *histogram,
				    const uint64_t *ranks, size_t nr,
				    uint64_t *values)
{
	uint64_t max, sum = 0;
	size_t found = 0;

	/* Relaxed, these and the maximum: figures. */
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS && found < nr; i++) {
		sum += gln_load_relaxed(&histogram->counts[i]);
		for (; found < nr && sum >= ranks[found]; found++)
			values[found] = histogram_last(i);
	}
	for (; found < nr; found++)
		values[found] = UINT64_MAX;
	max = gln_load_relaxed(&histogram->max);
	for (size_t i = 0; i < nr; i++)
		values[i] = gln_min(values[i], max);
}

#endif
