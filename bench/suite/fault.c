/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: two vCPUs that fault on different tables finish at least 1.6 times
 * sooner than behind one mutex around the table, and a vCPU that faults alone
 * no later than 1.1 times as late.
 *
 * The rival is the same path behind a mutex. So the bound for one vCPU holds
 * nearly by construction: what differs is a mutex that nobody else wants. It
 * says that doing without one has not made the fault dearer, not that another
 * table's fault would be slower.
 *
 * Each vCPU is a thread, and has the pages of its own tables; they start
 * together, and the time is that of the last to end (pair.h). Times are of one
 * fault, all vCPUs' faults counted.
 *
 *	first		nothing is mapped there, the table is
 *	permission	the page is mapped, and protected for the dirty log
 *	spurious	the page may be written already
 *
 * All are writes, and the slot is logged: the first two mark the page.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/ept_guest.h"
#include "bench/suite/mmu.h"
#include "bench/suite/pair.h"

#define THREADS_MAX 2

/*
 * Of a thread: so many that starting is a small part, so few that most runs end
 * before a busy machine's scheduler takes a CPU away.
 */
#define FAULTS UINT64_C(16384)

static const struct kind {
	const char *name;
	enum gln_fault result;
} kinds[] = {
	{"first", GLN_FAULT_MAPPED},
	{"permission", GLN_FAULT_RELAXED},
	{"spurious", GLN_FAULT_SPURIOUS},
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct fault_fixture;

typedef int (*fault_fn)(struct fault_fixture *f, struct gln_vcpu *vcpu,
			gln_gfn gfn);

/*
 * @fault:	the rival's.
 */
struct fault_fixture {
	struct suite_fixture head;
	struct ept_guest guest;
	const struct kind *kind;
	unsigned int nr_threads;
	fault_fn fault;
	pthread_mutex_t table;
	struct pair pair;
	struct gln_vcpu *vcpus[THREADS_MAX];
};

static struct fault_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct fault_fixture *)(void *)head;
}

/* --- the rivals --- */

static int fault_plain(struct fault_fixture *f, struct gln_vcpu *vcpu,
		       gln_gfn gfn)
{
	(void)f;
	return gln_vcpu_fault(vcpu, gfn, GLN_ACCESS_WRITE);
}

static int fault_locked(struct fault_fixture *f, struct gln_vcpu *vcpu,
			gln_gfn gfn)
{
	int result;

	pthread_mutex_lock(&f->table);
	result = gln_vcpu_fault(vcpu, gfn, GLN_ACCESS_WRITE);
	pthread_mutex_unlock(&f->table);
	return result;
}

/* --- threads --- */

/* The guest has the first vCPU, on the runner's thread. */
static int enter(void *ctx, unsigned int index)
{
	struct fault_fixture *const f = ctx;

	f->vcpus[index] = f->guest.vcpu;
	return index ? gln_vcpu_register(f->guest.vm, index, &f->vcpus[index])
		     : 0;
}

/* How many came to what they should. */
static uint64_t do_faults(void *ctx, unsigned int index)
{
	struct fault_fixture *const f = ctx;
	struct gln_vcpu *const vcpu = f->vcpus[index];
	const fault_fn fault = f->fault;
	const int wanted = (int)f->kind->result;
	const gln_gfn first = index * FAULTS;
	uint64_t nr_right = 0;

	for (uint64_t i = 0; i < FAULTS; i++)
		nr_right += fault(f, vcpu, first + i) == wanted;
	return nr_right;
}

static void leave(void *ctx, unsigned int index)
{
	struct fault_fixture *const f = ctx;

	if (index)
		gln_vcpu_unregister(f->vcpus[index]);
}

static const struct pair_ops pair_ops = {
	.enter = enter,
	.work = do_faults,
	.leave = leave,
};

/* --- one iteration --- */

/* All pages protected, and none marked; or mapped by nothing, or writable. */
static int prepare(struct suite_fixture *head, fault_fn fault)
{
	struct fault_fixture *const f = fixture_of(head);
	int64_t nr = 0;

	f->fault = fault;
	if (f->kind->result != GLN_FAULT_SPURIOUS)
		nr = ept_guest_drop_marks(&f->guest);
	if (nr >= 0 && f->kind->result == GLN_FAULT_MAPPED)
		nr = gln_mmu_unmap(f->guest.vm,
				   (struct gln_range){0, f->guest.nr_pages});
	if (nr < 0)
		return (int)nr;
	pair_meet(&f->pair);
	return 0;
}

static int plain_prepare(struct suite_fixture *head)
{
	return prepare(head, fault_plain);
}

static int locked_prepare(struct suite_fixture *head)
{
	return prepare(head, fault_locked);
}

static int run(struct suite_fixture *head, uint64_t *answer)
{
	*answer = pair_run(&fixture_of(head)->pair);
	return 0;
}

/* Every fault came to what it should; each page is marked, and writable. */
static int check(struct suite_fixture *head)
{
	struct fault_fixture *const f = fixture_of(head);
	uint64_t nr_right;
	int64_t nr;
	int err = run(head, &nr_right);

	if (!err && nr_right != head->answer)
		err = -EBADMSG;
	for (uint64_t page = 0; page < f->guest.nr_pages && !err; page++)
		if (gln_vcpu_fault(f->guest.vcpu, page, GLN_ACCESS_WRITE) !=
		    GLN_FAULT_SPURIOUS)
			err = -EBADMSG;
	if (err)
		return err;
	nr = ept_guest_drop_marks(&f->guest);
	if (nr != (int64_t)f->guest.nr_pages)
		return nr < 0 ? (int)nr : -EBADMSG;
	/* Spurious ones find all writable again, and marked, as prepared. */
	return ept_guest_write_all(&f->guest);
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "fault/kind:%s/threads:%zu",
		 kinds[index % NR_KINDS].name, index / NR_KINDS + 1);
}

static void teardown(struct suite_fixture *head)
{
	struct fault_fixture *f = fixture_of(head);

	pair_stop(&f->pair);
	pthread_mutex_destroy(&f->table);
	ept_guest_fini(&f->guest);
	free(f);
}

/* Every table is there, every page writable and marked. */
static int make_guest(struct fault_fixture *f)
{
	const uint64_t nr_pages = f->nr_threads * FAULTS;
	int err = ept_guest_init(&f->guest, nr_pages, EPT_GUEST_ORDER_4K);

	if (!err)
		err = ept_guest_map(&f->guest);
	if (!err)
		err = gln_log_enable(f->guest.vm, EPT_GUEST_SLOT, 0);
	if (!err)
		err = ept_guest_write_all(&f->guest);
	return err;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct fault_fixture *f = calloc(1, sizeof(*f));
	int err;

	(void)seed;
	if (!f)
		return -ENOMEM;
	f->kind = &kinds[index % NR_KINDS];
	f->nr_threads = (unsigned int)(index / NR_KINDS) + 1;
	f->head.answer = f->nr_threads * FAULTS;
	f->head.batch = f->head.answer;
	f->head.threads = f->nr_threads;
	f->head.repeatable = f->kind->result == GLN_FAULT_SPURIOUS;
	pthread_mutex_init(&f->table, NULL);

	err = make_guest(f);
	if (!err)
		err = pair_start(&f->pair, f->nr_threads, f->head.repeatable,
				 &pair_ops, f);
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

const struct suite fault_suite = {
	.name = "fault",
	.claim = "faults on different tables do not wait for each other",
	.counter = "faults",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_KINDS * THREADS_MAX,
	.nr_quick = NR_KINDS * THREADS_MAX,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
