/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * take_test.c - marks move into the snapshot once each, within every limit.
 *
 * B1 to B4; G7 (budget, cursor, progress), G9 (sizes, nothing past the end);
 * H-02, H-06, H-10, H-11, H-13.
 */
#include "tests/unit/bitmap/fixture.h"

static const uint64_t edge_sizes[] = {
	511, 512, 513, 1024, 1100, 32767, 32768, 32769, 65537, 70000,
};

static const uint64_t budgets[] = {
	1, 2, 63, 64, 65, 511, 512, 513, 1000, 32767, 32768, 32769, UINT64_MAX,
};

enum { EXHAUSTIVE_PAGES = 200 };

/* How a failure names its case. */
#define CASE "%" PRIu64 " pages, [%" PRIu64 ", %" PRIu64 "), seed %" PRIu64

/*
 * Take within @limits, which have no deadline, and check every word of the
 * contract; then that model and bits agree.
 */
static struct take_result take(struct fixture *f,
			       const struct take_limits *limits, uint64_t seed)
{
	const uint64_t nr_pages = f->bm.nr_pages;
	const uint64_t first = limits->first, end = limits->end;
	const uint64_t there = test_pages_count(f->live, first, end);
	const struct take_result got =
		glni_bitmap_take(&f->bm, &f->snap, limits);
	uint64_t left = gln_min(there, limits->max_pages);

	require(got.nr_pages == left, CASE ": took %" PRIu64 " of %" PRIu64,
		nr_pages, first, end, seed, got.nr_pages, left);
	require(got.next_page > first && got.next_page <= end,
		CASE ": next page %" PRIu64, nr_pages, first, end, seed,
		got.next_page);
	require(got.next_page == end || left == limits->max_pages,
		CASE ": stopped at %" PRIu64 " for no reason", nr_pages, first,
		end, seed, got.next_page);

	for (uint64_t i = first; i < end && left; i++) {
		if (!f->live[i])
			continue;
		require(i < got.next_page, CASE ": took page %" PRIu64 " ahead",
			nr_pages, first, end, seed, i);
		f->live[i] = 0;
		f->taken[i] = 1;
		left--;
	}
	require(!test_pages_count(f->live, first, got.next_page),
		CASE ": pages before %" PRIu64 " were passed over", nr_pages,
		first, end, seed, got.next_page);
	fixture_check(f, "take", seed);

	return got;
}

/* Take all of [first, end), with nothing in the snapshot before. */
static void take_range(struct fixture *f, uint64_t first, uint64_t end,
		       uint64_t seed)
{
	const struct take_limits limits = {
		.first = first,
		.end = end,
		.max_pages = UINT64_MAX,
	};

	fixture_forget_taken(f);
	take(f, &limits, seed);
}

Test(take, takes_all_of_every_size_at_every_density)
{
	for (uint64_t nr = 1; nr <= EXHAUSTIVE_PAGES; nr++) {
		for (uint64_t seed = 0; seed < NR_FENCE_FORMS * NR_PATTERNS;
		     seed++) {
			struct test_random random = {seed + nr};
			struct fixture f;

			fixture_init(&f, nr, fence_forms[seed / NR_PATTERNS]);
			fixture_fill(&f, seed, &random);
			take_range(&f, 0, nr, seed);
			require(fixture_summary_is_clear(&f),
				"%" PRIu64 " pages, seed %" PRIu64
				": a summary bit is left",
				nr, seed);
			fixture_fini(&f);
		}
	}
}

/*
 * A bitmap of three levels, some pages of it marked, taken in pieces that begin
 * and end anywhere: each page is taken by the piece it is in, and once.
 */
enum {
	LEVELS_PAGES = 2 * 134217728 + 262144 + 700,
	LEVELS_MARKS = 300,
	LEVELS_PIECES = 7,
};

static uint64_t take_piece(struct bitmap *bm, struct snapshot *snap,
			   uint64_t first, uint64_t end, const uint64_t *marked,
			   uint64_t seed)
{
	const struct take_limits limits = {
		.first = first,
		.end = end,
		.max_pages = UINT64_MAX,
	};
	const struct take_result got = glni_bitmap_take(bm, snap, &limits);

	require(got.next_page == end, "seed %" PRIu64, seed);
	for (unsigned int i = 0; i < LEVELS_MARKS; i++) {
		const uint64_t page = marked[i];
		const bool is_in = page >= first && page < end;

		require((snapshot_word(snap, page / 64) >> page % 64 & 1) ==
				is_in,
			"seed %" PRIu64 ", [%" PRIu64 ", %" PRIu64
			"): page %" PRIu64,
			seed, first, end, page);
	}
	glni_snapshot_drain(snap, bm->kernel);
	return got.nr_pages;
}

static int compare_pages(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

Test(take, finds_its_way_through_all_levels)
{
	const size_t summary_bytes = bitmap_summary_bytes(LEVELS_PAGES);
	struct bitmap bm = {
		.nr_pages = LEVELS_PAGES,
		.words = fixture_lines(LEVELS_PAGES, 0),
		.summary = calloc(1, summary_bytes),
		.kernel = glni_best_kernel(),
	};
	struct snapshot snap = {
		.nr_pages = LEVELS_PAGES,
		.words = fixture_lines(LEVELS_PAGES, 0),
		.taken = calloc(1, summary_bytes),
	};

	cr_assert(bm.summary && snap.taken);
	bitmap_find_levels(&bm);
	cr_assert_eq(bm.nr_upper, 2);
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct test_random random = {seed};
		uint64_t marked[LEVELS_MARKS], cuts[LEVELS_PIECES + 1];
		uint64_t nr_new = 0, nr_taken = 0;

		bm.fence = fence_forms[seed % NR_FENCE_FORMS];
		for (unsigned int i = 0; i < LEVELS_MARKS; i++) {
			marked[i] = test_random_below(&random, LEVELS_PAGES);
			nr_new += bitmap_mark(&bm, marked[i]);
		}
		cr_assert_eq(glni_bitmap_count(&bm), nr_new);
		for (unsigned int i = 1; i < LEVELS_PIECES; i++)
			cuts[i] = 1 +
				  test_random_below(&random, LEVELS_PAGES - 1);
		cuts[0] = 0;
		cuts[LEVELS_PIECES] = LEVELS_PAGES;
		qsort(cuts, LEVELS_PIECES + 1, sizeof(cuts[0]), compare_pages);
		for (unsigned int i = 0; i < LEVELS_PIECES; i++)
			if (cuts[i] < cuts[i + 1])
				nr_taken +=
					take_piece(&bm, &snap, cuts[i],
						   cuts[i + 1], marked, seed);
		cr_assert_eq(nr_taken, nr_new, "seed %" PRIu64, seed);
		cr_assert_eq(glni_bitmap_count(&bm), 0);
		/* All of it at once clears what the pieces left (B2). */
		const struct take_limits all = {
			.end = LEVELS_PAGES,
			.max_pages = UINT64_MAX,
		};

		cr_assert_eq(glni_bitmap_take(&bm, &snap, &all).nr_pages, 0);
		for (unsigned int i = 0; i <= bm.nr_upper; i++)
			cr_assert_eq(gln_load_relaxed(&bitmap_level(&bm, i)[0]),
				     0);
	}
	free(bm.words);
	free(bm.summary);
	free(snap.words);
	free(snap.taken);
}

Test(take, takes_all_at_the_edges_of_lines_and_summary_words)
{
	for (const uint64_t *nr = edge_sizes; nr < ARRAY_END(edge_sizes);
	     nr++) {
		for (uint64_t seed = 0; seed < NR_FENCE_FORMS * NR_PATTERNS;
		     seed++) {
			struct test_random random = {seed};
			struct fixture f;

			fixture_init(&f, *nr, fence_forms[seed / NR_PATTERNS]);
			fixture_fill(&f, seed, &random);
			take_range(&f, 0, *nr, seed);
			cr_assert(fixture_summary_is_clear(&f));
			fixture_fini(&f);
		}
	}
}

Test(take, every_pair_of_ends_cuts_exactly)
{
	const uint64_t nr = 140;
	struct test_random random = {5};
	struct fixture f;

	fixture_init(&f, nr, FENCE_BOTH);
	for (uint64_t first = 0; first < nr; first++) {
		for (uint64_t end = first + 1; end <= nr; end++) {
			f.bm.fence = fence_forms[end % NR_FENCE_FORMS];
			fixture_fill(&f, end, &random);
			take_range(&f, first, end, first);
			take_range(&f, 0, nr, first);
		}
	}
	fixture_fini(&f);
}

Test(take, ends_anywhere_in_lines_cut_exactly)
{
	for (const uint64_t *nr = edge_sizes; nr < ARRAY_END(edge_sizes);
	     nr++) {
		for (uint64_t seed = 0; seed < 12; seed++) {
			struct test_random random = {seed};
			const uint64_t first = test_random_below(&random, *nr);
			const uint64_t end =
				test_random_between(&random, first + 1, *nr);
			struct fixture f;

			fixture_init(&f, *nr,
				     fence_forms[seed % NR_FENCE_FORMS]);
			fixture_fill(&f, seed, &random);
			take_range(&f, first, end, seed);
			take_range(&f, 0, *nr, seed);
			fixture_fini(&f);
		}
	}
}

/* Move the snapshot's pages from @left, all of which must be there. */
static uint64_t settle(struct fixture *f, uint8_t *left, uint64_t seed)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < bitmap_nr_words(f->snap.nr_pages); i++) {
		uint64_t word = snapshot_word(&f->snap, i);

		for (; word; word &= word - 1) {
			const uint64_t page = i * 64 + gln_ctz64(word);

			require(page < f->snap.nr_pages && left[page],
				"seed %" PRIu64 ": page %" PRIu64
				" was taken twice, or never marked",
				seed, page);
			left[page] = 0;
			nr++;
		}
	}
	glni_snapshot_reset(&f->snap);

	return nr;
}

/*
 * Take with a budget and a cursor until the end: each page comes once, and the
 * cursor always moves. A @deadline_ns of 1 has passed long ago.
 */
static void take_in_steps(uint64_t nr_pages, uint64_t max_pages,
			  uint64_t deadline_ns, uint64_t seed)
{
	struct take_limits limits = {
		.end = nr_pages,
		.max_pages = max_pages,
		.deadline_ns = deadline_ns,
	};
	struct test_random random = {seed};
	struct fixture f;

	fixture_init(&f, nr_pages, fence_forms[seed % NR_FENCE_FORMS]);
	fixture_fill(&f, seed / 2, &random);
	while (limits.first < nr_pages) {
		const struct take_result got =
			glni_bitmap_take(&f.bm, &f.snap, &limits);

		require(got.nr_pages <= max_pages &&
				settle(&f, f.live, seed) == got.nr_pages,
			CASE ": took %" PRIu64 " of at most %" PRIu64, nr_pages,
			limits.first, nr_pages, seed, got.nr_pages, max_pages);
		require(got.next_page > limits.first &&
				got.next_page <= nr_pages,
			CASE ": no progress, next page %" PRIu64
			     ", at most %" PRIu64,
			nr_pages, limits.first, nr_pages, seed, got.next_page,
			max_pages);
		limits.first = got.next_page;
	}
	require(!test_pages_count(f.live, 0, nr_pages),
		CASE ": pages were passed over", nr_pages, UINT64_C(0),
		nr_pages, seed);
	fixture_check(&f, "steps", seed);
	fixture_fini(&f);
}

Test(take, a_budget_is_never_exceeded_and_a_cursor_passes_nothing_over)
{
	for (uint64_t nr = 1; nr <= EXHAUSTIVE_PAGES; nr += 3)
		for (const uint64_t *max = budgets; *max <= 200; max++)
			for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++)
				take_in_steps(nr, *max, 0, seed);
}

Test(take, budgets_hold_at_the_edges_of_lines_and_summary_words)
{
	for (const uint64_t *nr = edge_sizes; nr < ARRAY_END(edge_sizes); nr++)
		for (const uint64_t *max = budgets + 2;
		     max < ARRAY_END(budgets); max++)
			for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++)
				take_in_steps(*nr, *max, 0, seed);
}

Test(take, a_step_of_one_page_gives_every_page_once)
{
	for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++)
		take_in_steps(1100, 1, 0, seed);
}

Test(take, a_deadline_in_the_past_still_makes_progress)
{
	for (const uint64_t *nr = edge_sizes; nr < ARRAY_END(edge_sizes); nr++)
		for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++)
			take_in_steps(*nr, UINT64_MAX, 1, seed);
}

Test(take, a_budget_and_a_deadline_in_the_past_make_progress_together)
{
	for (const uint64_t *nr = edge_sizes; nr < ARRAY_END(edge_sizes); nr++)
		for (const uint64_t *max = budgets + 2;
		     max < ARRAY_END(budgets); max++)
			for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++)
				take_in_steps(*nr, *max, 1, seed);
}

/*
 * Of a bitmap of @nr_lines lines with a page in each, take @max_pages at a
 * time, and add up what was done for it.
 */
static uint64_t lines_for_all(uint64_t nr_lines, uint64_t max_pages,
			      uint64_t deadline_ns, enum fence_form form)
{
	const uint64_t nr_pages = nr_lines << LINE_SHIFT;
	struct take_limits limits = {
		.end = nr_pages,
		.max_pages = max_pages,
		.deadline_ns = deadline_ns,
	};
	uint64_t nr = 0, nr_taken = 0;
	struct fixture f;

	fixture_init(&f, nr_pages, form);
	for (uint64_t line = 0; line < nr_lines; line++)
		bitmap_mark(&f.bm, (line << LINE_SHIFT) + line % LINE_PAGES);
	while (limits.first < nr_pages) {
		const struct take_result got =
			glni_bitmap_take(&f.bm, &f.snap, &limits);

		nr += got.nr_looked + got.nr_put_back;
		nr_taken += got.nr_pages;
		limits.first = got.next_page;
	}
	cr_assert_eq(nr_taken, nr_lines);
	fixture_fini(&f);

	return nr;
}

enum { MANY_LINES = 4096 };

Test(take, work_follows_the_budget_not_what_is_dirty)
{
	for (uint64_t max = 1; max <= MANY_LINES; max *= 4)
		for (size_t i = 0; i < 2; i++) {
			const uint64_t nr = lines_for_all(MANY_LINES, max, 0,
							  fence_forms[i]);

			require(nr <= 3 * MANY_LINES,
				"%" PRIu64 " pages at a time: %" PRIu64
				" lines for %d",
				max, nr, MANY_LINES);
		}
}

/* A take in a hurry looks at a word of the summary, and took eight of them. */
Test(take, work_follows_the_deadline_not_what_is_dirty)
{
	for (uint64_t nr = MANY_LINES; nr <= 4 * MANY_LINES; nr *= 2)
		cr_assert_leq(lines_for_all(nr, UINT64_MAX, 1, FENCE_ONE),
			      8 * nr);
}

Test(take, stale_summary_bits_use_up_no_budget)
{
	const struct take_limits limits = {
		.end = 3000 * LINE_PAGES,
		.max_pages = 1,
	};
	struct take_result got;
	struct fixture f;

	fixture_init(&f, limits.end, FENCE_ONE);
	for (uint64_t line = 0; line < 2999; line++)
		bitmap_summarise(&f.bm, line);
	bitmap_mark(&f.bm, limits.end - 1);
	got = glni_bitmap_take(&f.bm, &f.snap, &limits);
	cr_assert_eq(got.nr_pages, 1);
	cr_assert_eq(got.next_page, limits.end);
	fixture_fini(&f);
}

/* In a hurry, from page 100 on; a page before it keeps the line's summary bit.
 */
static uint64_t next_after_stale_line(uint64_t max_pages)
{
	const struct take_limits limits = {
		.first = 100,
		.end = 100000,
		.max_pages = max_pages,
		.deadline_ns = 1,
	};
	struct take_result got;
	struct fixture f;

	fixture_init(&f, 100000, FENCE_BOTH);
	bitmap_mark(&f.bm, 5);
	got = glni_bitmap_take(&f.bm, &f.snap, &limits);
	fixture_fini(&f);

	return got.next_page;
}

Test(take, the_cursor_never_goes_back)
{
	cr_assert_gt(next_after_stale_line(UINT64_MAX), 100);
	cr_assert_gt(next_after_stale_line(7), 100);
}

Test(take, a_stale_summary_bit_costs_one_take_and_gives_nothing)
{
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;

		fixture_init(&f, 2000, fence_forms[i]);
		bitmap_summarise(&f.bm, 1);
		take_range(&f, 0, 2000, 0);
		cr_assert(fixture_summary_is_clear(&f));
		fixture_fini(&f);
	}
}

Test(take, what_a_cut_line_keeps_is_found_by_the_next_take)
{
	struct test_random random = {0};
	struct fixture f;

	fixture_init(&f, 2000, FENCE_ONE);
	fixture_fill(&f, PATTERN_ALL, &random);
	take_range(&f, 700, 701, 0);
	take_range(&f, 512, 1024, 1);
	cr_assert_eq(test_pages_count(f.taken, 0, 2000), 511);
	take_range(&f, 0, 2000, 2);
	cr_assert_eq(test_pages_count(f.taken, 0, 2000), 2000 - 512);
	cr_assert(fixture_summary_is_clear(&f));
	fixture_fini(&f);
}

Test(take, marks_made_between_takes_are_taken_by_the_later_one)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct test_random random = {seed};
		const uint64_t nr = test_random_between(&random, 1, 70000);
		struct fixture f;

		fixture_init(&f, nr, fence_forms[seed % NR_FENCE_FORMS]);
		for (unsigned int i = 0; i < 4; i++) {
			const uint64_t first = test_random_below(&random, nr);

			fixture_fill(&f, test_random_next(&random), &random);
			take_range(&f, first,
				   test_random_between(&random, first + 1, nr),
				   seed);
			take_range(&f, 0, nr, seed);
		}
		fixture_fini(&f);
	}
}

/* Take @bits of @word; check what comes back, and where it went. */
static void take_bits(struct fixture *f, uint64_t word, uint64_t bits,
		      uint64_t seed)
{
	const uint64_t live = fixture_word(f->live, f->bm.nr_pages, word);
	const uint64_t got =
		glni_bitmap_take_bits(&f->bm, &f->snap, word, bits);

	require(got == (live & bits),
		"seed %" PRIu64 ", word %" PRIu64 ": %#" PRIx64 " of %#" PRIx64
		" gave %#" PRIx64,
		seed, word, bits, live, got);
	for (uint64_t left = got; left; left &= left - 1) {
		const uint64_t page = word * 64 + gln_ctz64(left);

		f->live[page] = 0;
		f->taken[page] = 1;
	}
	fixture_check(f, "bits", seed);
}

Test(take, bits_come_only_where_they_are_asked_for_and_set)
{
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct test_random random = {seed};
		const uint64_t nr = test_random_between(&random, 1, 1500);
		struct fixture f;

		fixture_init(&f, nr, fence_forms[seed % NR_FENCE_FORMS]);
		fixture_fill(&f, seed, &random);
		for (unsigned int i = 0; i < 12; i++)
			take_bits(
				&f,
				test_random_below(&random, bitmap_nr_words(nr)),
				test_random_next(&random), seed);
		take_bits(&f, 0, 0, seed);
		take_bits(&f, bitmap_nr_words(nr) - 1, UINT64_MAX, seed);
		take_range(&f, 0, nr, seed);
		fixture_fini(&f);
	}
}
