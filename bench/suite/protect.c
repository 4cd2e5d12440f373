/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: protecting runs of pages costs at most 1.15 times the least there is
 * to do, a locked read-modify-write of each leaf, and a third of what a descent
 * for each page costs. Of scattered pages neither is claimed: where a run is a
 * page, finding it is most of the work.
 *
 * Ranges go to the backend so many a call as a harvest passes them. What is
 * least is done to a copy of the tables, laid out as they are, by a loop that
 * knows beforehand where each run lies. Before each iteration all leaves are
 * writable; those not asked for stay so. Times are of one leaf.
 *
 *	runs		64 pages, then 64 that stay, the words' borders crossed
 *	scattered	one page in eight, uniformly
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/suite/ept_guest.h"
#include "bench/suite/memory.h"
#include "bench/suite/mmu.h"

static const uint64_t leaf_counts[] = {4096, 65536, 1048576};
static const char *const patterns[] = {"runs", "scattered"};

#define NR_COUNTS   (sizeof(leaf_counts) / sizeof(leaf_counts[0]))
#define NR_PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

enum { RUNS, SCATTERED };

#define RUN_PAGES    UINT64_C(64)
#define RUN_OFFSET   UINT64_C(37)
#define SCATTER_RATE UINT64_C(8)

/* As many as a harvest hands to the backend at a time: RUNS_A_CALL there. */
#define RANGES_A_CALL 64

/* EPT's write permission (SDM table 29-6). */
#define ENTRY_WRITE (UINT64_C(1) << 1)

/*
 * @ranges:	maximal runs of @truth.
 * @array:	the rival's copy of all tables, entry by entry.
 * @spans:	what of it is what of @ranges is in one table; so many.
 */
struct protect_fixture {
	struct suite_fixture head;
	struct ept_guest guest;
	struct truth truth;
	struct gln_range *ranges;
	size_t nr_ranges;
	_Atomic uint64_t *array;
	struct gln_range *spans;
	size_t nr_spans;
};

static struct protect_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct protect_fixture *)(void *)head;
}

static size_t array_bytes(const struct protect_fixture *f)
{
	return f->guest.tables.nr * sizeof(struct table);
}

/* --- glean, and a descent a page --- */

static int put_back(struct suite_fixture *head, enum tap_protect how)
{
	struct protect_fixture *f = fixture_of(head);

	ept_guest_put_back(&f->guest, &f->truth);
	f->guest.tap.how = how;
	return 0;
}

static int runs_prepare(struct suite_fixture *head)
{
	return put_back(head, TAP_RUNS);
}

static int pages_prepare(struct suite_fixture *head)
{
	return put_back(head, TAP_PAGES);
}

static int protect_run(struct suite_fixture *head, uint64_t *answer)
{
	struct protect_fixture *f = fixture_of(head);
	struct gln_backend *backend = f->guest.backend;
	int err = 0;

	for (size_t i = 0; i < f->nr_ranges && !err; i += RANGES_A_CALL) {
		const size_t left = f->nr_ranges - i;

		err = backend->ops->protect(
			backend, f->guest.tap.slot, &f->ranges[i],
			left < RANGES_A_CALL ? left : RANGES_A_CALL);
	}
	*answer = f->truth.nr_dirty;
	return err;
}

/* What an entry is to be afterwards: others change not at all. */
static uint64_t expected_entry(const struct protect_fixture *f, uint64_t page)
{
	const uint64_t kept = ept_guest_kept(&f->guest, page);

	return truth_has(&f->truth, page) ? kept & ~ENTRY_WRITE : kept;
}

static int check_tables(const struct protect_fixture *f)
{
	for (uint64_t page = 0; page < f->guest.nr_pages; page++)
		if (ept_guest_entry(&f->guest, page) != expected_entry(f, page))
			return -EBADMSG;
	return 0;
}

/* Where a page's entry is in the array. */
static uint64_t index_of(const struct protect_fixture *f, uint64_t page)
{
	return f->guest.place[page / TABLE_ENTRIES] * TABLE_ENTRIES +
	       page % TABLE_ENTRIES;
}

static int check_array(const struct protect_fixture *f)
{
	for (uint64_t page = 0; page < f->guest.nr_pages; page++)
		if (atomic_load_explicit(&f->array[index_of(f, page)],
					 memory_order_relaxed) !=
		    expected_entry(f, page))
			return -EBADMSG;
	return 0;
}

static int protect_check(struct suite_fixture *head)
{
	struct protect_fixture *f = fixture_of(head);
	uint64_t nr;
	int err;

	tap_reset(&f->guest.tap);
	err = protect_run(head, &nr);
	head->counters[0] = f->guest.tap.nr_calls;
	head->counters[1] = f->guest.tap.nr_ranges;
	return err ? err : check_tables(f);
}

/* --- a plain loop of locked read-modify-writes --- */

static int rmw_prepare(struct suite_fixture *head)
{
	struct protect_fixture *f = fixture_of(head);

	memcpy((void *)f->array, f->guest.tables.kept, array_bytes(f));
	return 0;
}

static int rmw_run(struct suite_fixture *head, uint64_t *answer)
{
	struct protect_fixture *f = fixture_of(head);

	for (size_t i = 0; i < f->nr_spans; i++) {
		_Atomic uint64_t *entry = &f->array[f->spans[i].first];

		for (uint64_t n = 0; n < f->spans[i].count; n++)
			atomic_fetch_and_explicit(&entry[n], ~ENTRY_WRITE,
						  memory_order_relaxed);
	}
	*answer = f->truth.nr_dirty;
	return 0;
}

static int rmw_check(struct suite_fixture *head)
{
	struct protect_fixture *f = fixture_of(head);
	uint64_t nr;
	const int err = rmw_run(head, &nr);

	head->counters[0] = 0;
	head->counters[1] = 0;
	return err ? err : check_array(f);
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "protect/leaves:%" PRIu64 "/pattern:%s",
		 leaf_counts[index / NR_PATTERNS],
		 patterns[index % NR_PATTERNS]);
}

static void teardown(struct suite_fixture *head)
{
	struct protect_fixture *f = fixture_of(head);

	suite_free((void *)f->array, array_bytes(f));
	free(f->spans);
	free(f->ranges);
	truth_fini(&f->truth);
	ept_guest_fini(&f->guest);
	free(f);
}

static int make_truth(struct protect_fixture *f, size_t index, uint64_t seed)
{
	const uint64_t nr = leaf_counts[index / NR_PATTERNS];
	const bool scattered = index % NR_PATTERNS == SCATTERED;
	const int err =
		truth_init(&f->truth, nr * (scattered ? SCATTER_RATE : 2));

	if (err)
		return err;
	if (scattered)
		truth_uniform(&f->truth, nr, seed);
	else
		truth_runs(&f->truth, RUN_OFFSET, RUN_PAGES, 2 * RUN_PAGES);
	return 0;
}

static int make_ranges(struct protect_fixture *f)
{
	struct gln_range run = {0};

	f->ranges = calloc((size_t)f->truth.nr_dirty, sizeof(*f->ranges));
	if (!f->ranges)
		return -ENOMEM;
	while ((run = truth_next_run(&f->truth, run.first + run.count)).count)
		f->ranges[f->nr_ranges++] = run;
	return 0;
}

/* All mapped by pages, all writable. */
static int make_guest(struct protect_fixture *f)
{
	int err = ept_guest_init(&f->guest, f->truth.nr_pages,
				 EPT_GUEST_ORDER_2M);

	if (!err)
		err = ept_guest_map(&f->guest);
	if (!err)
		err = ept_guest_split(&f->guest);
	if (!err)
		err = ept_guest_write_all(&f->guest);
	if (!err)
		err = ept_guest_keep(&f->guest);
	return err;
}

/* The rival's copy, and where in it the ranges are. */
static int make_array(struct protect_fixture *f)
{
	f->array = suite_alloc(array_bytes(f));
	f->spans = calloc((size_t)f->truth.nr_dirty, sizeof(*f->spans));
	if (!f->array || !f->spans)
		return -ENOMEM;
	for (size_t i = 0; i < f->nr_ranges; i++) {
		struct gln_range left = f->ranges[i];

		while (left.count) {
			const uint64_t room =
				TABLE_ENTRIES - left.first % TABLE_ENTRIES;
			const uint64_t nr =
				left.count < room ? left.count : room;

			f->spans[f->nr_spans++] =
				(struct gln_range){index_of(f, left.first), nr};
			left.first += nr;
			left.count -= nr;
		}
	}
	return 0;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct protect_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = make_truth(f, index, seed);
	if (!err)
		err = make_ranges(f);
	if (!err)
		err = make_guest(f);
	if (!err)
		err = make_array(f);
	if (err) {
		teardown(&f->head);
		return err;
	}
	f->head.answer = f->truth.nr_dirty;
	f->head.batch = f->truth.nr_dirty;
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", runs_prepare, protect_run, protect_check},
	{"rmw", rmw_prepare, rmw_run, rmw_check},
	{"descent", pages_prepare, protect_run, protect_check},
};

const struct suite protect_suite = {
	.name = "protect",
	.claim = "protecting runs costs what their leaves cost, not descents",
	.counter = "leaves",
	.counters = {"backend_calls", "backend_ranges"},
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_COUNTS * NR_PATTERNS,
	.nr_quick = NR_PATTERNS,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
