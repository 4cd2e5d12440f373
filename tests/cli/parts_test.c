/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts_test.c - the parts of the command that can be tested alone: patterns,
 * units, statistics, and the comparison that verifies a copy.
 *
 * Plain C, so that it runs under every sanitizer. Random numbers start from
 * fixed seeds: a failure repeats.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/glean/copy.h"
#include "bench/glean/pages.h"
#include "bench/glean/pattern.h"
#include "bench/glean/random.h"
#include "bench/glean/units.h"
#include "bench/glean/zipf.h"
#include "bench/suite/seed_loop.h"
#include "bench/suite/stats.h"

static int nr_failures;

#define CHECK(holds, ...)                                              \
	do {                                                           \
		if (!(holds)) {                                        \
			printf("%s:%d: FAILED: ", __FILE__, __LINE__); \
			printf(__VA_ARGS__);                           \
			putchar('\n');                                 \
			nr_failures++;                                 \
		}                                                      \
	} while (0)

/* --- units --- */

static void units_have_three_digits(void)
{
	static const struct {
		double ns;
		const char *text;
	} cases[] = {
		{0, "0 ns"},	   {7, "7 ns"},	       {7.25, "7.25 ns"},
		{812, "812 ns"},   {999.4, "999 ns"},  {999.6, "1.00 us"},
		{1234, "1.23 us"}, {9994, "9.99 us"},  {9996, "10.0 us"},
		{99960, "100 us"}, {1.5e6, "1.50 ms"}, {999.6e6, "1.00 s"},
		{2.5e9, "2.50 s"}, {123e9, "123 s"},   {4567e9, "4567 s"},
	};
	char text[UNITS_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(!strcmp(units_time(text, cases[i].ns), cases[i].text),
		      "%g ns is %s, not %s", cases[i].ns, cases[i].text, text);
}

static void sizes_that_are_exact_have_no_fraction(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 bytes"},
		{4096, "4 KiB"},
		{1536, "1.50 KiB"},
		{UINT64_C(1) << 30, "1 GiB"},
		{(UINT64_C(1) << 30) + 1, "1.00 GiB"},
		{UINT64_C(12) << 40, "12 TiB"},
		{UINT64_MAX, "16777216 TiB"},
	};
	char text[UNITS_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(!strcmp(units_size(text, cases[i].bytes), cases[i].text),
		      "%s, not %s", cases[i].text, text);
	CHECK(!strcmp(units_count(text, 50000), "50k"), "%s", text);
	CHECK(!strcmp(units_count(text, 98123), "98.1k"), "%s", text);
	CHECK(!strcmp(units_count(text, 950), "950"), "%s", text);
}

/* --- sets of pages --- */

/* Page by page, what the runs of [from, end) should be. */
static void check_runs(const struct pages *pages, const bool *in, uint64_t from,
		       uint64_t end)
{
	struct gln_range runs[3];
	uint64_t at = from, page = from;
	size_t nr;

	while ((nr = pages_take_runs(pages, &at, end, runs, 3))) {
		for (size_t i = 0; i < nr; i++) {
			while (page < end && !in[page])
				page++;
			CHECK(runs[i].first == page, "a run starts at %llu",
			      (unsigned long long)page);
			while (page < end && in[page])
				page++;
			CHECK(runs[i].first + runs[i].count == page,
			      "and ends before %llu", (unsigned long long)page);
		}
	}
	while (page < end && !in[page])
		page++;
	CHECK(page == end && at == end, "no run is left out");
}

static void sets_of_pages_give_their_maximal_runs(void)
{
	uint64_t random = 11;

	for (uint64_t nr_pages = 1; nr_pages <= 200; nr_pages++) {
		const uint64_t density = 1 + random_below(&random, 20);
		struct pages pages;
		bool in[200] = {false};
		uint64_t nr = 0;

		CHECK(!pages_init(&pages, nr_pages), "memory");
		for (uint64_t i = 0; i < nr_pages; i++) {
			in[i] = random_below(&random, 20) < density;
			nr += in[i];
			if (in[i])
				pages_add(&pages, i);
		}
		CHECK(pages_count(&pages) == nr, "counts its pages");
		for (uint64_t from = 0; from < nr_pages; from += 7)
			check_runs(&pages, in, from, nr_pages);
		check_runs(&pages, in, 0, nr_pages / 2);

		pages_fill(&pages);
		CHECK(pages_count(&pages) == nr_pages, "all, and no more");
		CHECK(pages_next_run(&pages, 0, nr_pages).count == nr_pages,
		      "all are one run");
		pages_clear(&pages);
		CHECK(!pages_next_run(&pages, 0, nr_pages).count, "none");
		pages_fini(&pages);
	}
}

/* Its bytes are those of a dirty log: page n is bit n % 8 of byte n / 8. */
static void sets_of_pages_are_little_endian(void)
{
	struct pages pages;

	CHECK(!pages_init(&pages, 130), "memory");
	pages_add(&pages, 9);
	pages_add(&pages, 129);

	const unsigned char *bytes = (const unsigned char *)pages.words;

	CHECK(bytes[1] == 2 && bytes[16] == 2, "bits are where they should be");
	pages_fini(&pages);
}

/* --- patterns --- */

#define PAGES 5000U /* no power of two */

/* How often each page comes in @nr picks of vCPU @vcpu out of 2. */
static void count_picks(enum pattern_kind kind, uint32_t vcpu, uint64_t nr,
			uint64_t counts[PAGES])
{
	struct pattern pattern;

	memset(counts, 0, PAGES * sizeof(counts[0]));
	pattern_init(&pattern, kind, PAGES, 42);
	pattern_set_vcpu(&pattern, vcpu, 2);
	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t page = pattern_next(&pattern);

		CHECK(page < PAGES, "page %llu", (unsigned long long)page);
		if (page < PAGES)
			counts[page]++;
	}
}

static uint64_t nr_nonzero(const uint64_t counts[PAGES])
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < PAGES; i++)
		nr += counts[i] != 0;
	return nr;
}

static int descending(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

static void uniform_picks_all_pages_alike(void)
{
	static uint64_t counts[PAGES];
	double chi = 0;

	count_picks(PATTERN_UNIFORM, 0, 100 * PAGES, counts);
	for (uint64_t i = 0; i < PAGES; i++) {
		const double off = (double)counts[i] - 100;

		chi += off * off / 100;
	}
	/* PAGES - 1 degrees of freedom: five standard deviations are 500. */
	CHECK(fabs(chi - PAGES) < 500, "chi square is %g", chi);
}

/* Rank k is picked as 1 / k^0.99, and the hot pages are not neighbours. */
static void zipf_follows_its_law(void)
{
	static uint64_t counts[PAGES];
	const double nr = 200.0 * PAGES;
	double sum = 0;
	uint64_t neighbours = 0;

	for (uint64_t k = 1; k <= PAGES; k++)
		sum += pow((double)k, -0.99);
	count_picks(PATTERN_ZIPF, 0, (uint64_t)nr, counts);
	for (uint64_t i = 1; i < PAGES; i++)
		neighbours += counts[i] > 1000 && counts[i - 1] > 1000;
	CHECK(neighbours < 30, "%llu hot pages have hot neighbours",
	      (unsigned long long)neighbours);
	CHECK(nr_nonzero(counts) == PAGES, "every page is picked once");

	qsort(counts, PAGES, sizeof(counts[0]), descending);
	for (uint64_t k = 1; k <= PAGES; k *= 3) {
		const double expected = nr * pow((double)k, -0.99) / sum;
		const double got = (double)counts[k - 1];

		/* Sorting favours the lucky among equals: some slack. */
		CHECK(fabs(got - expected) < 6 * sqrt(expected) + 2,
		      "rank %llu: %g picks, not %g", (unsigned long long)k, got,
		      expected);
	}
}

static void zipf_samples_small_sets_too(void)
{
	for (uint64_t n = 1; n <= 4; n++) {
		uint64_t random = 7, counts[5] = {0};
		struct zipf zipf;
		double sum = 0;

		zipf_init(&zipf, n, 0.99);
		for (uint64_t i = 0; i < 1000000; i++) {
			const uint64_t rank = zipf_next(&zipf, &random);

			CHECK(rank >= 1 && rank <= n, "rank out of bounds");
			counts[rank <= 4 ? rank : 0]++;
		}
		for (uint64_t k = 1; k <= n; k++)
			sum += pow((double)k, -0.99);
		for (uint64_t k = 1; k <= n; k++) {
			const double expected =
				1e6 * pow((double)k, -0.99) / sum;

			CHECK(fabs((double)counts[k] - expected) <
				      5 * sqrt(expected),
			      "rank %llu of %llu: %llu picks, not %g",
			      (unsigned long long)k, (unsigned long long)n,
			      (unsigned long long)counts[k], expected);
		}
	}
}

static void sequential_sweeps_its_part(void)
{
	static uint64_t counts[PAGES];

	for (uint32_t vcpu = 0; vcpu < 2; vcpu++) {
		count_picks(PATTERN_SEQUENTIAL, vcpu, PAGES, counts);
		for (uint64_t i = 0; i < PAGES; i++) {
			const bool mine = i / (PAGES / 2) == vcpu;

			CHECK(counts[i] == (mine ? 2 : 0), "page %llu",
			      (unsigned long long)i);
		}
	}
}

static void phases_stay_in_a_window_then_move(void)
{
	static uint64_t counts[PAGES], before[PAGES];
	const uint64_t window = PAGES / 32;
	uint64_t both = 0;

	count_picks(PATTERN_PHASES, 0, 2 * window, before);
	CHECK(nr_nonzero(before) <= window, "a phase stays in its window");
	CHECK(nr_nonzero(before) > window / 2, "and uses it");
	count_picks(PATTERN_PHASES, 0, 4 * window, counts);
	for (uint64_t i = 0; i < PAGES; i++)
		both += before[i] && counts[i] > before[i];
	CHECK(nr_nonzero(counts) > nr_nonzero(before) + window / 2 && !both,
	      "the next phase is elsewhere");
}

static void small_guests_have_pages_for_all(void)
{
	for (uint64_t nr_pages = 1; nr_pages <= 70; nr_pages++) {
		for (unsigned int kind = 0; kind < NR_PATTERNS; kind++) {
			struct pattern pattern;

			pattern_init(&pattern, (enum pattern_kind)kind,
				     nr_pages, nr_pages);
			pattern_set_vcpu(&pattern, 255, 256);
			for (int i = 0; i < 500; i++)
				CHECK(pattern_next(&pattern) < nr_pages,
				      "%s of %llu pages", pattern_names[kind],
				      (unsigned long long)nr_pages);
		}
	}
}

/* --- statistics --- */

static void stats_are_right(void)
{
	double values[] = {4, 1, 3, 2, 10};
	const struct stats five = stats_of(values, 5);

	CHECK(five.mean == 4 && five.median == 3, "mean, median");
	CHECK(fabs(five.stddev - sqrt(12.5)) < 1e-12, "stddev");
	CHECK(fabs(five.cv - sqrt(12.5) / 4) < 1e-12, "cv");
	CHECK(five.spread == 3, "spread");

	double even[] = {4, 1, 3, 2};

	CHECK(stats_of(even, 4).median == 2.5, "median of an even number");

	double one[] = {0};
	const struct stats nothing = stats_of(one, 1);

	CHECK(nothing.median == 0 && nothing.stddev == 0 && nothing.cv == 0 &&
		      nothing.spread == 0,
	      "one repetition of nothing");
}

/* By hand: of the C(n, k) ways to choose k ranks, those as far out. */
static void mann_whitney_is_right(void)
{
	const double low[] = {1, 2, 3, 4, 5};
	const double high[] = {6, 7, 8, 9, 10};
	const double mixed[] = {1, 3, 5};
	const double between[] = {2, 4, 6};
	const double tied[] = {1, 1, 2};
	const double ties[] = {2, 3, 3};
	double many[40], more[40];

	CHECK(fabs(stats_mann_whitney(low, 5, high, 5) - 2.0 / 252) < 1e-12,
	      "all of one are less");
	CHECK(fabs(stats_mann_whitney(high, 5, low, 5) - 2.0 / 252) < 1e-12,
	      "all of the other are");
	CHECK(fabs(stats_mann_whitney(mixed, 3, between, 3) - 14.0 / 20) <
		      1e-12,
	      "in turns: 7 of 20 sums are 9 or less");
	CHECK(fabs(stats_mann_whitney(tied, 3, ties, 3) - 4.0 / 20) < 1e-12,
	      "with ties: 2 of 20 choices are 1, 1 and a 2");
	CHECK(stats_mann_whitney(low, 5, low, 5) == 1, "the same twice");
	CHECK(stats_mann_whitney(low, 0, high, 5) == 1, "nothing");

	for (int i = 0; i < 40; i++) {
		many[i] = i;
		more[i] = i + 0.5;
	}
	CHECK(stats_mann_whitney(many, 40, more, 40) > 0.8, "alike");
	for (int i = 0; i < 40; i++)
		more[i] = i + 20;
	/* z = (600 - 0.5) / sqrt(40 * 40 / 12 * (81 - ties)): 5.77 and so. */
	CHECK(stats_mann_whitney(many, 40, more, 40) < 1e-7 &&
		      stats_mann_whitney(many, 40, more, 40) > 1e-10,
	      "20 apart of 40");
}

static void seed_loop_takes_every_mark(void)
{
	uint64_t live[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, 0};
	const uint64_t was[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, 0};
	const uint64_t zero[5] = {0};
	uint64_t out[5] = {9, 9, 9, 9, 9};

	CHECK(seed_loop(live, out, 5) == 66, "counts the pages");
	CHECK(!memcmp(out, was, sizeof(out)), "copies, zero words too");
	CHECK(!memcmp(live, zero, sizeof(live)), "clears");
}

/* --- the verdict --- */

#define PAGE  4096U
#define COUNT 9U

/* A flipped bit anywhere, the first and last of a page among them, is seen. */
static void one_bit_makes_a_page_different(void)
{
	static const uint64_t offsets[] = {0, 1, 7, PAGE / 2, PAGE - 1};
	static unsigned char a[COUNT * PAGE], b[COUNT * PAGE];
	uint64_t random = 1;

	for (size_t i = 0; i < sizeof(a); i++)
		a[i] = (unsigned char)random_next(&random);
	copy_live(b, a, sizeof(a));
	CHECK(!count_different_pages(a, b, COUNT, PAGE), "a copy is the same");

	for (uint64_t page = 0; page < COUNT; page++) {
		for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++)
			for (unsigned int bit = 0; bit < 8; bit++) {
				unsigned char *byte =
					&b[page * PAGE + offsets[i]];

				*byte ^= (unsigned char)(1U << bit);
				CHECK(count_different_pages(a, b, COUNT,
							    PAGE) == 1,
				      "page %llu", (unsigned long long)page);
				*byte ^= (unsigned char)(1U << bit);
			}
	}
	memset(b, 0, sizeof(b));
	CHECK(count_different_pages(a, b, COUNT, PAGE) == COUNT, "all differ");
}

int main(void)
{
	units_have_three_digits();
	sizes_that_are_exact_have_no_fraction();
	sets_of_pages_give_their_maximal_runs();
	sets_of_pages_are_little_endian();
	uniform_picks_all_pages_alike();
	zipf_follows_its_law();
	zipf_samples_small_sets_too();
	sequential_sweeps_its_part();
	phases_stay_in_a_window_then_move();
	small_guests_have_pages_for_all();
	stats_are_right();
	mann_whitney_is_right();
	seed_loop_takes_every_mark();
	one_bit_makes_a_page_different();
	if (!nr_failures)
		puts("all parts are right");
	return nr_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
