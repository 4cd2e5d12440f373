/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: a harvest of the VM by one worker costs no more than the plain harvest
 * of its slot, and by several it takes as much less as there are CPUs.
 *
 *	plain		gln_harvest_begin() to gln_harvest_commit()
 *	workers-N	gln_vm_harvest_begin() to gln_vm_harvest_commit(), by so
 *			many threads; where there are as many CPUs
 *
 * One slot. Of the case with backend:x86_ept every page is mapped by a leaf of
 * its own, and what is dirty is writable: it is protected and flushed, too.
 */
#include "bench/suite/parallel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/ept_guest.h"
#include "bench/suite/marks.h"
#include "bench/suite/truth.h"

#define SLOT MARKS_SLOT
_Static_assert(SLOT == EPT_GUEST_SLOT, "with tables and without");

#define RUNS 256

/* A check goes through the pages one run at a time: from here on, only once. */
#define CHECK_ONCE_PAGES (UINT64_C(1) << 20)

#define PAGES_4G  UINT64_C(1048576)
#define PAGES_64G UINT64_C(16777216)
#define PAGES_1T  UINT64_C(268435456)

/* One benchmark; the first is small. */
static const struct parallel_case {
	uint64_t nr_pages;
	double density;
	enum gln_harvest_strategy strategy;
	bool has_tables;
} cases[] = {
	{PAGES_4G, 0.01, GLN_HARVEST_AUTO, false},
	{PAGES_64G, 0, GLN_HARVEST_AUTO, false},
	{PAGES_64G, 1e-4, GLN_HARVEST_AUTO, false},
	{PAGES_64G, 1, GLN_HARVEST_AUTO, false},
	{PAGES_64G, 1, GLN_HARVEST_EXCHANGE, false},
	{PAGES_64G, 0.01, GLN_HARVEST_AUTO, true},
	{PAGES_1T, 0, GLN_HARVEST_AUTO, false},
	{PAGES_1T, 1e-4, GLN_HARVEST_AUTO, false},
	{PAGES_1T, 1e-4, GLN_HARVEST_EXCHANGE, false},
	{PAGES_1T, 1, GLN_HARVEST_AUTO, false},
	{PAGES_1T, 1, GLN_HARVEST_EXCHANGE, false},
};

enum { NR_CASES = sizeof(cases) / sizeof(cases[0]) };

/* Workers of the rivals after the first. */
static const unsigned int worker_counts[] = {1, 2, 4, 8};

enum { NR_POOLS = sizeof(worker_counts) / sizeof(worker_counts[0]) };

/*
 * @guest:	where it has tables; @vm is its, or one without a backend.
 * @pools:	made when they are first asked for.
 */
struct parallel_fixture {
	struct suite_fixture head;
	const struct parallel_case *is;
	struct truth truth;
	struct truth found;
	struct ept_guest guest;
	struct gln_vm *vm;
	struct gln_workers *pools[NR_POOLS];
};

static struct parallel_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct parallel_fixture *)(void *)head;
}

/* The marks, and the entries that the guest made writable. */
static int prepare(struct suite_fixture *head)
{
	struct parallel_fixture *f = fixture_of(head);

	if (f->is->has_tables)
		ept_guest_put_back(&f->guest, &f->truth);
	return gln_dirty_merge(f->vm, SLOT, 0, f->truth.words,
			       f->truth.nr_pages);
}

/* --- plain --- */

static int plain_begin(struct parallel_fixture *f, struct gln_harvest **harvest)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = f->is->strategy,
	};

	return gln_harvest_begin(f->vm, SLOT, &params, harvest);
}

static int plain_run(struct suite_fixture *head, uint64_t *answer)
{
	struct gln_harvest *harvest;
	const int err = plain_begin(fixture_of(head), &harvest);

	if (!err)
		*answer = gln_harvest_commit(harvest);
	return err;
}

static int find(struct parallel_fixture *f, struct gln_harvest *harvest)
{
	struct gln_range runs[RUNS];
	int err = 0;
	size_t nr;

	truth_clear(&f->found);
	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS))) {
		for (size_t i = 0; i < nr; i++)
			if (!truth_set_range(&f->found, runs[i]))
				err = -EBADMSG;
	}
	if (!err && !truth_same(&f->truth, &f->found))
		err = -EBADMSG;
	return err;
}

/* Nothing but the dirty pages was protected. */
static int check_tables(struct parallel_fixture *f)
{
	uint64_t nr_others = 0;
	int err = 0;

	if (f->is->has_tables)
		err = ept_guest_compare(&f->guest, &f->truth, &nr_others);
	return !err && nr_others ? -EBADMSG : err;
}

static int plain_check(struct suite_fixture *head)
{
	struct parallel_fixture *f = fixture_of(head);
	struct gln_harvest *harvest;
	int err = plain_begin(f, &harvest);

	if (err)
		return err;
	err = find(f, harvest);
	gln_harvest_commit(harvest);
	return err ? err : check_tables(f);
}

/* --- by workers --- */

static int make_pool(struct parallel_fixture *f, size_t pool)
{
	struct gln_host_info info = {.struct_bytes = sizeof(info)};
	int err;

	if (f->pools[pool])
		return 0;
	err = gln_host_info(&info);
	if (err)
		return err;
	if (info.nr_cpus < worker_counts[pool])
		return -ENOTSUP;
	return gln_workers_create(worker_counts[pool], &f->pools[pool]);
}

static int prepare_with(struct suite_fixture *head, size_t pool)
{
	const int err = make_pool(fixture_of(head), pool);

	return err ? err : prepare(head);
}

static int begin_with(struct parallel_fixture *f, size_t pool,
		      struct gln_vm_harvest **harvest)
{
	const struct gln_vm_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = f->is->strategy,
		.workers = f->pools[pool],
	};

	return gln_vm_harvest_begin(f->vm, &params, harvest);
}

static int run_with(struct suite_fixture *head, size_t pool, uint64_t *answer)
{
	struct gln_vm_harvest *harvest;
	const int err = begin_with(fixture_of(head), pool, &harvest);

	if (!err)
		*answer = gln_vm_harvest_commit(harvest);
	return err;
}

static int check_with(struct suite_fixture *head, size_t pool)
{
	struct parallel_fixture *f = fixture_of(head);
	struct gln_vm_harvest *harvest;
	int err = begin_with(f, pool, &harvest);

	if (err)
		return err;
	err = find(f, gln_vm_harvest_slot(harvest, SLOT));
	gln_vm_harvest_commit(harvest);
	return err ? err : check_tables(f);
}

#define WORKERS(pool)                                                       \
	static int prepare_##pool(struct suite_fixture *head)               \
	{                                                                   \
		return prepare_with(head, pool);                            \
	}                                                                   \
	static int run_##pool(struct suite_fixture *head, uint64_t *answer) \
	{                                                                   \
		return run_with(head, pool, answer);                        \
	}                                                                   \
	static int check_##pool(struct suite_fixture *head)                 \
	{                                                                   \
		return check_with(head, pool);                              \
	}

WORKERS(0)
WORKERS(1)
WORKERS(2)
WORKERS(3)

static const struct rival rivals[] = {
	{"plain", prepare, plain_run, plain_check},
	{"workers-1", prepare_0, run_0, check_0},
	{"workers-2", prepare_1, run_1, check_1},
	{"workers-4", prepare_2, run_2, check_2},
	{"workers-8", prepare_3, run_3, check_3},
};

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	const struct parallel_case *const c = &cases[index];

	snprintf(name, bytes, "parallel/pages:%" PRIu64 "/density:%g/%s",
		 c->nr_pages, c->density,
		 c->has_tables			       ? "backend:x86_ept"
		 : c->strategy == GLN_HARVEST_EXCHANGE ? "strategy:exchange"
						       : "strategy:auto");
}

/* All pages by exchange take a tenth of a second a harvest. */
static bool is_default(size_t index)
{
	return cases[index].strategy == GLN_HARVEST_AUTO;
}

static void teardown(struct suite_fixture *head)
{
	struct parallel_fixture *f = fixture_of(head);

	for (size_t i = 0; i < NR_POOLS; i++)
		if (f->pools[i])
			gln_workers_destroy(f->pools[i]);
	if (f->is->has_tables)
		ept_guest_fini(&f->guest);
	else if (f->vm)
		gln_vm_destroy(f->vm);
	truth_fini(&f->truth);
	truth_fini(&f->found);
	free(f);
}

/* The other VM, with tables. The tap counts for one thread: it is taken out. */
static int make_guest(struct parallel_fixture *f)
{
	int err = ept_guest_init(&f->guest, f->truth.nr_pages,
				 EPT_GUEST_ORDER_2M);
	int64_t nr;

	if (!err)
		err = ept_guest_map(&f->guest);
	if (!err)
		err = ept_guest_split(&f->guest);
	if (!err)
		err = ept_guest_write(&f->guest, &f->truth);
	if (!err)
		err = ept_guest_keep(&f->guest);
	if (err)
		return err;
	tap_close(&f->guest.tap, f->guest.backend);
	f->vm = f->guest.vm;
	nr = ept_guest_drop_marks(&f->guest);
	if (nr != (int64_t)f->truth.nr_dirty)
		return nr < 0 ? (int)nr : -EBADMSG;
	return 0;
}

static int make(struct parallel_fixture *f, uint64_t seed)
{
	const uint64_t nr_pages = f->is->nr_pages;
	int err = truth_init(&f->truth, nr_pages);

	if (!err)
		err = truth_init(&f->found, nr_pages);
	if (err)
		return err;
	truth_uniform(&f->truth, truth_share(f->is->density, nr_pages), seed);
	f->head.answer = f->truth.nr_dirty;
	f->head.repeatable = f->truth.nr_dirty == 0;
	f->head.check_once = f->truth.nr_dirty >= CHECK_ONCE_PAGES;
	return f->is->has_tables
		       ? make_guest(f)
		       : marks_vm_create(f->truth.nr_pages, 0, &f->vm);
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct parallel_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->is = &cases[index];
	err = make(f, seed);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

const struct suite parallel_suite = {
	.name = "parallel",
	.claim = "one worker costs nothing, several share the work",
	.counter = "dirty_pages",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 0,
	.nr_cases = NR_CASES,
	.nr_quick = 1,
	.is_default = is_default,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
