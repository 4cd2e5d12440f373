/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: a harvest of a mapped guest protects exactly what was dirty, by
 * maximal runs, 64 of them a call; the next write of a page that was not dirty
 * faults as little as before.
 *
 * Timed is the whole transaction, gln_harvest_begin() to gln_harvest_commit(),
 * over the x86 EPT backend, every page mapped by a leaf of its own. The rivals
 * take marks as glean does, and protect otherwise: see enum tap_protect.
 *
 *	density		so many pages, uniformly, were written since the last
 *			harvest, and are writable; all others are protected
 *	alternating	every page was written and is writable, and every second
 *			one is harvested: as when a log is cleared in parts
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/ept_guest.h"
#include "bench/suite/mmu.h"

#define PAGES_1G  (UINT64_C(1) << 18)
#define PAGES_64G (UINT64_C(1) << 24)
#define RUNS	  256

static const double densities[] = {0, 1e-4, 0.01, 0.1, 0.5, 1};

/* The case before all densities: small. */
enum { ALTERNATING, FIRST_DENSITY };

#define NR_CASES (FIRST_DENSITY + sizeof(densities) / sizeof(densities[0]))

/* In the order of their names. */
enum { CALLS, RANGES, FLUSHES, LEAVES, CLEAN_LEAVES, CLEAN_FAULTS };

/*
 * @all_writable: clean pages too, before each harvest.
 * @nr_runs:	maximal ones of @truth.
 */
struct mmu_fixture {
	struct suite_fixture head;
	bool all_writable;
	struct ept_guest guest;
	struct truth truth;
	uint64_t nr_runs;
	struct truth found;
};

static struct mmu_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct mmu_fixture *)(void *)head;
}

static int prepare(struct suite_fixture *head, enum tap_protect how)
{
	struct mmu_fixture *f = fixture_of(head);

	ept_guest_put_back(&f->guest, &f->truth);
	f->guest.tap.how = how;
	return gln_dirty_merge(f->guest.vm, EPT_GUEST_SLOT, 0, f->truth.words,
			       f->truth.nr_pages);
}

static int runs_prepare(struct suite_fixture *head)
{
	return prepare(head, TAP_RUNS);
}

static int spans_prepare(struct suite_fixture *head)
{
	return prepare(head, TAP_SPANS);
}

static int pages_prepare(struct suite_fixture *head)
{
	return prepare(head, TAP_PAGES);
}

static int begin(struct mmu_fixture *f, struct gln_harvest **harvest)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};

	return gln_harvest_begin(f->guest.vm, EPT_GUEST_SLOT, &params, harvest);
}

static int run(struct suite_fixture *head, uint64_t *answer)
{
	struct gln_harvest *harvest;
	const int err = begin(fixture_of(head), &harvest);

	if (!err)
		*answer = gln_harvest_commit(harvest);
	return err;
}

/* --- check --- */

/* What the harvest gives is the truth; so many runs. */
static int find(struct mmu_fixture *f, uint64_t *nr_runs)
{
	struct gln_harvest *harvest;
	struct gln_range runs[RUNS];
	size_t nr;
	int err = begin(f, &harvest);

	if (err)
		return err;
	*nr_runs = 0;
	truth_clear(&f->found);
	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS))) {
		*nr_runs += nr;
		for (size_t i = 0; i < nr; i++)
			if (!truth_set_range(&f->found, runs[i]))
				err = -EBADMSG;
	}
	gln_harvest_commit(harvest);
	if (!err && !truth_same(&f->found, &f->truth))
		err = -EBADMSG;
	return err;
}

/*
 * The guest writes every clean page, all of which it could write before the
 * harvest. A fault that leaves nothing to do is none that a CPU would have.
 */
static int count_faults(struct mmu_fixture *f, uint64_t *nr)
{
	*nr = 0;
	for (uint64_t page = 0; page < f->guest.nr_pages; page++) {
		const bool changed = ept_guest_entry(&f->guest, page) !=
				     ept_guest_kept(&f->guest, page);
		int result;

		if (truth_has(&f->truth, page))
			continue;
		result = ept_guest_fault(f->guest.vcpu, page, GLN_ACCESS_WRITE);
		if (result < 0)
			return result;
		if ((result == GLN_FAULT_RELAXED) != changed)
			return -EBADMSG;
		*nr += changed;
	}
	return 0;
}

static int count(struct mmu_fixture *f)
{
	uint64_t *const counters = f->head.counters;
	int64_t nr;
	int err;

	counters[CALLS] = f->guest.tap.nr_calls;
	counters[RANGES] = f->guest.tap.nr_ranges;
	counters[FLUSHES] = f->guest.tap.nr_flushes;
	err = ept_guest_compare(&f->guest, &f->truth, &counters[CLEAN_LEAVES]);
	counters[LEAVES] = f->truth.nr_dirty + counters[CLEAN_LEAVES];
	if (err || !f->all_writable)
		return err;

	/* What these writes mark is not the next iteration's. */
	err = count_faults(f, &counters[CLEAN_FAULTS]);
	nr = ept_guest_drop_marks(&f->guest);
	if (!err && nr != (int64_t)counters[CLEAN_FAULTS])
		err = nr < 0 ? (int)nr : -EBADMSG;
	return err;
}

static int check(struct suite_fixture *head)
{
	struct mmu_fixture *f = fixture_of(head);
	const uint64_t *const counters = head->counters;
	uint64_t nr_runs;
	int err;

	tap_reset(&f->guest.tap);
	err = find(f, &nr_runs);
	if (!err)
		err = count(f);
	if (err)
		return err;
	if (counters[FLUSHES] != (f->truth.nr_dirty > 0) ||
	    nr_runs != f->nr_runs)
		return -EBADMSG;
	/* G4: exact, whatever a rival does. */
	if (f->guest.tap.how == TAP_RUNS &&
	    (counters[RANGES] != f->nr_runs || counters[CLEAN_LEAVES] ||
	     counters[CLEAN_FAULTS]))
		return -EBADMSG;
	return 0;
}

/* --- cases --- */

/* A rival's harvest of a half dirty 64 GiB takes a second. */
static bool is_default(size_t index)
{
	if (index == ALTERNATING)
		return true;
	return densities[index - FIRST_DENSITY] < 0.1;
}

static void name_case(size_t index, char *name, size_t bytes)
{
	if (index == ALTERNATING)
		snprintf(name, bytes,
			 "mmu_harvest/bytes:1G/pattern:alternating"
			 "/backend:x86_ept");
	else
		snprintf(name, bytes,
			 "mmu_harvest/bytes:64G/density:%g/backend:x86_ept",
			 densities[index - FIRST_DENSITY]);
}

static void teardown(struct suite_fixture *head)
{
	struct mmu_fixture *f = fixture_of(head);

	truth_fini(&f->truth);
	truth_fini(&f->found);
	ept_guest_fini(&f->guest);
	free(f);
}

/* Counted from the bitmap: the library has no part in it. */
static uint64_t count_runs(const struct truth *truth)
{
	struct gln_range run = {0};
	uint64_t nr = 0;

	while ((run = truth_next_run(truth, run.first + run.count)).count)
		nr++;
	return nr;
}

static void make_truth(struct mmu_fixture *f, size_t index, uint64_t seed)
{
	const uint64_t nr_pages = f->truth.nr_pages;

	if (index == ALTERNATING)
		truth_runs(&f->truth, 0, 1, 2);
	else
		truth_uniform(
			&f->truth,
			truth_share(densities[index - FIRST_DENSITY], nr_pages),
			seed);
	f->nr_runs = count_runs(&f->truth);
	f->head.answer = f->truth.nr_dirty;
	f->head.repeatable = f->truth.nr_dirty == 0;
}

/* Nothing is marked, and what is due is writable. */
static int make_tables(struct mmu_fixture *f)
{
	const uint64_t nr_writable =
		f->all_writable ? f->truth.nr_pages : f->truth.nr_dirty;
	int err = ept_guest_map(&f->guest);
	int64_t nr;

	if (!err)
		err = ept_guest_split(&f->guest);
	if (!err)
		err = f->all_writable ? ept_guest_write_all(&f->guest)
				      : ept_guest_write(&f->guest, &f->truth);
	if (!err)
		err = ept_guest_keep(&f->guest);
	if (err)
		return err;
	nr = ept_guest_drop_marks(&f->guest);
	if (nr != (int64_t)nr_writable)
		return nr < 0 ? (int)nr : -EBADMSG;
	return 0;
}

static int make_guest(struct mmu_fixture *f, size_t index, uint64_t seed)
{
	const uint64_t nr_pages = index == ALTERNATING ? PAGES_1G : PAGES_64G;
	int err = truth_init(&f->truth, nr_pages);

	if (!err)
		err = truth_init(&f->found, nr_pages);
	if (!err)
		err = ept_guest_init(&f->guest, nr_pages, EPT_GUEST_ORDER_2M);
	if (err)
		return err;
	f->all_writable = index == ALTERNATING;
	make_truth(f, index, seed);
	return make_tables(f);
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct mmu_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = make_guest(f, index, seed);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", runs_prepare, run, check},
	{"span", spans_prepare, run, check},
	{"descent", pages_prepare, run, check},
};

const struct suite mmu_harvest_suite = {
	.name = "mmu_harvest",
	.claim = "a harvest protects what was dirty, by runs, and no more",
	.counter = "dirty_pages",
	.counters =
		{
			[CALLS] = "backend_calls",
			[RANGES] = "backend_ranges",
			[FLUSHES] = "backend_flushes",
			[LEAVES] = "leaves_changed",
			[CLEAN_LEAVES] = "clean_leaves_changed",
			[CLEAN_FAULTS] = "clean_page_faults",
		},
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_CASES,
	.nr_quick = FIRST_DENSITY,
	.is_default = is_default,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
