/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * price.c - from prices to limits.
 *
 * To join two runs over g clean pages costs g * (page + false_protect) and
 * saves a range, with its share of a call. What one gap costs or saves does not
 * depend on the others, so to decide each for itself is the best for all.
 */
#include "core/wp/price.h"

#include "core/base/bits.h"

uint64_t glni_price_max_gap(const struct gln_prices *prices,
			    unsigned int runs_a_call)
{
	/*
	 * Both times @runs_a_call, so that a share of a call stays whole.
	 * Prices are of 32 bits and a call takes few runs: no sum leaves 64.
	 */
	const uint64_t saved =
		(uint64_t)prices->range * runs_a_call + prices->call;
	const uint64_t page =
		((uint64_t)prices->page + prices->false_protect) * runs_a_call;

	if (!saved)
		return 0;
	/* Strictly cheaper: at the same price the pages are left alone. */
	return page ? (saved - 1) / page : UINT64_MAX;
}

unsigned int glni_price_flush_ranges(const struct gln_prices *prices)
{
	if (!prices->flush_all || !prices->flush_range)
		return GLN_FLUSH_RANGES;
	return (unsigned int)gln_min(prices->flush_all / prices->flush_range,
				     GLN_FLUSH_RANGES);
}
