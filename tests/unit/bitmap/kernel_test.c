/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_test.c - every scan kernel does what the first one does.
 */
#include "tests/unit/bitmap/fixture.h"

enum { MAX_PAGES = 2 * SUMMARY_WORD_PAGES };

/* What take_lines() says, and leaves. */
struct outcome {
	uint64_t nr_pages;
	uint64_t lines;
};

static struct outcome run(const struct scan_kernel *kernel, struct fixture *f,
			  uint64_t pattern, uint64_t group, uint64_t lines,
			  uint64_t seed)
{
	struct test_random random = {seed};
	struct outcome outcome = {.lines = lines};

	fixture_fill(f, pattern, &random);
	outcome.nr_pages =
		kernel->take_lines(&f->bm, &f->snap, group, &outcome.lines);
	return outcome;
}

static void expect_same(const struct scan_kernel *kernel, uint64_t seed)
{
	struct test_random random = {seed};
	const uint64_t nr = test_random_between(&random, 1, MAX_PAGES);
	const uint64_t group =
		test_random_below(&random, bitmap_nr_summary_words(nr));
	const uint64_t lines =
		test_random_next(&random) &
		bitmap_valid_bits(gln_div_up(nr, LINE_PAGES), group);
	const uint64_t pattern = seed;
	const enum fence_form fence = fence_forms[seed / NR_PATTERNS % 2];
	struct fixture a, b;
	struct outcome want, got;

	fixture_init(&a, nr, fence);
	fixture_init(&b, nr, fence);
	want = run(glni_scan_kernel(0), &a, pattern, group, lines, seed);
	got = run(kernel, &b, pattern, group, lines, seed);

	require(got.nr_pages == want.nr_pages && got.lines == want.lines,
		"%s, seed %" PRIu64 ": %" PRIu64 " pages, lines %#" PRIx64,
		kernel->name, seed, got.nr_pages, got.lines);
	require(!memcmp((void *)a.bm.words, (void *)b.bm.words,
			bitmap_words_bytes(nr)),
		"%s, seed %" PRIu64 ": the marks", kernel->name, seed);
	require(!memcmp(a.snap.words, b.snap.words, bitmap_words_bytes(nr)),
		"%s, seed %" PRIu64 ": the snapshot", kernel->name, seed);
	fixture_fini(&a);
	fixture_fini(&b);
}

Test(kernel, all_kernels_agree_with_the_first)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = glni_scan_kernel(i)); i++)
		for (uint64_t seed = 0; kernel->is_usable() && seed < 120;
		     seed++)
			expect_same(kernel, seed);
}

/* Against the model, so that "the first one" is not taken on trust. */
static void expect_lines_taken(const struct scan_kernel *kernel, uint64_t seed)
{
	const uint64_t nr = 5000, nr_lines = gln_div_up(nr, LINE_PAGES);
	struct test_random random = {seed};
	const uint64_t lines = test_random_next(&random) &
			       gln_low_bits((unsigned int)nr_lines);
	struct fixture f;
	struct outcome got;
	uint64_t nr_pages = 0, kept = 0;

	fixture_init(&f, nr, fence_forms[seed % 2]);
	got = run(kernel, &f, seed % NR_PATTERNS, 0, lines, seed);
	for (uint64_t line = 0; line < nr_lines; line++) {
		const uint64_t first = line * LINE_PAGES;
		const uint64_t end = gln_min(first + LINE_PAGES, nr);
		const uint64_t there = test_pages_count(f.live, first, end);

		if (!(lines >> line & 1) || !there)
			continue;
		nr_pages += there;
		kept |= UINT64_C(1) << line;
		memcpy(f.taken + first, f.live + first, end - first);
		memset(f.live + first, 0, end - first);
	}
	require(got.nr_pages == nr_pages && got.lines == kept,
		"%s, seed %" PRIu64 ": %" PRIu64 " pages, lines %#" PRIx64,
		kernel->name, seed, got.nr_pages, got.lines);
	f.snap.taken[0] = kept;
	fixture_check(&f, kernel->name, seed);
	fixture_fini(&f);
}

Test(kernel, takes_the_lines_asked_for_and_drops_empty_ones)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = glni_scan_kernel(i)); i++)
		for (uint64_t seed = 0; kernel->is_usable() && seed < 200;
		     seed++)
			expect_lines_taken(kernel, seed);
}

/* Count and drain lines [1, 1 + nr_lines) of a snapshot of 4 lines. */
static void expect_drained(const struct scan_kernel *kernel, uint64_t nr_lines,
			   uint64_t seed)
{
	enum { NR = 4 * LINE_WORDS };
	struct test_random random = {seed};
	const uint64_t first = LINE_WORDS, end = first + nr_lines * LINE_WORDS;
	_Alignas(GLN_CACHE_LINE) uint64_t words[NR];
	uint64_t before[NR], nr = 0;

	for (uint64_t i = 0; i < NR; i++) {
		words[i] =
			test_random_next(&random) & test_random_next(&random);
		before[i] = words[i];
		if (i >= first && i < end)
			nr += gln_popcount64(words[i]);
	}
	require(kernel->count(&words[first], nr_lines) == nr &&
			!memcmp(words, before, sizeof(words)),
		"%s counts, seed %" PRIu64, kernel->name, seed);
	require(kernel->drain(&words[first], nr_lines) == nr,
		"%s drains, seed %" PRIu64, kernel->name, seed);
	for (uint64_t i = 0; i < NR; i++)
		require(words[i] == (i >= first && i < end ? 0 : before[i]),
			"%s drains, seed %" PRIu64 ": word %" PRIu64,
			kernel->name, seed, i);
}

Test(kernel, counts_and_drains_the_lines_it_is_given)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = glni_scan_kernel(i)); i++)
		for (uint64_t seed = 0; kernel->is_usable() && seed < 40;
		     seed++)
			expect_drained(kernel, seed % 4, seed);
}

Test(kernel, the_first_runs_anywhere_and_the_best_is_the_last_usable)
{
	const struct scan_kernel *best = NULL, *kernel;
	size_t i;

	cr_assert(glni_scan_kernel(0)->is_usable());
	for (i = 0; (kernel = glni_scan_kernel(i)); i++)
		if (kernel->is_usable())
			best = kernel;
	cr_assert_eq(glni_best_kernel(), best);
	cr_assert_null(glni_scan_kernel(i));
	cr_assert_null(glni_scan_kernel(SIZE_MAX));
}
