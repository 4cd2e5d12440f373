/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_test.c - every scan kernel that this CPU runs does what the first one
 * does, and the first one what the model says.
 */
#include <glean/kernel.h>

#include <errno.h>
#include <pthread.h>

#include "tests/unit/bitmap/fixture.h"

enum { MAX_PAGES = 2 * SUMMARY_WORD_PAGES };

/* The next usable kernel from *i on, which moves past it; NULL at the end. */
static const struct scan_kernel *next_usable(size_t *i)
{
	const struct scan_kernel *kernel;

	while ((kernel = glni_scan_kernel((*i)++)))
		if (kernel->is_usable())
			return kernel;

	return NULL;
}

/* A word of one density of nine, from clean to full. */
static uint64_t random_word(struct test_random *random, uint64_t density)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < 64; i++)
		bits |= (uint64_t)(test_random_below(random, 8) < density) << i;

	return bits;
}

/*
 * Mark pages so that lines have from none to all of their words set: what a
 * take adapts to. Every other seed has one of the model's patterns instead.
 */
static void fill(struct fixture *f, struct test_random *random, uint64_t seed)
{
	const uint64_t nr_pages = f->bm.nr_pages;

	if (seed % 2) {
		fixture_fill(f, seed / 2, random);
		return;
	}
	for (uint64_t line = 0; line * LINE_PAGES < nr_pages; line++) {
		const uint64_t words = random_word(
			random, test_random_below(random, LINE_WORDS + 1));
		const uint64_t first = line * LINE_PAGES;

		for (uint64_t i = first;
		     i < gln_min(first + LINE_PAGES, nr_pages); i++)
			f->live[i] = words >> (i - first) / 64 & 1 &&
				     test_random_chance(random, 64);
	}
	fixture_mark_live(f);
}

/* What take_lines() says, and leaves. */
struct outcome {
	uint64_t nr_pages;
	uint64_t lines;
	uint64_t nr_atomics;
};

static struct outcome run(const struct scan_kernel *kernel, struct fixture *f,
			  uint64_t group, uint64_t lines, uint64_t seed)
{
	struct test_random random = {seed};
	struct line_take take = {.lines = lines};
	struct outcome outcome;

	fill(f, &random, seed);
	outcome.nr_pages = kernel->take_lines(&f->bm, &f->snap, group, &take);
	outcome.lines = take.lines;
	outcome.nr_atomics = take.nr_atomics;
	return outcome;
}

/* Words of lines that were not taken mean nothing (B4). */
static bool are_same_lines(const struct fixture *a, const struct fixture *b,
			   uint64_t group, uint64_t lines)
{
	for (; lines; lines &= lines - 1) {
		const uint64_t line =
			group << GLN_WORD_SHIFT | gln_ctz64(lines);
		const uint64_t word = line << LINE_WORD_SHIFT;

		if (memcmp(&a->snap.words[word], &b->snap.words[word],
			   GLN_CACHE_LINE))
			return false;
	}

	return true;
}

static void expect_same(const struct scan_kernel *kernel, uint64_t seed)
{
	struct test_random random = {~seed};
	const uint64_t nr = test_random_between(&random, 1, MAX_PAGES);
	const uint64_t group =
		test_random_below(&random, bitmap_nr_summary_words(nr));
	const uint64_t lines =
		test_random_next(&random) &
		bitmap_valid_bits(gln_div_up(nr, LINE_PAGES), group);
	const enum fence_form fence =
		fence_forms[seed / 2 / NR_PATTERNS % NR_FENCE_FORMS];
	struct fixture a, b;
	struct outcome want, got;

	fixture_init(&a, nr, fence);
	fixture_init(&b, nr, fence);
	want = run(glni_scan_kernel(0), &a, group, lines, seed);
	got = run(kernel, &b, group, lines, seed);

	require(got.nr_pages == want.nr_pages && got.lines == want.lines &&
			got.nr_atomics == want.nr_atomics,
		"%s, seed %" PRIu64 ": %" PRIu64 " pages, lines %#" PRIx64,
		kernel->name, seed, got.nr_pages, got.lines);
	require(!memcmp((void *)a.bm.words, (void *)b.bm.words,
			bitmap_words_bytes(nr)),
		"%s, seed %" PRIu64 ": the marks", kernel->name, seed);
	require(are_same_lines(&a, &b, group, got.lines),
		"%s, seed %" PRIu64 ": the snapshot", kernel->name, seed);
	fixture_fini(&a);
	fixture_fini(&b);
}

Test(kernel, all_kernels_agree_with_the_first)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = next_usable(&i));)
		for (uint64_t seed = 0; seed < 160; seed++)
			expect_same(kernel, seed);
}

/* Against the model, so that "the first one" is not taken on trust. */
static void expect_lines_taken(const struct scan_kernel *kernel, uint64_t seed)
{
	const uint64_t nr = 5000, nr_lines = gln_div_up(nr, LINE_PAGES);
	struct test_random random = {~seed};
	const uint64_t lines = test_random_next(&random) &
			       gln_low_bits((unsigned int)nr_lines);
	struct fixture f;
	struct outcome got;
	uint64_t nr_pages = 0, kept = 0, nr_words = 0;

	fixture_init(&f, nr, fence_forms[seed / 2 % NR_FENCE_FORMS]);
	got = run(kernel, &f, 0, lines, seed);
	for (uint64_t line = 0; line < nr_lines; line++) {
		const uint64_t first = line * LINE_PAGES;
		const uint64_t end = gln_min(first + LINE_PAGES, nr);
		const uint64_t there = test_pages_count(f.live, first, end);

		if (!(lines >> line & 1) || !there)
			continue;
		nr_pages += there;
		kept |= UINT64_C(1) << line;
		for (uint64_t i = first; i < end; i += GLN_WORD_BITS)
			nr_words += test_pages_count(f.live, i,
						     gln_min(i + GLN_WORD_BITS,
							     end)) > 0;
		memcpy(f.taken + first, f.live + first, end - first);
		memset(f.live + first, 0, end - first);
	}
	require(got.nr_pages == nr_pages && got.lines == kept,
		"%s, seed %" PRIu64 ": %" PRIu64 " pages, lines %#" PRIx64,
		kernel->name, seed, got.nr_pages, got.lines);
	if (f.bm.fence == FENCE_BOTH)
		nr_words = (uint64_t)gln_popcount64(lines) * LINE_WORDS;
	require(got.nr_atomics == nr_words,
		"%s, seed %" PRIu64 ": %" PRIu64
		" words exchanged, not %" PRIu64,
		kernel->name, seed, got.nr_atomics, nr_words);
	f.snap.taken[0] = kept;
	fixture_check(&f, kernel->name, seed);
	fixture_fini(&f);
}

Test(kernel, takes_the_lines_asked_for_and_drops_empty_ones)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = next_usable(&i));)
		for (uint64_t seed = 0; seed < 200; seed++)
			expect_lines_taken(kernel, seed);
}

/* --- while others mark --- */

enum {
	RACE_PAGES = 8 * LINE_PAGES,
	NR_MARKERS = 2,
	RACE_ROUNDS = 400,
};

/** struct race - markers, each with pages of its own, and one taker. */
struct race {
	struct fixture f;
	uint32_t nr_marked[RACE_PAGES];
	uint32_t nr_taken[RACE_PAGES];
	_Atomic unsigned int nr_marking;
};

struct marker {
	struct race *race;
	uint64_t first; /* page, and from there every NR_MARKERS-th */
	uint64_t seed;
};

/* Some pages of each word, so that words are taken half marked. */
static void *mark(void *arg)
{
	const struct marker *const marker = arg;
	struct race *const race = marker->race;
	struct test_random random = {marker->seed};

	for (unsigned int round = 0; round < RACE_ROUNDS; round++)
		for (uint64_t i = marker->first; i < RACE_PAGES;
		     i += NR_MARKERS)
			if (test_random_chance(&random, 32) &&
			    bitmap_mark(&race->f.bm, i))
				race->nr_marked[i]++;
	gln_fetch_sub_release(&race->nr_marking, 1);
	return NULL;
}

static void take_all(struct race *race, const struct scan_kernel *kernel,
		     uint64_t seed)
{
	const struct snapshot *const snap = &race->f.snap;
	struct line_take take = {
		.lines = gln_low_bits(RACE_PAGES / LINE_PAGES),
	};
	uint64_t nr = 0;
	const uint64_t said =
		kernel->take_lines(&race->f.bm, &race->f.snap, 0, &take);

	for (uint64_t word = 0; word < RACE_PAGES / 64; word++) {
		const uint64_t line = word / LINE_WORDS;
		uint64_t bits = take.lines >> line & 1 ? snap->words[word] : 0;

		for (; bits; bits &= bits - 1, nr++)
			race->nr_taken[word * 64 + gln_ctz64(bits)]++;
	}
	require(nr == said, "%s, seed %" PRIu64 ": %" PRIu64 " of %" PRIu64,
		kernel->name, seed, nr, said);
}

/* All marks are taken once, whatever the taker saw of them when. */
static void expect_none_lost(const struct scan_kernel *kernel, uint64_t seed)
{
	struct race *const race = calloc(1, sizeof(*race));
	struct marker markers[NR_MARKERS];
	pthread_t threads[NR_MARKERS];

	cr_assert_not_null(race);
	/* Summary and fences are not asked for: every line is taken. */
	fixture_init(&race->f, RACE_PAGES, fence_forms[seed % NR_FENCE_FORMS]);
	race->nr_marking = NR_MARKERS;
	for (unsigned int i = 0; i < NR_MARKERS; i++) {
		markers[i] = (struct marker){race, i, seed * NR_MARKERS + i};
		cr_assert_eq(
			pthread_create(&threads[i], NULL, mark, &markers[i]),
			0);
	}
	/* Relaxed: they are joined before what they say is read. */
	while (gln_load_relaxed(&race->nr_marking))
		take_all(race, kernel, seed);
	for (unsigned int i = 0; i < NR_MARKERS; i++)
		pthread_join(threads[i], NULL);
	take_all(race, kernel, seed);
	for (uint64_t i = 0; i < RACE_PAGES; i++)
		require(race->nr_taken[i] == race->nr_marked[i],
			"%s, seed %" PRIu64 ": page %" PRIu64 " marked %" PRIu32
			" times, taken %" PRIu32,
			kernel->name, seed, i, race->nr_marked[i],
			race->nr_taken[i]);
	fixture_fini(&race->f);
	free(race);
}

Test(kernel, loses_no_mark_that_is_made_while_it_looks)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = next_usable(&i));)
		for (uint64_t seed = 0; seed < 6; seed++)
			expect_none_lost(kernel, seed);
}

/* --- snapshots --- */

/* Lines [1, 1 + nr_lines) as spans of a line and of more. Returns how many. */
static size_t cut_spans(uint64_t *words, uint64_t nr_lines,
			struct test_random *random, struct span *spans)
{
	uint64_t line = 1;
	size_t nr = 0;

	while (line <= nr_lines) {
		const uint64_t left = nr_lines + 1 - line;
		const uint64_t most = test_random_chance(random, 32) ? left : 1;

		spans[nr].words = &words[line * LINE_WORDS];
		spans[nr].nr_lines = test_random_between(random, 1, most);
		line += spans[nr++].nr_lines;
	}

	return nr;
}

/* Count and drain lines [1, 1 + nr_lines) of a snapshot of NR_LINES. */
static void expect_drained(const struct scan_kernel *kernel, uint64_t nr_lines,
			   uint64_t seed)
{
	enum { NR_LINES = 70, NR = NR_LINES * LINE_WORDS };
	struct test_random random = {seed};
	const uint64_t first = LINE_WORDS, end = first + nr_lines * LINE_WORDS;
	_Alignas(GLN_CACHE_LINE) uint64_t words[NR];
	uint64_t before[NR], nr = 0;
	struct span spans[NR_LINES];
	size_t nr_spans;

	for (uint64_t i = 0; i < NR; i++) {
		words[i] = random_word(&random, seed % 9);
		before[i] = words[i];
		if (i >= first && i < end)
			nr += gln_popcount64(words[i]);
	}
	nr_spans = cut_spans(words, nr_lines, &random, spans);
	require(kernel->count(spans, nr_spans) == nr &&
			!memcmp(words, before, sizeof(words)),
		"%s counts, seed %" PRIu64, kernel->name, seed);
	require(kernel->drain(spans, nr_spans) == nr,
		"%s drains, seed %" PRIu64, kernel->name, seed);
	for (uint64_t i = 0; i < NR; i++)
		require(words[i] == (i >= first && i < end ? 0 : before[i]),
			"%s drains, seed %" PRIu64 ": word %" PRIu64,
			kernel->name, seed, i);
}

Test(kernel, counts_and_drains_the_lines_it_is_given)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = next_usable(&i));)
		for (uint64_t seed = 0; seed < 90; seed++)
			expect_drained(kernel, seed * 7 % 69, seed);
}

/*
 * @nr words of which the first @nr_ones are all ones and the next lacks one
 * bit; exactly that long, so that a sanitizer sees a look past the end.
 */
static void expect_ones(const struct scan_kernel *kernel, uint64_t nr,
			uint64_t nr_ones, struct test_random *random)
{
	uint64_t *const words = malloc(nr * sizeof(*words));
	const uint64_t bit = UINT64_C(1) << test_random_below(random, 64);
	uint64_t got;

	cr_assert(words || !nr);
	for (uint64_t i = 0; i < nr; i++)
		words[i] = i < nr_ones || test_random_chance(random, 128)
				   ? UINT64_MAX
				   : test_random_next(random);
	if (nr_ones < nr)
		words[nr_ones] = ~bit;
	got = kernel->ones(words, nr);
	require(got == nr_ones,
		"%s: %" PRIu64 " of %" PRIu64 " words, of which %" PRIu64
		" are all ones, bit %#" PRIx64 " is not",
		kernel->name, got, nr, nr_ones, bit);
	free(words);
}

Test(kernel, finds_how_many_words_are_all_ones)
{
	enum { MAX_WORDS = 5 * LINE_WORDS };
	const struct scan_kernel *kernel;
	struct test_random random = {1};

	for (size_t i = 0; (kernel = next_usable(&i));)
		for (uint64_t nr = 0; nr <= MAX_WORDS; nr++)
			for (uint64_t nr_ones = 0; nr_ones <= nr; nr_ones++)
				expect_ones(kernel, nr, nr_ones, &random);
}

/* --- which one --- */

Test(choice, the_first_runs_anywhere_and_the_best_is_the_last_usable)
{
	const struct scan_kernel *best = NULL, *kernel;
	size_t i;

	cr_assert(glni_scan_kernel(0)->is_usable());
	for (i = 0; (kernel = glni_scan_kernel(i)); i++)
		if (kernel->is_usable())
			best = kernel;
	cr_assert_eq(glni_best_kernel(), best);
	cr_assert_eq(glni_chosen_kernel(), best);
	cr_assert_null(glni_scan_kernel(i));
	cr_assert_null(glni_scan_kernel(SIZE_MAX));
}

enum { MAX_KERNELS = 16 };

/* What is listed as chosen; there must be exactly one. */
static const char *listed_as_chosen(void)
{
	struct gln_kernel_info kernels[MAX_KERNELS];
	const size_t nr = gln_scan_kernels(kernels, MAX_KERNELS);
	const char *name = NULL;

	cr_assert(nr >= 1 && nr <= MAX_KERNELS);
	for (size_t i = 0; i < nr; i++) {
		cr_assert_eq(kernels[i].name, glni_scan_kernel(i)->name);
		cr_assert_eq(kernels[i].usable,
			     glni_scan_kernel(i)->is_usable());
		if (!kernels[i].chosen)
			continue;
		cr_assert(!name && kernels[i].usable);
		name = kernels[i].name;
	}
	cr_assert_not_null(name);
	return name;
}

Test(choice, kernels_are_listed_each_once_with_one_chosen)
{
	struct gln_kernel_info kernels[MAX_KERNELS];
	const size_t nr = gln_scan_kernels(kernels, MAX_KERNELS);

	cr_assert_eq(listed_as_chosen(), glni_best_kernel()->name);
	cr_assert(!strcmp(kernels[0].name, "scalar"));
	for (size_t i = 0; i < nr; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert(strcmp(kernels[i].name, kernels[j].name));
}

Test(choice, no_more_are_listed_than_there_is_room_for)
{
	struct gln_kernel_info kernels[2] = {{.name = "mine"},
					     {.name = "mine"}};
	const size_t nr = gln_scan_kernels(NULL, 0);

	cr_assert_eq(gln_scan_kernels(kernels, 0), nr);
	cr_assert(!strcmp(kernels[0].name, "mine"));
	cr_assert_eq(gln_scan_kernels(kernels, 1), nr);
	cr_assert(!strcmp(kernels[0].name, "scalar"));
	cr_assert(!strcmp(kernels[1].name, "mine"));
}

Test(choice, what_is_named_is_used_if_this_cpu_runs_it)
{
	const struct scan_kernel *kernel;

	for (size_t i = 0; (kernel = glni_scan_kernel(i)); i++) {
		const struct scan_kernel *const before = glni_chosen_kernel();
		const bool is_usable = kernel->is_usable();

		cr_assert_eq(gln_scan_kernel_use(kernel->name),
			     is_usable ? 0 : -ENOTSUP);
		cr_assert_eq(glni_chosen_kernel(), is_usable ? kernel : before);
		cr_assert_eq(listed_as_chosen(), glni_chosen_kernel()->name);
	}
	cr_assert_eq(gln_scan_kernel_use(NULL), 0);
	cr_assert_eq(glni_chosen_kernel(), glni_best_kernel());
}

Test(choice, a_name_that_there_is_not_changes_nothing)
{
	static const char *const wrong[] = {"", "s", "scala", "scalars",
					    "SCALAR"};

	cr_assert_eq(gln_scan_kernel_use("scalar"), 0);
	for (const char *const *name = wrong; name < ARRAY_END(wrong); name++)
		cr_assert_eq(gln_scan_kernel_use(*name), -ENOENT);
	cr_assert_eq(glni_chosen_kernel(), glni_scan_kernel(0));
	cr_assert_eq(gln_scan_kernel_use(NULL), 0);
}
