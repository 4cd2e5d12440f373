/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs_test.c - from bits to maximal runs.
 *
 * G4, G9; H-09 (no clean page between), H-10, H-11 (bit 63), H-12 (any base).
 */
#include "core/wp/runs.h"

#include <stdlib.h>
#include <string.h>

#include "core/bitmap/kernel.h"
#include "tests/support/pages.h"
#include "tests/unit/require.h"

static const struct run_case {
	const char *what;
	uint64_t mask;
	size_t nr_runs;
	struct gln_range runs[3];
} cases[] = {
	{"the first page", 1, 1, {{0, 1}}},
	{"the last page", UINT64_C(1) << 63, 1, {{63, 1}}},
	{"a page at each end", UINT64_C(1) << 63 | 1, 2, {{0, 1}, {63, 1}}},
	{"a full word is one run", UINT64_MAX, 1, {{0, 64}}},
	{"all but the first page", UINT64_MAX - 1, 1, {{1, 63}}},
	{"all but the last page", UINT64_MAX >> 1, 1, {{0, 63}}},
	{"a run may end at bit 63", UINT64_C(15) << 60, 1, {{60, 4}}},
	{"a run may end at bit 62", UINT64_C(7) << 60, 1, {{60, 3}}},
	{"two runs and a clean page", 0x37, 2, {{0, 3}, {4, 2}}},
	{"three runs, the last at the end",
	 UINT64_C(3) << 62 | UINT64_C(1) << 40 | 6,
	 3,
	 {{1, 2}, {40, 1}, {62, 2}}},
};

Test(run_take, finds_each_run)
{
	for (const struct run_case *c = cases; c < ARRAY_END(cases); c++) {
		uint64_t mask = c->mask;
		size_t nr = 0;

		for (; mask; nr++) {
			const struct gln_range got = run_take(&mask, 0);

			cr_assert_lt(nr, c->nr_runs, "%s", c->what);
			cr_assert_eq(got.first, c->runs[nr].first, "%s",
				     c->what);
			cr_assert_eq(got.count, c->runs[nr].count, "%s",
				     c->what);
		}
		cr_assert_eq(nr, c->nr_runs, "%s", c->what);
	}
}

Test(run_take, finds_every_single_run)
{
	for (unsigned int first = 0; first < 64; first++)
		for (unsigned int last = first; last < 64; last++) {
			uint64_t mask = gln_bits_between(first, last);
			const struct gln_range got = run_take(&mask, 1000);

			require(got.first == 1000 + first &&
					got.count == last - first + 1 && !mask,
				"[%u, %u]", first, last);
		}
}

/* Dense, sparse and run-structured words, by turns. */
static uint64_t random_mask(uint64_t seed)
{
	struct test_random random = {seed};
	uint8_t pages[64];
	uint64_t mask = 0;

	test_pages_fill(pages, 64, seed, &random);
	for (unsigned int i = 0; i < 64; i++)
		mask |= (uint64_t)pages[i] << i;

	return mask;
}

Test(run_take, puts_the_mask_back_together_from_maximal_runs)
{
	for (uint64_t seed = 1; seed <= 100000; seed++) {
		const uint64_t mask = random_mask(seed);
		uint64_t left = mask, sum = 0, end = 0;

		while (left) {
			const struct gln_range run = run_take(&left, 0);
			const unsigned int first = (unsigned int)run.first;

			require(!sum || run.first > end,
				"seed %" PRIu64 ": runs touch", seed);
			end = run.first + run.count;
			sum |= gln_bits_between(first, (unsigned int)end - 1);
		}
		require(sum == mask, "seed %" PRIu64, seed);
	}
}

/* A snapshot made of bytes; lines not taken hold garbage (B4). */
static void snapshot_of(struct snapshot *snap, const uint8_t *pages,
			uint64_t nr_pages)
{
	const size_t bytes = bitmap_words_bytes(nr_pages);

	snap->nr_pages = nr_pages;
	snap->words = malloc(bytes);
	snap->taken = calloc(1, bitmap_summary_bytes(nr_pages));
	cr_assert(snap->words && snap->taken);
	memset(snap->words, 0xa7, bytes);

	for (uint64_t i = 0; i < nr_pages; i++) {
		const uint64_t line = i >> LINE_SHIFT;
		const uint64_t bit = UINT64_C(1) << line % 64;

		if (!pages[i])
			continue;
		if (!(snap->taken[line / 64] & bit))
			memset(&snap->words[line * LINE_WORDS], 0,
			       LINE_WORDS * sizeof(uint64_t));
		snap->taken[line / 64] |= bit;
		snap->words[i / 64] |= UINT64_C(1) << i % 64;
	}
}

static void snapshot_free(struct snapshot *snap)
{
	free(snap->words);
	free(snap->taken);
}

/* Each walk uses another of the kernels that this CPU can run. */
static const struct scan_kernel *next_kernel(void)
{
	static size_t turn;
	const struct scan_kernel *kernel;

	do {
		kernel = glni_scan_kernel(turn++);
		if (!kernel)
			turn = 0;
	} while (!kernel || !kernel->is_usable());

	return kernel;
}

/* Walk in vectors of @max, and compare with the model. */
static void expect_runs(const struct snapshot *snap, const uint8_t *pages,
			gln_gfn base, size_t max, uint64_t seed)
{
	const uint64_t nr_pages = snap->nr_pages;
	struct gln_range *const want = calloc(nr_pages / 2 + 1, sizeof(*want));
	struct gln_range *const got = calloc(max, sizeof(*got));
	struct run_walk walk;
	size_t nr_want, nr, at = 0;

	nr_want = test_pages_runs(pages, nr_pages, base, want);
	glni_runs_start(&walk, snap, next_kernel());
	do {
		nr = glni_runs_next(&walk, base, got, max);
		require(nr == gln_min(max, nr_want - at) &&
				!memcmp(got, want + at, nr * sizeof(*got)),
			"seed %" PRIu64 ", %" PRIu64 " pages at %#" PRIx64
			", vectors of %zu: runs from %zu on",
			seed, nr_pages, base, max, at);
		at += nr;
	} while (nr);
	require(glni_runs_next(&walk, base, got, max) == 0,
		"seed %" PRIu64 ": a run after the end", seed);
	free(want);
	free(got);
}

static void check_size(uint64_t nr_pages, gln_gfn base, uint64_t seed,
		       const size_t *vectors, size_t nr_vectors)
{
	struct test_random random = {seed};
	uint8_t *const pages = calloc(nr_pages, 1);
	struct snapshot snap;

	cr_assert_not_null(pages);
	test_pages_fill(pages, nr_pages, seed, &random);
	snapshot_of(&snap, pages, nr_pages);
	for (size_t i = 0; i < nr_vectors; i++)
		expect_runs(&snap, pages, base, vectors[i], seed);
	snapshot_free(&snap);
	free(pages);
}

Test(runs, every_small_size_at_every_base_modulo_64)
{
	static const size_t vectors[] = {64};

	for (uint64_t nr = 1; nr <= 200; nr++)
		for (gln_gfn base = 0; base < 64; base++)
			check_size(nr, base, nr * 64 + base, vectors, 1);
}

Test(runs, every_small_size_at_every_density_however_vectors_cut)
{
	static const size_t vectors[] = {1, 2, 3, 7, 63, 64, 65, 200};

	for (uint64_t nr = 1; nr <= 200; nr++)
		for (uint64_t seed = 0; seed < NR_PATTERNS; seed++)
			check_size(nr, 1000 + nr, seed, vectors,
				   sizeof(vectors) / sizeof(vectors[0]));
}

Test(runs, lines_and_summary_words_are_crossed)
{
	static const uint64_t sizes[] = {511,	512,   513,   1024,  1025,
					 32767, 32768, 32769, 65537, 100000};
	static const size_t vectors[] = {1, 64, 1000};

	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++)
		for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++)
			check_size(*nr, 1000 + seed, seed, vectors,
				   sizeof(vectors) / sizeof(vectors[0]));
}

/* A word that a walk may take another way for. */
static uint64_t edge_word(struct test_random *random)
{
	static const uint64_t edges[] = {
		0,
		UINT64_MAX,
		1,
		UINT64_C(1) << 63,
		UINT64_C(1) << 63 | 1,
		UINT64_MAX << 1,
		UINT64_MAX >> 1,
		UINT64_C(0x5555555555555555),
		UINT64_C(0xaaaaaaaaaaaaaaaa),
	};
	const uint64_t nr = sizeof(edges) / sizeof(edges[0]);
	const uint64_t i = test_random_below(random, nr + 1);

	return i < nr ? edges[i] : test_random_next(random);
}

/* Words of the same kind come in groups: some longer than a line. */
static void fill_with_edges(uint8_t *pages, uint64_t nr_pages,
			    struct test_random *random)
{
	uint64_t word = 0, left = 0;

	for (uint64_t i = 0; i < nr_pages; i++) {
		if (i % 64 == 0 && !left--) {
			word = edge_word(random);
			left = test_random_below(random, 4)
				       ? 0
				       : test_random_below(random, 20);
		}
		pages[i] = word >> i % 64 & 1;
	}
}

Test(runs, words_of_all_kinds_side_by_side_however_vectors_cut)
{
	static uint8_t pages[40 * 64];

	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct test_random random = {seed};
		const uint64_t nr_pages =
			test_random_between(&random, 1, sizeof(pages));
		struct snapshot snap;

		fill_with_edges(pages, nr_pages, &random);
		snapshot_of(&snap, pages, nr_pages);
		for (size_t max = 1; max <= 6; max++)
			expect_runs(&snap, pages, seed, max, seed);
		expect_runs(&snap, pages, seed,
			    test_random_between(&random, 7, 100), seed);
		snapshot_free(&snap);
	}
}

/* More lines than a span has: 512. */
Test(runs, spans_that_touch_are_one)
{
	enum { NR_PAGES = 3 * 512 * 512 + 77 };
	static uint8_t pages[NR_PAGES];

	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct test_random random = {seed};
		const uint64_t hole = test_random_below(&random, NR_PAGES);
		struct snapshot snap;

		/* The seam between spans among ones, among twos, by turns. */
		memset(pages, 1, sizeof(pages));
		for (uint64_t i = seed % 3; seed % 3 && i < NR_PAGES; i += 3)
			pages[i] = 0;
		pages[hole] = 0;
		snapshot_of(&snap, pages, NR_PAGES);
		expect_runs(&snap, pages, 0, 64, seed);
		snapshot_free(&snap);
	}
}

Test(runs, a_run_at_the_end_of_a_word_joins_nothing_beyond_a_clean_one)
{
	enum { SPAN = 512 * 512 };
	static uint8_t pages[2 * SPAN];

	for (uint64_t gap = 64; gap < 512; gap += 64) {
		struct snapshot snap;

		/* Something in each line, so that a span is as long as can be.
		 */
		memset(pages, 0, sizeof(pages));
		for (uint64_t i = 0; i < 2 * SPAN; i += LINE_PAGES)
			pages[i] = 1;
		pages[SPAN - gap - 1] = 1;
		snapshot_of(&snap, pages, 2 * SPAN);
		expect_runs(&snap, pages, 0, 64, gap);
		snapshot_free(&snap);
	}
}

/* Only these runs are dirty; garbage elsewhere must be skipped. */
static void expect_given(uint64_t nr_pages, gln_gfn base,
			 const struct gln_range *runs, size_t nr_runs)
{
	uint8_t *const pages = calloc(nr_pages, 1);
	struct snapshot snap;

	cr_assert_not_null(pages);
	for (size_t i = 0; i < nr_runs; i++)
		test_pages_set(pages, runs[i].first,
			       runs[i].first + runs[i].count);
	snapshot_of(&snap, pages, nr_pages);
	expect_runs(&snap, pages, base, 64, 0);
	snapshot_free(&snap);
	free(pages);
}

Test(runs, runs_join_across_words_lines_and_summary_words)
{
	static const struct gln_range over_a_word[] = {{63, 2}};
	static const struct gln_range over_a_line[] = {{511, 2}};
	static const struct gln_range over_a_group[] = {{32767, 2}};
	static const struct gln_range over_all[] = {{1, 99998}};
	static const struct gln_range up_to_each[] = {
		{0, 64}, {448, 64}, {32704, 64}, {99999, 1}};

	expect_given(100000, 0, over_a_word, 1);
	expect_given(100000, 0, over_a_line, 1);
	expect_given(100000, 0, over_a_group, 1);
	expect_given(100000, 0, over_all, 1);
	expect_given(100000, 0, up_to_each, 4);
}

Test(runs, lines_that_were_not_taken_are_skipped)
{
	static const struct gln_range far_apart[] = {
		{0, 1}, {5000, 1}, {40000, 512}, {99328, 1}};
	static const struct gln_range late[] = {{98303, 1}};

	expect_given(100000, 7, far_apart, 4);
	expect_given(100000, 7, late, 1);
	expect_given(100000, 7, NULL, 0);
}

Test(runs, frames_near_the_end_of_the_address_space_do_not_wrap)
{
	static const struct gln_range ends[] = {{0, 1}, {100, 100}};

	expect_given(200, (UINT64_C(1) << 52) - 200, ends, 2);
}

Test(runs, no_room_gives_no_run_and_loses_none)
{
	uint8_t pages[100] = {[99] = 1};
	struct gln_range run;
	struct snapshot snap;
	struct run_walk walk;

	snapshot_of(&snap, pages, 100);
	glni_runs_start(&walk, &snap, next_kernel());
	cr_assert_eq(glni_runs_next(&walk, 0, NULL, 0), 0);
	cr_assert_eq(glni_runs_next(&walk, 0, &run, 1), 1);
	cr_assert_eq(run.first, 99);
	cr_assert_eq(run.count, 1);
	snapshot_free(&snap);
}
