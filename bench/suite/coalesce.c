/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: to hand out the runs of a fully dirty slot costs little more than to
 * read its bitmap, and those of a scattered one no more than the barest loop.
 *
 *	glean		gln_harvest_next() to the end, of a harvest taken before
 *	ctz-walk	trailing zeroes, then trailing ones, over the words,
 *			joined across words: the same runs
 *	read		the bitmap read once, in vectors: hands out nothing
 *
 * The walk is made again and again, without a commit: gln_harvest_rewind() is
 * timed too. Runs come in vectors of 256 and their pages are counted.
 */
#include "bench/suite/coalesce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <glean/glean.h>

#include "bench/suite/marks.h"
#include "bench/suite/truth.h"
#include "bench/suite/words.h"

#define RUNS 256

/* A check goes through the pages one run at a time: from here on, only once. */
#define CHECK_ONCE_PAGES (UINT64_C(1) << 20)

/* 4 GiB for a quick look, 512 GiB. */
static const uint64_t page_counts[] = {1048576, 134217728};

static const struct kind {
	double density;
	bool is_alternating;
} kinds[] = {
	{0.01, false}, {0.1, false}, {0.5, false}, {0.5, true}, {1, false},
};

#define NR_KINDS  (sizeof(kinds) / sizeof(kinds[0]))
#define NR_COUNTS (sizeof(page_counts) / sizeof(page_counts[0]))

struct coalesce_fixture {
	struct suite_fixture head;
	struct truth truth;
	uint64_t sum;
	struct gln_vm *vm;
	struct gln_harvest *harvest;
};

static struct coalesce_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct coalesce_fixture *)(void *)head;
}

static int prepare(struct suite_fixture *head)
{
	(void)head;
	return 0;
}

static uint64_t count_pages(const struct gln_range *runs, size_t nr)
{
	uint64_t nr_pages = 0;

	for (size_t i = 0; i < nr; i++)
		nr_pages += runs[i].count;
	return nr_pages;
}

/* Are these the next runs of the truth, from @page on? Moves @page past them.
 */
static bool are_next(const struct truth *truth, uint64_t *page,
		     const struct gln_range *runs, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct gln_range next = truth_next_run(truth, *page);

		if (next.first != runs[i].first || next.count != runs[i].count)
			return false;
		*page = next.first + next.count;
	}
	return true;
}

static bool are_all(const struct truth *truth, uint64_t page)
{
	return !truth_next_run(truth, page).count;
}

/* --- glean --- */

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	struct coalesce_fixture *f = fixture_of(head);
	struct gln_range runs[RUNS];
	uint64_t nr_pages = 0;
	size_t nr;

	gln_harvest_rewind(f->harvest);
	while ((nr = gln_harvest_next(f->harvest, runs, RUNS)))
		nr_pages += count_pages(runs, nr);
	*answer = nr_pages;
	return 0;
}

static int glean_check(struct suite_fixture *head)
{
	struct coalesce_fixture *f = fixture_of(head);
	struct gln_range runs[RUNS];
	uint64_t page = 0;
	size_t nr;

	gln_harvest_rewind(f->harvest);
	while ((nr = gln_harvest_next(f->harvest, runs, RUNS)))
		if (!are_next(&f->truth, &page, runs, nr))
			return -EBADMSG;
	return are_all(&f->truth, page) ? 0 : -EBADMSG;
}

/* --- the barest loop --- */

/* Where it stands: in word @index, whose bits from here on are @word. */
struct ctz_walk {
	const uint64_t *words;
	size_t nr_words;
	size_t index;
	uint64_t word;
};

/* The next maximal run; its count is 0 at the end. */
static inline struct gln_range ctz_next(struct ctz_walk *walk)
{
	struct gln_range run = {0};
	uint64_t ones;

	while (!walk->word) {
		if (++walk->index >= walk->nr_words)
			return run;
		walk->word = walk->words[walk->index];
	}
	run.first = walk->index * 64 + (uint64_t)__builtin_ctzll(walk->word);
	/* Fill the zeroes below the run: then its end is the first zero. */
	ones = walk->word | (walk->word - 1);
	while (ones == UINT64_MAX) {
		if (++walk->index >= walk->nr_words) {
			walk->word = 0;
			run.count = walk->nr_words * 64 - run.first;
			return run;
		}
		walk->word = ones = walk->words[walk->index];
	}
	run.count =
		walk->index * 64 + (uint64_t)__builtin_ctzll(~ones) - run.first;
	walk->word &= ones + 1;
	return run;
}

static inline size_t ctz_fill(struct ctz_walk *walk, struct gln_range *runs)
{
	size_t nr = 0;

	while (nr < RUNS) {
		runs[nr] = ctz_next(walk);
		if (!runs[nr].count)
			break;
		nr++;
	}
	return nr;
}

static struct ctz_walk ctz_start(const struct coalesce_fixture *f)
{
	return (struct ctz_walk){
		.words = f->truth.words,
		.nr_words = (size_t)(f->truth.nr_pages / 64),
		.word = f->truth.words[0],
	};
}

static int ctz_run(struct suite_fixture *head, uint64_t *answer)
{
	struct ctz_walk walk = ctz_start(fixture_of(head));
	struct gln_range runs[RUNS];
	uint64_t nr_pages = 0;
	size_t nr;

	while ((nr = ctz_fill(&walk, runs)))
		nr_pages += count_pages(runs, nr);
	*answer = nr_pages;
	return 0;
}

static int ctz_check(struct suite_fixture *head)
{
	struct coalesce_fixture *f = fixture_of(head);
	struct ctz_walk walk = ctz_start(f);
	struct gln_range runs[RUNS];
	uint64_t page = 0;
	size_t nr;

	while ((nr = ctz_fill(&walk, runs)))
		if (!are_next(&f->truth, &page, runs, nr))
			return -EBADMSG;
	return are_all(&f->truth, page) ? 0 : -EBADMSG;
}

/* --- the limit --- */

static int read_run(struct suite_fixture *head, uint64_t *answer)
{
	struct coalesce_fixture *f = fixture_of(head);
	const uint64_t sum =
		words_sum(f->truth.words, (size_t)(f->truth.nr_pages / 64));

	*answer = sum == f->sum ? f->truth.nr_dirty : UINT64_MAX;
	return 0;
}

static int read_check(struct suite_fixture *head)
{
	uint64_t answer;

	read_run(head, &answer);
	return answer == head->answer ? 0 : -EBADMSG;
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	const struct kind *const kind = &kinds[index % NR_KINDS];

	snprintf(name, bytes,
		 "coalesce/pages:%" PRIu64 "/density:%g/pattern:%s",
		 page_counts[index / NR_KINDS], kind->density,
		 kind->is_alternating ? "alternating" : "uniform");
}

static bool is_default(size_t index)
{
	return index >= NR_KINDS;
}

static void teardown(struct suite_fixture *head)
{
	struct coalesce_fixture *f = fixture_of(head);

	if (f->harvest)
		gln_harvest_commit(f->harvest);
	if (f->vm)
		gln_vm_destroy(f->vm);
	truth_fini(&f->truth);
	free(f);
}

/* A slot with the truth's marks, and a harvest that has taken them. */
static int make_harvest(struct coalesce_fixture *f)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	int err = marks_vm_create(f->truth.nr_pages, 0, &f->vm);

	if (!err)
		err = gln_dirty_merge(f->vm, MARKS_SLOT, 0, f->truth.words,
				      f->truth.nr_pages);
	if (!err)
		err = gln_harvest_begin(f->vm, MARKS_SLOT, &params,
					&f->harvest);
	return err;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	const struct kind *const kind = &kinds[index % NR_KINDS];
	const uint64_t nr_pages = page_counts[index / NR_KINDS];
	struct coalesce_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = truth_init(&f->truth, nr_pages);
	if (!err) {
		if (kind->is_alternating)
			truth_runs(&f->truth, 0, 1, 2);
		else
			truth_uniform(&f->truth,
				      truth_share(kind->density, nr_pages),
				      seed);
		err = make_harvest(f);
	}
	if (err) {
		teardown(&f->head);
		return err;
	}
	f->sum = truth_sum(&f->truth);
	f->head.answer = f->truth.nr_dirty;
	f->head.repeatable = true;
	f->head.check_once = f->truth.nr_dirty >= CHECK_ONCE_PAGES;
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", prepare, glean_run, glean_check},
	{"ctz-walk", prepare, ctz_run, ctz_check},
	{"read", prepare, read_run, read_check},
};

const struct suite coalesce_suite = {
	.name = "coalesce",
	.claim = "runs come at the speed of a read, or of the barest loop",
	.counter = "dirty_pages",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_COUNTS * NR_KINDS,
	.nr_quick = NR_KINDS,
	.is_default = is_default,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
