/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * price_test.c - from prices to limits, against sums too wide to overflow.
 *
 * G4: what costs nothing to leave out is left out.
 */
#include "core/wp/price.h"

#include "core/base/bits.h"
#include "tests/support/random.h"
#include "tests/unit/require.h"

enum { RUNS = 64 };

__extension__ typedef unsigned __int128 wide;

/* Is it cheaper to protect @gap clean pages than to begin another range? */
static bool is_cheaper(const struct gln_prices *prices, uint64_t gap)
{
	const wide page = (wide)prices->page + prices->false_protect;

	return gap * page * RUNS < (wide)prices->range * RUNS + prices->call;
}

static const struct gap_case {
	const char *what;
	struct gln_prices prices;
	uint64_t max_gap;
} gap_cases[] = {
	{"nothing is priced", {0}, 0},
	{"a range is free", {.page = 1, .false_protect = 7}, 0},
	{"a page is as dear as a range", {.range = 9, .page = 9}, 0},
	{"a page is a little cheaper", {.range = 10, .page = 9}, 1},
	{"both prices of a page count",
	 {.range = 100, .page = 4, .false_protect = 6},
	 9},
	{"a 64th of a call alone", {.call = 640, .page = 3}, 3},
	{"it makes two of the same price differ",
	 {.call = 1, .range = 9, .page = 9},
	 1},
	{"pages are free", {.range = 1}, UINT64_MAX},
	{"everything at its dearest",
	 {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
	  UINT32_MAX},
	 0},
	{"a dear range and a cheap page",
	 {.call = UINT32_MAX, .range = UINT32_MAX, .page = 1},
	 (UINT64_C(65) * UINT32_MAX - 1) / 64},
	{"flushes have no part in it",
	 {.range = 10, .page = 9, .flush_range = UINT32_MAX, .flush_all = 1},
	 1},
};

Test(price, a_gap_is_closed_where_that_is_strictly_cheaper)
{
	for (const struct gap_case *c = gap_cases; c < ARRAY_END(gap_cases);
	     c++) {
		const uint64_t got = glni_price_max_gap(&c->prices, RUNS);

		cr_assert_eq(got, c->max_gap, "%s: %" PRIu64, c->what, got);
	}
}

/* Small prices, large ones, none. */
static uint32_t random_price(struct test_random *random)
{
	const uint64_t bits = test_random_next(random);

	switch (bits % 4) {
	case 0:
		return 0;
	case 1:
		return (uint32_t)(bits >> 60);
	case 2:
		return UINT32_MAX - (uint32_t)(bits >> 62);
	default:
		return (uint32_t)(bits >> 32);
	}
}

Test(price, no_prices_overflow)
{
	for (uint64_t seed = 1; seed <= 100000; seed++) {
		struct test_random random = {seed};
		const struct gln_prices prices = {
			.call = random_price(&random),
			.range = random_price(&random),
			.page = random_price(&random),
			.false_protect = random_price(&random),
		};
		const uint64_t max = glni_price_max_gap(&prices, RUNS);

		require(!max || is_cheaper(&prices, max),
			"seed %" PRIu64 ": a gap of %" PRIu64 " is too dear",
			seed, max);
		require((!prices.range && !prices.call) || max == UINT64_MAX ||
				!is_cheaper(&prices, max + 1),
			"seed %" PRIu64 ": one more than %" PRIu64
			" is cheaper still",
			seed, max);
	}
}

static const struct flush_case {
	const char *what;
	uint32_t flush_range;
	uint32_t flush_all;
	unsigned int max;
} flush_cases[] = {
	{"nothing is priced", 0, 0, GLN_FLUSH_RANGES},
	{"only a range is", 5, 0, GLN_FLUSH_RANGES},
	{"only the whole is", 0, 5, GLN_FLUSH_RANGES},
	{"at the same price the ranges", 10, 30, 3},
	{"a little less", 10, 29, 2},
	{"one range is dearer than all", 11, 10, 0},
	{"more than a plan names", 1, 65, GLN_FLUSH_RANGES},
	{"as many as a plan names", 1, 64, 64},
	{"at its dearest", 1, UINT32_MAX, GLN_FLUSH_RANGES},
	{"both", UINT32_MAX, UINT32_MAX, 1},
};

Test(price, ranges_are_flushed_while_they_cost_no_more_than_the_whole_slot)
{
	for (const struct flush_case *c = flush_cases;
	     c < ARRAY_END(flush_cases); c++) {
		const struct gln_prices prices = {
			.flush_range = c->flush_range,
			.flush_all = c->flush_all,
		};

		cr_assert_eq(glni_price_flush_ranges(&prices), c->max, "%s",
			     c->what);
	}
}
