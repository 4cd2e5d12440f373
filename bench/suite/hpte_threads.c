/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: two vCPUs that enter and remove entries of different groups, for
 * different pages, do at least 1.7 times as much as one; and at least 1.7 times
 * as much as behind one mutex around the table.
 *
 * Each vCPU is a thread, and has pages of its own; they start together, and the
 * time is that of the last to end (pair.h). Times are of one pair of calls, all
 * vCPUs' pairs counted.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/hpt.h"
#include "bench/suite/hpt_vm.h"
#include "bench/suite/pair.h"

#define THREADS_MAX 2

/* Of a thread: in its nearest cache, and no line shared with the other. */
#define PAGES UINT64_C(64)

/*
 * Of a thread: so many that starting is a small part, so few that most runs end
 * before a busy machine's scheduler takes a CPU away.
 */
#define PAIRS UINT64_C(16384)

#define ORDER	 20
#define NR_PAGES UINT64_C(4096)

struct threads_fixture;

typedef int64_t (*hcall_fn)(struct threads_fixture *f, struct gln_vcpu *vcpu,
			    uint64_t nr, uint64_t *args);

/* What a vCPU enters, and where. */
struct target {
	uint64_t index;
	struct gln_hpte entry;
};

struct enterer {
	struct gln_vcpu *vcpu;
	struct target targets[PAGES];
};

/* @hcall: the rival's. */
struct threads_fixture {
	struct suite_fixture head;
	struct hpt_vm vm;
	unsigned int nr_threads;
	hcall_fn hcall;
	pthread_mutex_t table;
	struct pair pair;
	struct enterer enterers[THREADS_MAX];
};

static struct threads_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct threads_fixture *)(void *)head;
}

/* --- the rivals --- */

static int64_t hcall_plain(struct threads_fixture *f, struct gln_vcpu *vcpu,
			   uint64_t nr, uint64_t *args)
{
	(void)f;
	return gln_hcall(vcpu, nr, args, args);
}

static int64_t hcall_locked(struct threads_fixture *f, struct gln_vcpu *vcpu,
			    uint64_t nr, uint64_t *args)
{
	int64_t code;

	pthread_mutex_lock(&f->table);
	code = gln_hcall(vcpu, nr, args, args);
	pthread_mutex_unlock(&f->table);
	return code;
}

/* --- threads --- */

/* The guest has the first vCPU, on the runner's thread. */
static int enter(void *ctx, unsigned int index)
{
	struct threads_fixture *const f = ctx;
	struct enterer *const own = &f->enterers[index];
	int err;

	own->vcpu = f->vm.vcpu;
	if (!index)
		return 0;
	err = gln_vcpu_register(f->vm.vm, index, &own->vcpu);
	if (err)
		return err;
	err = gln_vcpu_enter(own->vcpu);
	if (err)
		gln_vcpu_unregister(own->vcpu);
	return err;
}

static void leave(void *ctx, unsigned int index)
{
	struct threads_fixture *const f = ctx;
	struct gln_vcpu *const vcpu = f->enterers[index].vcpu;

	if (!index)
		return;
	gln_vcpu_leave(vcpu);
	gln_vcpu_unregister(vcpu);
}

/* Enter and remove one entry, and get back what it was. */
static bool do_pair(struct threads_fixture *f, struct gln_vcpu *vcpu,
		    hcall_fn hcall, const struct target *target)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, target->index, target->entry.v,
					 target->entry.r};
	int64_t code = hcall(f, vcpu, GLN_H_ENTER, args);

	args[1] = args[0];
	args[0] = 0;
	code |= hcall(f, vcpu, GLN_H_REMOVE, args);
	return code == GLN_H_SUCCESS && args[0] == target->entry.v &&
	       args[1] == target->entry.r;
}

/* How many came to what they should. */
static uint64_t do_pairs(void *ctx, unsigned int index)
{
	struct threads_fixture *const f = ctx;
	struct enterer *const own = &f->enterers[index];
	const hcall_fn hcall = f->hcall;
	uint64_t nr_right = 0;

	for (uint64_t i = 0; i < PAIRS; i++)
		nr_right +=
			do_pair(f, own->vcpu, hcall, &own->targets[i % PAGES]);
	return nr_right;
}

static const struct pair_ops pair_ops = {
	.enter = enter,
	.work = do_pairs,
	.leave = leave,
};

/* --- one iteration --- */

static int prepare(struct suite_fixture *head, hcall_fn hcall)
{
	struct threads_fixture *const f = fixture_of(head);

	f->hcall = hcall;
	pair_meet(&f->pair);
	return 0;
}

static int plain_prepare(struct suite_fixture *head)
{
	return prepare(head, hcall_plain);
}

static int locked_prepare(struct suite_fixture *head)
{
	return prepare(head, hcall_locked);
}

static int run(struct suite_fixture *head, uint64_t *answer)
{
	*answer = pair_run(&fixture_of(head)->pair);
	return 0;
}

/* Every pair of calls came to what it should, and the table is empty. */
static int check(struct suite_fixture *head)
{
	struct threads_fixture *const f = fixture_of(head);
	const struct hpt_vm_pair *const table = hpt_vm_table(&f->vm);
	uint64_t nr_right;
	int err = run(head, &nr_right);

	if (!err && nr_right != head->answer)
		err = -EBADMSG;
	for (uint64_t i = 0; i < f->vm.nr_entries && !err; i++)
		if (table[i].v)
			err = -EBADMSG;
	return err;
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "hpte_threads/op:enter_remove/threads:%zu",
		 index + 1);
}

static void teardown(struct suite_fixture *head)
{
	struct threads_fixture *f = fixture_of(head);

	pair_stop(&f->pair);
	pthread_mutex_destroy(&f->table);
	hpt_vm_fini(&f->vm);
	free(f);
}

/* Pages side by side are in groups side by side. */
static void make_targets(struct threads_fixture *f, unsigned int thread)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		const uint64_t page = thread * PAGES + i;
		struct target *const target = &f->enterers[thread].targets[i];

		target->entry = hpt_vm_entry(&f->vm, page);
		target->index =
			hpt_vm_group(&f->vm, page, ORDER, target->entry.v);
	}
}

static int make_guest(struct threads_fixture *f, uint64_t seed)
{
	const struct hpt_vm_params params = {
		.nr_pages = NR_PAGES,
		.order = ORDER,
		.isa = GLN_HPT_ISA_3_0,
		.seed = seed,
	};
	const int err = hpt_vm_init(&f->vm, &params);

	for (unsigned int i = 0; i < f->nr_threads && !err; i++)
		make_targets(f, i);
	return err;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct threads_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->nr_threads = (unsigned int)index + 1;
	f->head.answer = f->nr_threads * PAIRS;
	f->head.batch = f->head.answer;
	f->head.threads = f->nr_threads;
	f->head.repeatable = true;
	pthread_mutex_init(&f->table, NULL);

	err = make_guest(f, seed);
	if (!err)
		err = pair_start(&f->pair, f->nr_threads, true, &pair_ops, f);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", plain_prepare, run, check},
	{"mutex", locked_prepare, run, check},
};

const struct suite hpte_threads_suite = {
	.name = "hpte_threads",
	.claim = "hypercalls about different groups do not wait for each other",
	.counter = "pairs",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = THREADS_MAX,
	.nr_quick = THREADS_MAX,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
