/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_size.c - how large a hashed page table should be, and what it costs.
 */
#include "bench/glean/hpt_size.h"

#include <math.h>

#include <glean/vm.h>

/* A group and its complement. */
#define PAIR_ENTRIES (2 * GLN_HPT_GROUP_ENTRIES)

#define HEAD_BYTES 8U

/* With a mean beyond this no pair has fewer than 16: less than 1e-50 of them.
 */
#define MEAN_ALL_FULL 300.0

/* Terms of a sum that are smaller than this part of it add nothing. */
#define NEGLIGIBLE 1e-17

static unsigned int clamp(unsigned int order)
{
	if (order < GLN_HPT_ORDER_MIN)
		return GLN_HPT_ORDER_MIN;
	return order < GLN_HPT_ORDER_MAX ? order : GLN_HPT_ORDER_MAX;
}

/* log2, rounded up; 0 of 0. */
static unsigned int log2_up(uint64_t number)
{
	unsigned int log = 0;

	while (log < 63 && UINT64_C(1) << log < number)
		log++;
	return log;
}

static uint64_t divide_up(uint64_t number, uint64_t by)
{
	return number / by + (number % by != 0);
}

unsigned int hpt_order(uint64_t memory_bytes)
{
	return clamp(log2_up(divide_up(memory_bytes, HPT_MEMORY_PART)));
}

unsigned int hpt_order_least(uint64_t memory_bytes, unsigned int page_shift)
{
	const uint64_t nr_pages =
		divide_up(memory_bytes, UINT64_C(1) << page_shift);

	/* At least 4 KiB a page: the product does not overflow. */
	return clamp(log2_up(nr_pages * HPT_ENTRIES_A_PAGE) +
		     GLN_HPT_ENTRY_SHIFT);
}

unsigned int hpt_slot_shift(unsigned int page_shift)
{
	return page_shift < GLN_PAGE_SHIFT_MAX ? page_shift
					       : GLN_PAGE_SHIFT_MAX;
}

uint64_t hpt_rmap_bytes(uint64_t memory_bytes, unsigned int page_shift)
{
	const uint64_t page = UINT64_C(1) << hpt_slot_shift(page_shift);

	return divide_up(memory_bytes, page) * HEAD_BYTES;
}

/*
 * The mean of max(0, X - 16) for a Poisson X: the sum over X > 16 of (X - 16)
 * P(X). Terms grow up to the mean and then shrink.
 */
static double mean_excess(double mean)
{
	const double first = PAIR_ENTRIES + 1;
	double term = exp(first * log(mean) - mean - lgamma(first + 1));
	double sum = 0;

	if (mean > MEAN_ALL_FULL)
		return mean - PAIR_ENTRIES;
	for (double x = first; x < mean || term > NEGLIGIBLE * sum; x++) {
		sum += (x - PAIR_ENTRIES) * term;
		term *= mean / (x + 1);
	}
	return sum;
}

double hpt_predict_failures(uint64_t nr_entries, unsigned int order)
{
	const double pairs =
		ldexp(1, (int)order - (int)GLN_HPT_GROUP_SHIFT - 1);
	const double mean = (double)nr_entries / pairs;

	return nr_entries ? mean_excess(mean) / mean : 0;
}
