/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait_free.c - nothing holds a mark up. (G3, G6)
 *
 * Threads mark without rest while everything else is brought to a stand in
 * turn: a harvest that is not committed, a backend that does not return from
 * each of its calls (most of them made with the VM's lock held), a thread that
 * adds and removes slots for ever. Each time every marker must go on. None of
 * them may allocate, nor may a harvest.
 *
 * Last, a process that may make no system call marks: so no mark can wait for
 * anybody in the kernel.
 */
#include "tests/support/stress_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if STRESS_TSAN || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
	NR_MARKERS = 3,
	NR_PAGES = 5000,
	BASE = 0x801,
	SLOT_ID = 1,
	OTHER_ID = 2,
	OTHER_BASE = BASE + NR_PAGES,
	OTHER_PAGES = 100,
	MUST_MARK = STRESS_TSAN ? 2000 : 20000, /* each marker, each time */
	PATIENCE_MS = 60000,
	MUST_CHANGE = 5, /* slots; each takes some grace periods */
};

/** enum call - of the backend. */
enum call {
	CALL_NONE,
	CALL_ATTACH,
	CALL_DETACH,
	CALL_LOG_START,
	CALL_LOG_STOP,
	CALL_PROTECT,
	CALL_FLUSH,
};

static struct {
	struct gln_vm *vm;
	_Atomic uint32_t stop;
	gln_word marks[NR_MARKERS]; /* by each marker */
	_Atomic uint32_t stuck_in;  /* enum call */
	sem_t is_stuck;
	sem_t go_on;
	gln_word allocations;
} test;

/* Memory, and who asks for it. */

static _Thread_local bool may_not_allocate;

static void *count_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	CHECK(!may_not_allocate, "marks and harvests do not allocate");
	gln_fetch_add_relaxed(&test.allocations, 1);

	void *const memory =
		aligned_alloc(bytes % 4096 ? 64 : 4096, (bytes + 63) / 64 * 64);

	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

static void count_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	CHECK(!may_not_allocate, "marks and harvests do not free");
	free(memory);
}

static const struct gln_allocator allocator = {
	.alloc = count_alloc,
	.free = count_free,
};

/* A backend that stands still where it is told to. */

static void stand_still(enum call call)
{
	if (gln_load_acquire(&test.stuck_in) != call)
		return;
	sem_post(&test.is_stuck);
	while (sem_wait(&test.go_on))
		continue;
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	(void)backend;
	(void)slot;
	stand_still(CALL_ATTACH);
	return 0;
}

static void detach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	(void)backend;
	(void)slot;
	stand_still(CALL_DETACH);
}

static int log_start(struct gln_backend *backend, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	(void)backend;
	(void)slot;
	(void)flags;
	stand_still(CALL_LOG_START);
	return 0;
}

static void log_stop(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	(void)backend;
	(void)slot;
	stand_still(CALL_LOG_STOP);
}

static int protect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	(void)backend;
	(void)slot;
	(void)ranges;
	(void)nr_ranges;
	stand_still(CALL_PROTECT);
	return 0;
}

static int flush(struct gln_backend *backend, struct gln_backend_slot *slot,
		 const struct gln_flush *plan)
{
	(void)backend;
	(void)slot;
	(void)plan;
	stand_still(CALL_FLUSH);
	return 0;
}

static const struct gln_backend_ops ops = {
	.name = "still",
	.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH,
	.attach = attach,
	.detach = detach,
	.log_start = log_start,
	.log_stop = log_stop,
	.protect = protect,
	.flush = flush,
};

/* Markers. */

/* Each way to mark, in turn; also where there is nothing. */
static void mark_somehow(struct gln_vcpu *vcpu, uint64_t turn)
{
	const gln_gfn gfn = BASE + turn * 7 % (NR_PAGES + OTHER_PAGES + 10);
	const uint64_t bits[2] = {UINT64_MAX, 1};

	switch (turn % 5) {
	case 0:
		gln_vcpu_mark(vcpu, gfn);
		break;
	case 1:
		gln_dirty_mark(test.vm, gfn);
		break;
	case 2:
		gln_dirty_mark_range(test.vm,
				     (struct gln_range){gfn, turn % 200});
		break;
	case 3:
		gln_dirty_mark_bytes(test.vm, gfn << GLN_PAGE_SHIFT_MIN, 9999);
		break;
	default:
		gln_dirty_merge(test.vm, SLOT_ID, 128, bits, 65);
	}
}

static void *marker_main(void *arg)
{
	gln_word *const marks = arg;
	const uint32_t index = (uint32_t)(marks - test.marks);
	struct gln_vcpu *vcpu;

	CHECK(!gln_vcpu_register(test.vm, index, &vcpu),
	      "a vCPU can be registered");
	may_not_allocate = true;
	for (uint64_t turn = 0; !gln_load_relaxed(&test.stop); turn++) {
		mark_somehow(vcpu, turn);
		gln_count(marks, 1);
	}
	may_not_allocate = false;
	gln_vcpu_unregister(vcpu);

	return NULL;
}

/* Every marker must do its share from now on, whatever stands still. */
static void check_progress(const char *what)
{
	const uint64_t start_ns = stress_now_ns();
	uint64_t before[NR_MARKERS];

	for (unsigned int i = 0; i < NR_MARKERS; i++)
		before[i] = gln_load_relaxed(&test.marks[i]);
	for (unsigned int i = 0; i < NR_MARKERS; i++) {
		while (gln_load_relaxed(&test.marks[i]) - before[i] <
		       MUST_MARK) {
			CHECK(stress_now_ns() - start_ns <
				      stress_ms(PATIENCE_MS),
			      "marker %u goes on beside %s", i, what);
			sched_yield();
		}
	}
	printf("%-36s %u markers made %d marks each in %" PRIu64 " us\n", what,
	       NR_MARKERS, MUST_MARK, (stress_now_ns() - start_ns) / 1000);
}

/* What stands still. */

static struct gln_harvest *begin(void)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = guest_strategy(),
	};
	struct gln_harvest *harvest;

	may_not_allocate = true;
	CHECK(!gln_harvest_begin(test.vm, SLOT_ID, &all, &harvest),
	      "a harvest can begin");
	may_not_allocate = false;
	return harvest;
}

static void *do_harvest(void *arg)
{
	(void)arg;
	gln_harvest_commit(begin());
	return NULL;
}

static void *do_get(void *arg)
{
	static uint64_t bitmap[NR_PAGES / 64 + 1];

	(void)arg;
	may_not_allocate = true;
	CHECK(!gln_get_dirty_log(test.vm, SLOT_ID, bitmap), "get works");
	may_not_allocate = false;
	return NULL;
}

static void *do_add(void *arg)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = OTHER_ID,
		.base = OTHER_BASE,
		.nr_pages = OTHER_PAGES,
	};

	(void)arg;
	CHECK(!gln_slot_add(test.vm, &params), "a slot can be added");
	return NULL;
}

static void *do_enable(void *arg)
{
	(void)arg;
	CHECK(!gln_log_enable(test.vm, OTHER_ID, 0), "logging can start");
	return NULL;
}

static void *do_disable(void *arg)
{
	(void)arg;
	CHECK(!gln_log_disable(test.vm, OTHER_ID), "logging can stop");
	return NULL;
}

static void *do_remove(void *arg)
{
	(void)arg;
	CHECK(!gln_slot_remove(test.vm, OTHER_ID), "a slot can be removed");
	return NULL;
}

static const struct still {
	const char *what;
	enum call call;
	void *(*work)(void *arg);
} stills[] = {
	{"a harvest that protects", CALL_PROTECT, do_harvest},
	{"another that protects", CALL_PROTECT, do_harvest},
	{"a harvest that flushes", CALL_FLUSH, do_harvest},
	{"a get that protects", CALL_PROTECT, do_get},
	{"a slot being attached", CALL_ATTACH, do_add},
	{"logging being started", CALL_LOG_START, do_enable},
	{"logging being stopped", CALL_LOG_STOP, do_disable},
	{"a slot being detached", CALL_DETACH, do_remove},
};

static void try_still(const struct still *still)
{
	pthread_t thread;

	gln_dirty_mark(test.vm, BASE); /* something to protect */
	gln_store_release(&test.stuck_in, still->call);
	CHECK(!pthread_create(&thread, NULL, still->work, NULL),
	      "a thread can be made");
	while (sem_wait(&test.is_stuck))
		continue;
	gln_store_release(&test.stuck_in, CALL_NONE);
	check_progress(still->what);
	sem_post(&test.go_on);
	pthread_join(thread, NULL);
}

/* As often as there are strategies. */
static void try_open_harvests(void)
{
	for (int i = 0; i <= GLN_HARVEST_FLIP; i++) {
		struct gln_harvest *const harvest = begin();

		check_progress("a harvest that stays open");
		gln_harvest_abort(harvest);
	}
}

static void *change_slots(void *arg)
{
	gln_word *const changes = arg;

	while (!gln_load_relaxed(&test.stop)) {
		do_add(NULL);
		do_enable(NULL);
		do_remove(NULL);
		gln_count(changes, 1);
	}

	return NULL;
}

static void try_changes(void)
{
	static gln_word changes;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, change_slots, &changes),
	      "a thread can be made");
	do {
		check_progress("slots that come and go");
	} while (gln_load_relaxed(&changes) < MUST_CHANGE);
	gln_store_relaxed(&test.stop, 1);
	pthread_join(thread, NULL);
	printf("%" PRIu64 " slots came and went\n", gln_load_relaxed(&changes));
}

static void make_vm(struct gln_backend *backend)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.backend = backend,
		.allocator = &allocator,
	};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = SLOT_ID,
		.base = BASE,
		.nr_pages = NR_PAGES,
	};

	CHECK(!gln_vm_create(&params, &test.vm), "a VM can be made");
	CHECK(!gln_slot_add(test.vm, &slot), "a slot can be added");
	CHECK(!gln_log_enable(test.vm, SLOT_ID, 0), "logging can start");
}

static void run_markers(void)
{
	pthread_t markers[NR_MARKERS];

	for (unsigned int i = 0; i < NR_MARKERS; i++)
		CHECK(!pthread_create(&markers[i], NULL, marker_main,
				      &test.marks[i]),
		      "a thread can be made");
	check_progress("nothing");
	try_open_harvests();
	for (size_t i = 0; i < ARRAY_SIZE(stills); i++)
		try_still(&stills[i]);
	try_changes(); /* the markers stop with it */
	for (unsigned int i = 0; i < NR_MARKERS; i++)
		pthread_join(markers[i], NULL);
}

/* Marks from a process that is killed if it makes a system call. */
__attribute__((noreturn)) static void mark_without_calls(void)
{
	struct gln_vcpu *vcpu;

	make_vm(NULL);
	CHECK(!gln_vcpu_register(test.vm, 0, &vcpu), "a vCPU");
	/* Only read, write, exit and sigreturn are left. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(STRESS_SKIP);
	for (uint64_t turn = 0; turn < MUST_MARK; turn++)
		mark_somehow(vcpu, turn);
	syscall(SYS_exit, STRESS_PASS);
	abort();
}

static void try_without_calls(void)
{
	int status;
	pid_t child;

	if (SANITIZED) {
		printf("not tried under sanitizers: marks without system "
		       "calls\n");
		return;
	}
	fflush(stdout);
	child = fork();
	CHECK(child >= 0, "a process can be made");
	if (!child)
		mark_without_calls();
	CHECK(waitpid(child, &status, 0) == child, "it ends");
	if (WIFEXITED(status) && WEXITSTATUS(status) == STRESS_SKIP) {
		printf("not tried, seccomp is not to be had: marks without "
		       "system calls\n");
		return;
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == STRESS_PASS,
	      "marks make no system call (status %x)", (unsigned int)status);
	printf("%d marks without a system call\n", MUST_MARK);
}

int main(void)
{
	struct gln_backend backend = {.ops = &ops};

	sem_init(&test.is_stuck, 0, 0);
	sem_init(&test.go_on, 0, 0);
	try_without_calls();
	make_vm(&backend);
	run_markers();
	CHECK(!gln_vm_destroy(test.vm), "nothing uses the VM any more");
	printf("%" PRIu64 " allocations, none by marks or harvests\n",
	       gln_load_relaxed(&test.allocations));

	return stress_verdict(0);
}
