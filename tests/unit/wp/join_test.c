/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * join_test.c - ranges over gaps, against a model that asks of every clean page
 * how far it is to the next dirty ones.
 *
 * G4: what is dirty is never joined, only what is protected; and by price.
 */
#include "core/wp/join.h"

#include "core/bitmap/kernel.h"
#include "tests/unit/guest.h"

enum { MAX_PAGES = 3000, ID = 3 };

/* The gap that clean @page lies in; none at either end of the slot. */
static uint64_t gap_around(const uint8_t *pages, uint64_t nr_pages,
			   uint64_t page)
{
	uint64_t first = page, end = page + 1;

	while (first && !pages[first - 1])
		first--;
	while (end < nr_pages && !pages[end])
		end++;
	return first && end < nr_pages ? end - first : UINT64_MAX;
}

/* What is to be protected. Returns how many pages of it are clean. */
static uint64_t model(const uint8_t *pages, uint64_t nr_pages, uint64_t max_gap,
		      uint8_t *joined)
{
	uint64_t nr_gap = 0;

	for (uint64_t i = 0; i < nr_pages; i++) {
		const uint64_t gap =
			pages[i] ? 0 : gap_around(pages, nr_pages, i);

		joined[i] = pages[i] || (gap <= max_gap && gap != UINT64_MAX);
		nr_gap += joined[i] && !pages[i];
	}

	return nr_gap;
}

static const uint64_t gaps[] = {0, 1, 2, 3, 7, 63, 64, 65, 600, UINT64_MAX};

/* Walk in vectors of @max. */
static void expect_joins(const struct snapshot *snap, const uint8_t *pages,
			 uint64_t max_gap, size_t max, uint64_t seed)
{
	static uint8_t joined[MAX_PAGES];
	static struct gln_range want[MAX_PAGES / 2 + 1], got[MAX_PAGES];
	const uint64_t nr_gap = model(pages, snap->nr_pages, max_gap, joined);
	const size_t nr_want =
		test_pages_runs(joined, snap->nr_pages, 1000, want);
	struct join_walk walk;
	size_t nr, at = 0;

	glni_joins_start(&walk, snap, glni_best_kernel(), max_gap);
	do {
		nr = glni_joins_next(&walk, 1000, got, max);
		require(nr == gln_min(max, nr_want - at) &&
				!memcmp(got, &want[at], nr * sizeof(*got)),
			"seed %" PRIu64 ", gap %" PRIu64 ", vectors of %zu: "
			"ranges from %zu on",
			seed, max_gap, max, at);
		at += nr;
	} while (nr);
	require(walk.gap_pages == nr_gap,
		"seed %" PRIu64 ", gap %" PRIu64 ": %" PRIu64 " clean pages",
		seed, max_gap, walk.gap_pages);
	require(glni_joins_next(&walk, 1000, got, max) == 0,
		"seed %" PRIu64 ": a range after the end", seed);
}

/* All lines are taken. */
static void snapshot_of(struct snapshot *snap, const uint8_t *pages,
			uint64_t nr_pages)
{
	static uint64_t words[MAX_PAGES / 64 + LINE_WORDS], taken[LINE_WORDS];

	*snap = (struct snapshot){nr_pages, words, taken};
	memset(words, 0, sizeof(words));
	memset(taken, 0, sizeof(taken));
	for (uint64_t i = 0; i < nr_pages; i++)
		words[i / 64] |= (uint64_t)pages[i] << i % 64;
	for (uint64_t i = 0; i < gln_div_up(nr_pages, LINE_PAGES); i++)
		taken[0] |= UINT64_C(1) << i;
}

Test(join, joins_what_lies_close_and_nothing_else)
{
	static const size_t vectors[] = {1, 2, 3, 64};
	static uint8_t pages[MAX_PAGES];

	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct test_random random = {seed};
		const uint64_t nr_pages =
			test_random_between(&random, 1, seed % 4 ? 300 : 1500);
		struct snapshot snap;

		test_pages_fill(pages, nr_pages, seed, &random);
		snapshot_of(&snap, pages, nr_pages);
		for (const uint64_t *gap = gaps; gap < ARRAY_END(gaps); gap++)
			for (const size_t *max = vectors;
			     max < ARRAY_END(vectors); max++)
				expect_joins(&snap, pages, *gap, *max, seed);
	}
}

/* A harvest with prices. */

static struct guest guest;

/* Prices that close gaps of up to @max_gap. */
static struct gln_prices prices_for(uint64_t max_gap)
{
	return (struct gln_prices){
		.range = (uint32_t)max_gap + 1,
		.false_protect = 1,
	};
}

/* All ranges that protect was given, as pages of a slot at @base. */
static void read_protected(uint8_t *pages, gln_gfn base)
{
	const struct fake_call *call;

	for (size_t i = 0;
	     (call = fake_backend_nth(&guest.fake, FAKE_PROTECT, i)); i++)
		for (size_t j = 0; j < call->nr_ranges; j++) {
			const struct gln_range range =
				guest.fake.ranges[call->first_range + j];

			test_pages_set(pages, range.first - base,
				       range.first - base + range.count);
		}
}

/* Mark, harvest with gaps of up to @max_gap, look at everything. */
static void harvest_with_gaps(uint64_t nr_pages, uint64_t max_gap,
			      uint64_t seed)
{
	static struct gln_range runs[MAX_PAGES / 2 + 1], got[MAX_PAGES];
	static uint8_t pages[MAX_PAGES], want[MAX_PAGES], saw[MAX_PAGES];
	const gln_gfn base = 512 + seed;
	const uint64_t counted = guest_stats(&guest).gap_pages;
	struct test_random random = {seed};
	struct gln_harvest *harvest;
	struct gln_harvest_report report;
	uint64_t nr_gap;
	size_t nr_runs;

	memset(saw, 0, sizeof(saw));
	test_pages_fill(pages, nr_pages, seed, &random);
	nr_gap = model(pages, nr_pages, max_gap, want);
	guest.fake.backend.prices = prices_for(max_gap);
	guest_log_slot(&guest, ID, base, nr_pages);
	guest_mark(&guest, base, pages, nr_pages);

	harvest = guest_begin(&guest, ID);
	read_protected(saw, base);
	require(!memcmp(saw, want, nr_pages),
		"seed %" PRIu64 ": other pages protected", seed);
	report = guest_report(harvest);
	require(report.gap_pages == nr_gap &&
			guest_stats(&guest).gap_pages == counted + nr_gap &&
			report.nr_runs ==
				test_pages_runs(want, nr_pages, base, runs) &&
			report.nr_pages == test_pages_count(pages, 0, nr_pages),
		"seed %" PRIu64 ": reported %" PRIu64 " pages, %" PRIu64
		" in gaps, %" PRIu64 " runs",
		seed, report.nr_pages, report.gap_pages, report.nr_runs);

	/* What is given out is what is dirty: no page of a gap. */
	nr_runs = test_pages_runs(pages, nr_pages, base, runs);
	require(gln_harvest_next(harvest, got, MAX_PAGES) == nr_runs &&
			!memcmp(got, runs, nr_runs * sizeof(*runs)),
		"seed %" PRIu64 ": other runs given", seed);
	require(gln_harvest_commit(harvest) == report.nr_pages &&
			!guest_count_marks(&guest, ID),
		"seed %" PRIu64 ": a page too many or too few", seed);
	require(!gln_slot_remove(guest.vm, ID), "seed %" PRIu64, seed);
}

Test(join, a_harvest_protects_gaps_and_reports_none_of_them)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH | GLN_CAP_GAPS, 0);
	for (uint64_t seed = 1; seed <= 200; seed++)
		harvest_with_gaps(1 + seed * 7, seed % 5, seed);
	guest_stop(&guest);
}

/* Harvest every second page of ten. */
static struct gln_harvest *begin_with_gaps(struct gln_prices prices)
{
	guest.fake.backend.prices = prices;
	for (uint64_t i = 0; i < 10; i++)
		gln_dirty_mark(guest.vm, 2 * i);
	fake_backend_forget(&guest.fake);
	return guest_begin(&guest, ID);
}

static void expect_ranges(struct gln_prices prices, uint64_t nr,
			  bool whole_slot, const char *what)
{
	struct gln_harvest *const harvest = begin_with_gaps(prices);
	const struct fake_call *const flush =
		fake_backend_nth(&guest.fake, FAKE_FLUSH, 0);

	cr_assert_eq(guest_report(harvest).nr_runs, nr, "%s", what);
	cr_assert_eq(flush->whole_slot, whole_slot, "%s", what);
	cr_assert_eq(gln_harvest_commit(harvest), 10, "%s", what);
}

Test(join, no_clean_page_is_protected_without_a_price_or_the_capability)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
	guest_log_slot(&guest, ID, 0, 100);
	expect_ranges(prices_for(50), 10, false, "no capability");
	guest.fake.ops.caps |= GLN_CAP_GAPS;
	expect_ranges((struct gln_prices){0}, 10, false, "no price");
	expect_ranges(prices_for(50), 1, false, "both");
	guest_stop(&guest);
}

Test(join, many_ranges_become_one_flush_where_that_is_cheaper)
{
	const struct gln_prices dear = {.flush_range = 10, .flush_all = 99};
	const struct gln_prices same = {.flush_range = 10, .flush_all = 100};

	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
	guest_log_slot(&guest, ID, 0, 100);
	expect_ranges(dear, 10, true, "ten are dearer");
	expect_ranges(same, 10, false, "ten cost the same");
	guest_stop(&guest);
}

Test(join, an_abort_marks_what_was_dirty_and_no_gap)
{
	struct gln_harvest *harvest;

	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH | GLN_CAP_GAPS, 0);
	guest_log_slot(&guest, ID, 0, 100);
	harvest = begin_with_gaps(prices_for(1));
	cr_assert_eq(gln_harvest_abort(harvest), 10);
	cr_assert_eq(guest_count_marks(&guest, ID), 10);
	guest_stop(&guest);
}
