/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: to mark a range of 64 pages costs at most twice an atomic OR, and one
 * of 256 pages at most six.
 *
 *	glean		gln_dirty_mark_range(): finds slot and bitmap
 *	view		gln_view_mark_range(), in a view that is open for all
 *	fetch-or	one atomic OR for each 64 pages, in the loop itself
 *
 * Both count the marks that are new. Ranges begin where a word does, no two in
 * the same one. Times are of one range.
 */
#include "bench/suite/mark.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <glean/glean.h>

#include "bench/suite/marks.h"

#define RANGES UINT64_C(256)

static const uint64_t page_counts[] = {1, 64, 256, 4096};

#define NR_COUNTS (sizeof(page_counts) / sizeof(page_counts[0]))

/*
 * @nr_pages:	of a range.
 * @stride:	from one range to the next.
 */
struct mark_range_fixture {
	struct suite_fixture head;
	struct marks marks;
	uint64_t nr_pages;
	uint64_t stride;
	bool is_dirty;
};

static struct mark_range_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct mark_range_fixture *)(void *)head;
}

static struct gln_range range_at(const struct mark_range_fixture *f, uint64_t i)
{
	return (struct gln_range){i * f->stride, f->nr_pages};
}

static int prepare(struct suite_fixture *head)
{
	struct mark_range_fixture *const f = fixture_of(head);

	if (!f->is_dirty)
		return marks_drop(&f->marks);
	for (uint64_t i = 0; i < RANGES; i++)
		marks_set(&f->marks, range_at(f, i));
	return 0;
}

/* --- glean --- */

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	struct mark_range_fixture *const f = fixture_of(head);
	uint64_t nr = 0;

	for (uint64_t i = 0; i < RANGES; i++)
		nr += gln_dirty_mark_range(f->marks.vm, range_at(f, i));
	*answer = nr;
	return 0;
}

static int view_run(struct suite_fixture *head, uint64_t *answer)
{
	struct mark_range_fixture *const f = fixture_of(head);
	struct gln_view view;
	uint64_t nr = 0;

	gln_view_open(f->marks.vm, &view);
	for (uint64_t i = 0; i < RANGES; i++)
		nr += gln_view_mark_range(&view, range_at(f, i));
	gln_view_close(&view);
	*answer = nr;
	return 0;
}

typedef int (*run_fn)(struct suite_fixture *head, uint64_t *answer);

/* Every page is marked after @run, and no other. */
static int check_marks(struct suite_fixture *head, run_fn run)
{
	struct mark_range_fixture *const f = fixture_of(head);
	uint64_t nr_new;
	int64_t nr;

	run(head, &nr_new);
	nr = marks_harvested(&f->marks);
	if (nr < 0)
		return (int)nr;
	return nr_new == head->answer && (uint64_t)nr == RANGES * f->nr_pages
		       ? 0
		       : -EBADMSG;
}

static int glean_check(struct suite_fixture *head)
{
	return check_marks(head, glean_run);
}

static int view_check(struct suite_fixture *head)
{
	return check_marks(head, view_run);
}

/* --- one atomic OR a word --- */

static uint64_t first_bits(uint64_t nr)
{
	return nr < 64 ? (UINT64_C(1) << nr) - 1 : UINT64_MAX;
}

static uint64_t or_range(_Atomic uint64_t *word, uint64_t nr_pages)
{
	uint64_t nr = 0;

	for (uint64_t left = nr_pages; left;) {
		const uint64_t some = left < 64 ? left : 64;
		const uint64_t bits = first_bits(some);
		const uint64_t old = atomic_fetch_or(word++, bits) & bits;

		if (!old)
			nr += some;
		else if (old != bits)
			nr += (uint64_t)__builtin_popcountll(bits & ~old);
		left -= some;
	}
	return nr;
}

static int or_run(struct suite_fixture *head, uint64_t *answer)
{
	struct mark_range_fixture *const f = fixture_of(head);
	_Atomic uint64_t *const words = (_Atomic uint64_t *)f->marks.words;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < RANGES; i++)
		nr += or_range(&words[i * f->stride / 64], f->nr_pages);
	*answer = nr;
	return 0;
}

static int or_check(struct suite_fixture *head)
{
	struct mark_range_fixture *const f = fixture_of(head);
	uint64_t nr_new, nr = 0;

	or_run(head, &nr_new);
	for (uint64_t i = 0; i < f->marks.nr_pages / 64; i++)
		nr += (uint64_t)__builtin_popcountll(f->marks.words[i]);
	return nr_new == head->answer && nr == RANGES * f->nr_pages ? 0
								    : -EBADMSG;
}

/* --- cases --- */

static bool is_dirty_case(size_t index)
{
	return index < NR_COUNTS;
}

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "mark_range/kind:%s/pages:%" PRIu64,
		 is_dirty_case(index) ? "dirty" : "clean",
		 page_counts[index % NR_COUNTS]);
}

static void teardown(struct suite_fixture *head)
{
	struct mark_range_fixture *f = fixture_of(head);

	marks_fini(&f->marks);
	free(f);
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct mark_range_fixture *f = calloc(1, sizeof(*f));
	int err;

	(void)seed;
	if (!f)
		return -ENOMEM;
	f->is_dirty = is_dirty_case(index);
	f->nr_pages = page_counts[index % NR_COUNTS];
	f->stride = f->nr_pages < 64 ? 64 : f->nr_pages;
	f->head.batch = RANGES;
	f->head.answer = f->is_dirty ? 0 : RANGES * f->nr_pages;
	f->head.repeatable = f->is_dirty;

	err = marks_init(&f->marks, RANGES * f->stride, 0);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", prepare, glean_run, glean_check},
	{"view", prepare, view_run, view_check},
	{"fetch-or", prepare, or_run, or_check},
};

const struct suite mark_range_suite = {
	.name = "mark_range",
	.claim = "to mark many pages costs an atomic OR for each 64 of them",
	.counter = "new_marks",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 2,
	.nr_cases = 2 * NR_COUNTS,
	.nr_quick = 2 * NR_COUNTS,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
