/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: the longest pause of an incremental resize is at least 20 times
 * shorter than that of one that moves all bolted entries while vCPUs wait.
 *
 * Timed is what vCPUs wait for: gln_hpt_resize_commit(), from the call to its
 * return, nobody being inside. Prepared beforehand, and not timed, is a table
 * twice as large. Most entries are not bolted; hardware has noted R in all of
 * them, C in every second. One in a thousand of those that are bolted is
 * protected by the guest between the last step and the commit.
 *
 *	incremental	bolted entries are copied in steps of STEP_GROUPS
 *before, and what hardware noted is taken over after stop		neither
 *
 * Nobody waits for steps, but they hold locks: the longest is a counter, as is
 * the pause that the library saw itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/hpt.h"
#include "bench/suite/hpt_vm.h"
#include "bench/suite/truth.h"

#define STEP_GROUPS UINT64_C(4096)

static const double bolted_share = 0.01;

/* One bolted entry in so many changes before the commit. */
#define CHANGE_RATE UINT64_C(1000)

static const struct size {
	unsigned int order;
	uint64_t nr_pages;
} sizes[] = {
	{22, UINT64_C(1) << 16},
	{28, UINT64_C(1) << 20},
	{28, UINT64_C(1) << 22},
	{28, UINT64_C(1) << 23},
};

#define NR_CASES      (sizeof(sizes) / sizeof(sizes[0]))
#define NR_QUICK      1
#define QUICK_ORDER   22
#define DEFAULT_PAGES (UINT64_C(1) << 22)

enum { PAUSE, STEP, NR_STEPS };

/*
 * @bolted:	pages whose entry is.
 * @indices:	of each page's entry, in the table before.
 */
struct resize_fixture {
	struct suite_fixture head;
	const struct size *size;
	uint64_t seed;
	struct hpt_vm vm;
	struct truth bolted;
	uint32_t *indices;
	uint64_t nr_steps;
};

static struct resize_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct resize_fixture *)(void *)head;
}

static unsigned int order_after(const struct resize_fixture *f)
{
	return f->size->order + 1;
}

/* --- before each: a new guest --- */

static uint64_t noted(uint64_t page)
{
	return page % 2 ? GLN_HPTE_R_R : GLN_HPTE_R_R | GLN_HPTE_R_C;
}

static int enter_page(struct resize_fixture *f, uint64_t page)
{
	const uint64_t flags =
		truth_has(&f->bolted, page) ? GLN_HPTE_V_BOLTED : 0;
	uint64_t index = 0;
	const int err = hpt_vm_enter(&f->vm, page, flags, &index);

	if (err)
		return err;
	f->indices[page] = (uint32_t)index;
	hpt_vm_note(&hpt_vm_table(&f->vm)[index], noted(page));
	return 0;
}

static int make_guest(struct resize_fixture *f)
{
	const struct hpt_vm_params params = {
		.nr_pages = f->size->nr_pages,
		.order = f->size->order,
		.isa = GLN_HPT_ISA_3_0,
		.seed = f->seed,
	};
	int err;

	hpt_vm_fini(&f->vm);
	err = hpt_vm_init(&f->vm, &params);
	for (uint64_t page = 0; page < params.nr_pages && !err; page++)
		err = enter_page(f, page);
	return err;
}

/* Until there is nothing more to do. */
static int work(struct resize_fixture *f)
{
	int more;

	do {
		more = gln_hpt_resize_work(f->vm.vm, STEP_GROUPS);
		f->nr_steps++;
	} while (more > 0);
	return more;
}

/* The guest takes the right to execute from some of its bolted pages. */
static int change_some(struct resize_fixture *f)
{
	uint64_t page = 0;
	uint64_t nr = 0;

	for (; page < f->size->nr_pages; page++) {
		uint64_t args[GLN_HCALL_ARGS] = {GLN_HPTE_R_N,
						 f->indices[page]};

		if (!truth_has(&f->bolted, page) || nr++ % CHANGE_RATE)
			continue;
		if (gln_hcall(f->vm.vcpu, GLN_H_PROTECT, args, args))
			return -EIO;
	}
	return 0;
}

static int prepare(struct suite_fixture *head, uint32_t flags)
{
	struct resize_fixture *const f = fixture_of(head);
	int result;
	int err = make_guest(f);

	f->nr_steps = 0;
	if (err)
		return err;
	result = gln_hpt_resize_prepare(f->vm.vm, order_after(f), flags);
	while (result > 0) {
		err = work(f);
		if (err)
			return err;
		result =
			gln_hpt_resize_prepare(f->vm.vm, order_after(f), flags);
	}
	if (!result)
		result = change_some(f);
	hpt_vm_outside(&f->vm);
	return result;
}

static int incremental_prepare(struct suite_fixture *head)
{
	return prepare(head, GLN_HPT_RESIZE_INCREMENTAL);
}

static int stop_prepare(struct suite_fixture *head)
{
	return prepare(head, 0);
}

/* --- one iteration --- */

static int run(struct suite_fixture *head, uint64_t *answer)
{
	struct resize_fixture *const f = fixture_of(head);

	*answer = f->bolted.nr_dirty;
	return gln_hpt_resize_commit(f->vm.vm, order_after(f));
}

/* Where a page's entry must be now: the place in its group stays. */
static uint64_t index_after(const struct resize_fixture *f, uint64_t page)
{
	const uint64_t before = f->indices[page];
	const uint64_t v =
		before / GLN_HPT_GROUP_ENTRIES * GLN_HPT_GROUP_ENTRIES ==
				hpt_vm_group(&f->vm, page, f->size->order, 0)
			? 0
			: GLN_HPTE_V_SECONDARY;

	return hpt_vm_group(&f->vm, page, order_after(f), v) +
	       before % GLN_HPT_GROUP_ENTRIES;
}

/* A bolted page's entry is there, for the guest, with what hardware noted. */
static int check_bolted(struct resize_fixture *f, uint64_t page, bool changed)
{
	const struct gln_hpte entry = hpt_vm_entry(&f->vm, page);
	uint64_t args[GLN_HCALL_ARGS] = {0, index_after(f, page)};

	if (gln_hcall(f->vm.vcpu, GLN_H_READ, args, args) ||
	    (args[0] & ~GLN_HPTE_V_SECONDARY) !=
		    (entry.v | GLN_HPTE_V_BOLTED) ||
	    args[1] != (entry.r | noted(page) | (changed ? GLN_HPTE_R_N : 0)))
		return -EBADMSG;
	return hpt_vm_fault(&f->vm, page, GLN_ACCESS_READ) == GLN_FAULT_MAPPED
		       ? 0
		       : -EBADMSG;
}

/* Bolted entries have moved, and no others: the guest is told so. */
static int check_pages(struct resize_fixture *f)
{
	uint64_t nr = 0;
	int err = 0;

	for (uint64_t page = 0; page < f->size->nr_pages && !err; page++) {
		if (truth_has(&f->bolted, page))
			err = check_bolted(f, page, nr++ % CHANGE_RATE == 0);
		else if (hpt_vm_fault(&f->vm, page, GLN_ACCESS_READ) !=
			 GLN_FAULT_REFLECT)
			err = -EBADMSG;
	}
	return err;
}

static int count(struct resize_fixture *f)
{
	struct gln_hpt_stats stats = {.struct_bytes = sizeof(stats)};
	const int err = gln_hpt_stats(f->vm.vm, &stats);

	f->head.counters[PAUSE] = stats.resize_pause_ns;
	f->head.counters[STEP] = stats.resize_step_ns;
	f->head.counters[NR_STEPS] = f->nr_steps;
	return err || stats.order == order_after(f) ? err : -EBADMSG;
}

static int check(struct suite_fixture *head)
{
	struct resize_fixture *const f = fixture_of(head);
	uint64_t nr;
	int err = run(head, &nr);

	if (!err)
		err = hpt_vm_inside(&f->vm);
	if (!err)
		err = check_pages(f);
	if (!err)
		err = work(f);
	hpt_vm_outside(&f->vm);
	if (!err)
		err = gln_hpt_check(f->vm.vm, NULL);
	return err ? err : count(f);
}

/* --- cases --- */

/* A new guest for each repetition takes a while; the others say the same. */
static bool is_default(size_t index)
{
	return sizes[index].nr_pages == DEFAULT_PAGES ||
	       sizes[index].order == QUICK_ORDER;
}

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "hpt_resize/order:%u/pages:%" PRIu64,
		 sizes[index].order, sizes[index].nr_pages);
}

static void teardown(struct suite_fixture *head)
{
	struct resize_fixture *const f = fixture_of(head);

	hpt_vm_fini(&f->vm);
	truth_fini(&f->bolted);
	free(f->indices);
	free(f);
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct resize_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->size = &sizes[index];
	f->seed = seed;
	f->indices = calloc((size_t)f->size->nr_pages, sizeof(*f->indices));
	err = f->indices ? truth_init(&f->bolted, f->size->nr_pages) : -ENOMEM;
	if (err) {
		teardown(&f->head);
		return err;
	}
	truth_uniform(&f->bolted, truth_share(bolted_share, f->size->nr_pages),
		      seed);
	f->head.answer = f->bolted.nr_dirty;
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"incremental", incremental_prepare, run, check},
	{"stop", stop_prepare, run, check},
};

const struct suite hpt_resize_suite = {
	.name = "hpt_resize",
	.claim = "a table that was copied ahead is changed to in no time",
	.counter = "bolted",
	.counters =
		{
			[PAUSE] = "pause_ns",
			[STEP] = "longest_step_ns",
			[NR_STEPS] = "steps",
		},
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_CASES,
	.nr_quick = NR_QUICK,
	.is_default = is_default,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
