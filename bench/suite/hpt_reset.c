/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: to clear a hashed page table and its reverse map takes no longer than
 * memset() takes for as many bytes, by a fourth: 0.8 of its bandwidth.
 *
 *	glean	gln_hpt_allocate() of the order that the table has: a gate, a
 *		grace period and the heads of all pages are in it
 *	memset	the table's own memory, and as much beside it
 *
 * All memory is there before the clock starts. Before glean's turn the guest
 *has an entry for each page of its one slot. Times are of one reset.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/suite/hpt.h"
#include "bench/suite/hpt_vm.h"
#include "bench/suite/memory.h"

static const unsigned int orders[] = {20, 26, 30};

#define NR_CASES (sizeof(orders) / sizeof(orders[0]))
#define NR_QUICK 1

/* A sixteenth of the smallest table's entries. */
#define NR_PAGES UINT64_C(4096)

/* @beside: what the rival clears in place of a reverse map. */
struct reset_fixture {
	struct suite_fixture head;
	struct hpt_vm vm;
	void *beside;
};

static struct reset_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct reset_fixture *)(void *)head;
}

static size_t table_bytes(const struct reset_fixture *f)
{
	return (size_t)1 << f->vm.params.order;
}

/* --- glean --- */

static int enter_all(struct reset_fixture *f)
{
	int err = hpt_vm_inside(&f->vm);

	for (uint64_t page = 0; page < NR_PAGES && !err; page++)
		err = hpt_vm_enter(&f->vm, page, 0, NULL);
	hpt_vm_outside(&f->vm);
	return err;
}

static int reset(struct reset_fixture *f)
{
	uint32_t order = f->vm.params.order;
	const int err = gln_hpt_allocate(f->vm.vm, &order);

	return err || order == f->vm.params.order ? err : -EBADMSG;
}

/* The table is empty before; and now nothing but what the guest entered. */
static int glean_prepare(struct suite_fixture *head)
{
	struct reset_fixture *const f = fixture_of(head);
	const int err = reset(f);

	return err ? err : enter_all(f);
}

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	struct reset_fixture *const f = fixture_of(head);

	*answer = 2 * table_bytes(f);
	return reset(f);
}

static uint64_t nr_used(const struct reset_fixture *f)
{
	const struct hpt_vm_pair *const table = hpt_vm_table(&f->vm);
	uint64_t nr = 0;

	for (uint64_t i = 0; i < f->vm.nr_entries; i++)
		nr += (table[i].v | table[i].r) != 0;
	return nr;
}

/* In its place, empty, with a reverse map that fits; and it can be filled. */
static int glean_check(struct suite_fixture *head)
{
	struct reset_fixture *const f = fixture_of(head);
	const struct hpt_vm_pair *const table = hpt_vm_table(&f->vm);
	uint64_t bytes;
	int err;

	if (nr_used(f) != NR_PAGES)
		return -EBADMSG;
	err = glean_run(head, &bytes);
	if (!err && (bytes != head->answer || hpt_vm_table(&f->vm) != table ||
		     nr_used(f)))
		err = -EBADMSG;
	if (!err)
		err = gln_hpt_check(f->vm.vm, NULL);
	return err ? err : enter_all(f);
}

/* --- memset --- */

/* No page of the slot may be left with an entry that is wiped. */
static int memset_prepare(struct suite_fixture *head)
{
	return reset(fixture_of(head));
}

static int memset_run(struct suite_fixture *head, uint64_t *answer)
{
	struct reset_fixture *const f = fixture_of(head);

	memset((void *)hpt_vm_table(&f->vm), 0, table_bytes(f));
	memset(f->beside, 0, table_bytes(f));
	*answer = 2 * table_bytes(f);
	return 0;
}

static int memset_check(struct suite_fixture *head)
{
	struct reset_fixture *const f = fixture_of(head);
	const unsigned char *const bytes = f->beside;
	uint64_t nr;
	int err;

	memset(f->beside, 0xff, table_bytes(f));
	err = memset_run(head, &nr);
	if (!err && (nr != head->answer || nr_used(f) || bytes[0] ||
		     memcmp(bytes, bytes + 1, table_bytes(f) - 1)))
		err = -EBADMSG;
	return err;
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "hpt_reset/order:%u", orders[index]);
}

static void teardown(struct suite_fixture *head)
{
	struct reset_fixture *const f = fixture_of(head);

	suite_free(f->beside, table_bytes(f));
	hpt_vm_fini(&f->vm);
	free(f);
}

static int make_guest(struct reset_fixture *f, unsigned int order,
		      uint64_t seed)
{
	const struct hpt_vm_params params = {
		.nr_pages = NR_PAGES,
		.order = order,
		.isa = GLN_HPT_ISA_3_0,
		.seed = seed,
	};
	const int err = hpt_vm_init(&f->vm, &params);

	if (err)
		return err;
	hpt_vm_outside(&f->vm);
	f->beside = suite_alloc(table_bytes(f));
	return f->beside ? 0 : -ENOMEM;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct reset_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = make_guest(f, orders[index], seed);
	if (err) {
		teardown(&f->head);
		return err;
	}
	f->head.answer = 2 * table_bytes(f);
	/* To look at so many bytes takes longer than to clear them. */
	f->head.check_once = true;
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", glean_prepare, glean_run, glean_check},
	{"memset", memset_prepare, memset_run, memset_check},
};

const struct suite hpt_reset_suite = {
	.name = "hpt_reset",
	.claim = "a hashed page table is cleared at the speed of memory",
	.counter = "bytes",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_CASES,
	.nr_quick = NR_QUICK,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
