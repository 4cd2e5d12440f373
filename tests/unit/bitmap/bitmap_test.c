/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap_test.c - marks, counts, and what becomes of a snapshot, against a byte
 * a page.
 *
 * B1, B3, B4; G5 (put back), G9 (any size); H-05, H-11, H-13, H-23c.
 */
#include "tests/unit/bitmap/fixture.h"

/* Around words, lines and words of the summary. */
static const uint64_t sizes[] = {
	1,    2,     63,    64,	   65,	  127,	 128,	129,
	191,  200,   511,   512,   513,	  1023,	 1025,	4095,
	4097, 32767, 32768, 32769, 65535, 65536, 65537, 100000,
};

/* Every pair of ends up to this size; samples beyond it. */
enum { EXHAUSTIVE_PAGES = 200, SAMPLES = 300 };

Test(bitmap, a_mark_is_new_once)
{
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		struct test_random random = {*nr};
		struct fixture f;

		fixture_init(&f, *nr, FENCE_BOTH);
		for (unsigned int i = 0; i < SAMPLES; i++) {
			const uint64_t page = test_random_below(&random, *nr);

			require(bitmap_mark(&f.bm, page) == !f.live[page],
				"page %" PRIu64 " of %" PRIu64, page, *nr);
			f.live[page] = 1;
		}
		fixture_check(&f, "marks", *nr);
		fixture_fini(&f);
	}
}

Test(bitmap, the_first_and_the_last_page_have_bits_of_their_own)
{
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		struct fixture f;

		fixture_init(&f, *nr, FENCE_ONE);
		cr_assert(bitmap_mark(&f.bm, 0));
		f.live[0] = 1;
		fixture_check(&f, "first page", 0);
		cr_assert_eq(bitmap_mark(&f.bm, *nr - 1), *nr > 1);
		f.live[*nr - 1] = 1;
		fixture_check(&f, "last page", 0);
		cr_assert_eq(glni_bitmap_count(&f.bm), *nr > 1 ? 2 : 1);
		fixture_fini(&f);
	}
}

Test(bitmap, a_mark_sets_a_missing_summary_bit_for_a_word_that_is_set)
{
	/*
	 * The first marker of a word may not have reached the summary yet: the
	 * second one's return promises as much as the first one's (B1).
	 */
	struct fixture f;

	fixture_init(&f, 1024, FENCE_BOTH);
	cr_assert(bitmap_mark(&f.bm, 600));
	gln_store_relaxed(&f.bm.summary[0], 0);
	cr_assert_not(bitmap_mark(&f.bm, 600));
	cr_assert_eq(gln_load_relaxed(&f.bm.summary[0]), 2);
	fixture_fini(&f);
}

static void mark_range(struct fixture *f, uint64_t first, uint64_t end)
{
	const uint64_t want = test_pages_set(f->live, first, end);
	const uint64_t got = glni_bitmap_mark_range(&f->bm, first, end - first);

	require(got == want,
		"[%" PRIu64 ", %" PRIu64 ") of %" PRIu64 ": %" PRIu64 " new",
		first, end, f->bm.nr_pages, got);
}

Test(bitmap, a_range_marks_its_pages_for_every_pair_of_ends)
{
	static const uint64_t small[] = {1, 63, 64, 65, 128, 130, 200};
	struct test_random random = {3};

	for (const uint64_t *nr = small; nr < ARRAY_END(small); nr++) {
		for (uint64_t first = 0; first < *nr; first++) {
			struct fixture f;

			fixture_init(&f, *nr, FENCE_BOTH);
			fixture_fill(&f, PATTERN_RARE, &random);
			for (uint64_t end = first; end <= *nr; end++)
				mark_range(&f, first, end);
			fixture_check(&f, "growing range", first);
			fixture_fini(&f);
		}
		for (uint64_t end = 0; end <= *nr; end++) {
			struct fixture f;

			fixture_init(&f, *nr, FENCE_BOTH);
			for (uint64_t first = end + 1; first--;)
				mark_range(&f, first, end);
			fixture_check(&f, "range growing down", end);
			fixture_fini(&f);
		}
	}
}

Test(bitmap, a_range_of_each_pair_of_ends_alone_sets_nothing_beside_it)
{
	const uint64_t nr = 140;
	struct fixture f;

	fixture_init(&f, nr, FENCE_BOTH);
	for (uint64_t first = 0; first < nr; first++) {
		for (uint64_t end = first; end <= nr; end++) {
			mark_range(&f, first, end);
			fixture_check(&f, "range", first);
			memset(f.live, 0, nr);
			memset((void *)f.bm.words, 0, bitmap_words_bytes(nr));
		}
	}
	fixture_fini(&f);
}

Test(bitmap, ranges_of_any_size_agree_with_the_model)
{
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		for (uint64_t seed = 1; seed <= 6; seed++) {
			struct test_random random = {seed};
			struct fixture f;

			fixture_init(&f, *nr,
				     fence_forms[seed % NR_FENCE_FORMS]);
			for (unsigned int i = 0; i < 8; i++) {
				const uint64_t first =
					test_random_below(&random, *nr + 1);

				mark_range(&f, first,
					   test_random_between(&random, first,
							       *nr));
			}
			fixture_check(&f, "ranges", seed);
			cr_assert_eq(glni_bitmap_count(&f.bm),
				     test_pages_count(f.live, 0, *nr));
			fixture_fini(&f);
		}
	}
}

Test(bitmap, marking_everything_stops_at_the_last_page)
{
	for (uint64_t nr = 1; nr <= EXHAUSTIVE_PAGES; nr++) {
		struct fixture f;

		fixture_init(&f, nr, FENCE_BOTH);
		mark_range(&f, 0, nr);
		fixture_check(&f, "everything", 0);
		cr_assert_eq(glni_bitmap_count(&f.bm), nr);
		fixture_fini(&f);
	}
}

/* All marks into the snapshot. */
static void take_all(struct fixture *f)
{
	const struct take_limits all = {
		.end = f->bm.nr_pages,
		.max_pages = UINT64_MAX,
	};

	glni_bitmap_take(&f->bm, &f->snap, &all);
	memcpy(f->taken, f->live, f->bm.nr_pages);
	memset(f->live, 0, f->bm.nr_pages);
}

/* Settle [first, end) in the model. Returns how many pages that are. */
static uint64_t settle_model(struct fixture *f, uint64_t first, uint64_t end,
			     bool put_back)
{
	const uint64_t nr = test_pages_count(f->taken, first, end);

	for (uint64_t i = first; i < end; i++) {
		f->live[i] |= put_back && f->taken[i];
		f->taken[i] = 0;
	}

	return nr;
}

static void settle_at_random(struct fixture *f, uint64_t seed,
			     struct test_random *random)
{
	const uint64_t nr_pages = f->bm.nr_pages;
	const uint64_t first = test_random_below(random, nr_pages + 1);
	const uint64_t end = test_random_between(random, first, nr_pages);
	const bool put_back = test_random_chance(random, 128);
	const uint64_t want = settle_model(f, first, end, put_back);
	uint64_t got;

	if (put_back)
		got = glni_snapshot_put_back(&f->snap, &f->bm, first, end);
	else
		got = glni_snapshot_drop(&f->snap, first, end);
	require(got == want,
		"seed %" PRIu64 ": %" PRIu64 " of %" PRIu64
		" pages in [%" PRIu64 ", %" PRIu64 ")",
		seed, got, want, first, end);
}

Test(bitmap, a_snapshot_is_settled_in_any_pieces)
{
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		for (uint64_t seed = 0; seed < 2 * NR_PATTERNS; seed++) {
			struct test_random random = {seed};
			struct fixture f;

			fixture_init(&f, *nr,
				     fence_forms[seed % NR_FENCE_FORMS]);
			fixture_fill(&f, seed, &random);
			take_all(&f);
			mark_range(&f, *nr / 2, *nr / 2 + 1);
			for (unsigned int i = 0; i < 6; i++)
				settle_at_random(&f, seed, &random);
			fixture_check(&f, "settled", seed);
			fixture_fini(&f);
		}
	}
}

Test(bitmap, putting_back_keeps_marks_made_meanwhile)
{
	struct fixture f;

	fixture_init(&f, 200, FENCE_BOTH);
	mark_range(&f, 10, 20);
	take_all(&f);
	mark_range(&f, 15, 30);
	cr_assert_eq(glni_snapshot_put_back(&f.snap, &f.bm, 0, 200), 10);
	settle_model(&f, 0, 200, true);
	fixture_check(&f, "put back", 0);
	cr_assert_eq(glni_bitmap_count(&f.bm), 20);
	fixture_fini(&f);
}

Test(bitmap, settling_an_empty_range_settles_nothing)
{
	struct fixture f;

	fixture_init(&f, 700, FENCE_BOTH);
	mark_range(&f, 0, 700);
	take_all(&f);
	for (uint64_t i = 0; i <= 700; i += 50) {
		cr_assert_eq(glni_snapshot_drop(&f.snap, i, i), 0);
		cr_assert_eq(glni_snapshot_put_back(&f.snap, &f.bm, i, i), 0);
	}
	fixture_check(&f, "nothing settled", 0);
	fixture_fini(&f);
}

Test(bitmap, a_reset_snapshot_is_empty)
{
	struct fixture f;

	fixture_init(&f, 100000, FENCE_BOTH);
	mark_range(&f, 0, 100000);
	take_all(&f);
	fixture_forget_taken(&f);
	fixture_check(&f, "reset", 0);
	cr_assert_eq(glni_snapshot_drop(&f.snap, 0, 100000), 0);
	fixture_fini(&f);
}

/* Words of lines that were taken are 0, the others left alone. */
static void expect_drained(struct fixture *f, const struct scan_kernel *kernel,
			   uint64_t want, uint64_t seed)
{
	const uint64_t nr_lines = gln_div_up(f->snap.nr_pages, LINE_PAGES);
	const size_t bytes = bitmap_words_bytes(f->snap.nr_pages);
	uint64_t *const before = malloc(bytes);

	cr_assert_not_null(before);
	memcpy(before, f->snap.words, bytes);
	for (uint64_t i = 0; i < nr_lines * LINE_WORDS; i++)
		if (fixture_line_bit(f->snap.taken, i / LINE_WORDS))
			before[i] = 0;
	require(glni_snapshot_drain(&f->snap, kernel) == want,
		"%" PRIu64 " pages, seed %" PRIu64, f->snap.nr_pages, seed);
	require(!memcmp(before, f->snap.words, bytes),
		"%" PRIu64 " pages, seed %" PRIu64 ": other words",
		f->snap.nr_pages, seed);
	memset(f->taken, 0, f->snap.nr_pages);
	fixture_check(f, "drained", seed);
	free(before);
}

Test(bitmap, a_drained_snapshot_is_counted_and_zero_where_it_was_taken)
{
	const struct scan_kernel *kernel;

	for (size_t k = 0; (kernel = glni_scan_kernel(k)); k++) {
		for (const uint64_t *nr = sizes;
		     kernel->is_usable() && nr < ARRAY_END(sizes); nr++) {
			for (uint64_t seed = 0; seed < NR_PATTERNS; seed++) {
				struct test_random random = {seed};
				struct fixture f;
				uint64_t want;

				fixture_init(&f, *nr,
					     fence_forms[k % NR_FENCE_FORMS]);
				fixture_fill(&f, seed, &random);
				take_all(&f);
				want = test_pages_count(f.taken, 0, *nr);
				require(glni_snapshot_count(&f.snap, kernel) ==
						want,
					"%" PRIu64 " pages, seed %" PRIu64, *nr,
					seed);
				fixture_check(&f, "counted", seed);
				expect_drained(&f, kernel, want, seed);
				fixture_fini(&f);
			}
		}
	}
}

Test(bitmap, long_runs_of_taken_lines_are_counted_whole)
{
	/* Longer than is gone through at once, begun anywhere in a word. */
	enum { NR = 1200 * LINE_PAGES };

	for (uint64_t first = 0; first < 66; first += 5) {
		struct fixture f;

		fixture_init(&f, NR, FENCE_BOTH);
		mark_range(&f, first * LINE_PAGES, NR - LINE_PAGES * first);
		mark_range(&f, 0, 1);
		take_all(&f);
		expect_drained(&f, glni_best_kernel(),
			       test_pages_count(f.taken, 0, NR), first);
		fixture_fini(&f);
	}
}

Test(bitmap, scattered_lines_are_counted_however_many_a_summary_word_has)
{
	/* More than are gone through at once, by 1 a word and by 64. */
	enum { NR = 1200 * LINE_PAGES };

	for (uint64_t nr_lines = 1; nr_lines <= GLN_WORD_BITS; nr_lines++) {
		struct fixture f;

		fixture_init(&f, NR, FENCE_BOTH);
		for (uint64_t line = 0; line < NR / LINE_PAGES; line++) {
			const uint64_t page = line * LINE_PAGES + line % 97;

			if (line * 29 % GLN_WORD_BITS < nr_lines)
				mark_range(&f, page, page + 1 + line % 5);
		}
		take_all(&f);
		expect_drained(&f, glni_best_kernel(),
			       test_pages_count(f.taken, 0, NR), nr_lines);
		fixture_fini(&f);
	}
}

Test(bitmap, dirty_lines_are_counted_up_to_enough)
{
	struct fixture f;

	fixture_init(&f, 100000, FENCE_BOTH);
	cr_assert_eq(glni_bitmap_nr_lines(&f.bm, 10), 0);
	for (uint64_t i = 0; i < 20; i++) {
		bitmap_mark(&f.bm, i * 5000);
		bitmap_mark(&f.bm, i * 5000 + 1);
		cr_assert_eq(glni_bitmap_nr_lines(&f.bm, 10),
			     gln_min(i + 1, 10));
		cr_assert_eq(glni_bitmap_nr_lines(&f.bm, UINT64_MAX), i + 1);
	}
	cr_assert_eq(glni_bitmap_nr_lines(&f.bm, 0), 0);
	fixture_fini(&f);
}

/* The line after the @nr-th of [line, end) that is in @set, counted out. */
static uint64_t lines_end(const uint8_t *set, uint64_t line, uint64_t end,
			  uint64_t nr)
{
	for (; line < end; line++)
		if (set[line] && !--nr)
			return line + 1;

	return end;
}

Test(bitmap, so_many_dirty_lines_end_where_counting_them_ends)
{
	enum { NR_LINES = 3000 };

	for (uint64_t seed = 0; seed < 60; seed++) {
		struct test_random random = {seed};
		const uint64_t share = test_random_between(&random, 1, 400);
		uint8_t set[NR_LINES] = {0};
		struct fixture f;

		fixture_init(&f, NR_LINES * LINE_PAGES, FENCE_BOTH);
		for (uint64_t line = 0; line < NR_LINES; line++)
			if (!test_random_below(&random, share)) {
				bitmap_summarise(&f.bm, line);
				set[line] = 1;
			}
		for (unsigned int i = 0; i < 100; i++) {
			const uint64_t end =
				test_random_between(&random, 1, NR_LINES);
			const uint64_t line = test_random_below(&random, end);
			const uint64_t nr =
				test_random_between(&random, 1, 200);
			const uint64_t got =
				glni_bitmap_lines_end(&f.bm, line, end, nr);

			require(got == lines_end(set, line, end, nr),
				"seed %" PRIu64 ": %" PRIu64 " of [%" PRIu64
				", %" PRIu64 ") end at %" PRIu64,
				seed, nr, line, end, got);
		}
		fixture_fini(&f);
	}
}

Test(bitmap, the_next_taken_line_is_found_across_words_of_the_summary)
{
	uint64_t taken[4] = {0};
	const struct snapshot snap = {.taken = taken};

	cr_assert_eq(glni_snapshot_next_line(&snap, 0, 256), 256);
	cr_assert_eq(glni_snapshot_next_line(&snap, 7, 7), 7);
	taken[0] = UINT64_C(1) << 63;
	taken[3] = 1;
	cr_assert_eq(glni_snapshot_next_line(&snap, 0, 256), 63);
	cr_assert_eq(glni_snapshot_next_line(&snap, 63, 256), 63);
	cr_assert_eq(glni_snapshot_next_line(&snap, 64, 256), 192);
	cr_assert_eq(glni_snapshot_next_line(&snap, 64, 192), 192);
	cr_assert_eq(glni_snapshot_next_line(&snap, 0, 63), 63);
	cr_assert_eq(glni_snapshot_next_line(&snap, 193, 200), 200);
}

Test(bitmap, sizes_in_words_and_bytes_are_exact)
{
	static const struct {
		uint64_t nr_pages, nr_words, words_bytes, summary_bytes;
	} cases[] = {
		{1, 1, 64, 64},
		{64, 1, 64, 64},
		{65, 2, 64, 64},
		{512, 8, 64, 64},
		{513, 9, 128, 64},
		{32768, 512, 4096, 64},
		{32769, 513, 4160, 64},
		{262144, 4096, 32768, 64},
		/* Two lines of the summary, and one above them. */
		{262145, 4097, 32832, 128 + 64},
		/* 2^52 pages of 4 KiB fill the address space. */
		{UINT64_C(1) << 52, UINT64_C(1) << 46, UINT64_C(1) << 49,
		 (UINT64_C(1) << 40) + (UINT64_C(1) << 31) +
			 (UINT64_C(1) << 22) + (UINT64_C(1) << 13) + 64},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t nr = cases[i].nr_pages;

		cr_assert_eq(bitmap_nr_words(nr), cases[i].nr_words);
		cr_assert_eq(bitmap_words_bytes(nr), cases[i].words_bytes);
		cr_assert_eq(bitmap_summary_bytes(nr), cases[i].summary_bytes);
	}
}

Test(bitmap, valid_bits_end_with_the_slot)
{
	for (uint64_t nr = 0; nr <= EXHAUSTIVE_PAGES; nr++)
		for (uint64_t word = 0; word < 5; word++)
			for (uint64_t bit = 0; bit < 64; bit++)
				require((bitmap_valid_bits(nr, word) >> bit &
					 1) == (word * 64 + bit < nr),
					"%" PRIu64 " pages, word %" PRIu64
					", bit %" PRIu64,
					nr, word, bit);
}
