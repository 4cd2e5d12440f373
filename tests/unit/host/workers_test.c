/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers_test.c - a pool of threads: who works, who waits, and for whom.
 */
#include <glean/workers.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/unit/require.h"

/* Many rounds, which end before some threads have woken. */
enum { ROUNDS = 20000 };

static struct gln_workers *create(unsigned int nr)
{
	struct gln_workers *workers = NULL;

	cr_assert_eq(gln_workers_create(nr, &workers), 0);
	cr_assert_eq(workers->nr_workers, nr);
	return workers;
}

/* How many are in it now, and how often it was entered. */
struct visits {
	_Atomic uint32_t nr_in;
	_Atomic uint32_t nr;
	uint32_t wanted; /* to be in at once, before anybody leaves */
};

static void visit(void *arg)
{
	struct visits *const visits = arg;

	atomic_fetch_add(&visits->nr, 1);
	atomic_fetch_add(&visits->nr_in, 1);
	while (atomic_load(&visits->nr) < visits->wanted)
		sched_yield();
	atomic_fetch_sub(&visits->nr_in, 1);
}

Test(workers, creating_them_has_these_errors)
{
	struct gln_workers *workers = NULL;

	cr_expect_eq(gln_workers_create(0, &workers), -EINVAL);
	cr_expect_eq(gln_workers_create(GLN_WORKERS_MAX + 1, &workers),
		     -EINVAL);
	cr_expect_eq(gln_workers_create(UINT_MAX, &workers), -EINVAL);
	cr_expect_null(workers);
}

Test(workers, that_cannot_all_be_started_are_none)
{
	/* So many stacks do not fit into so little. */
	const struct rlimit little = {128UL << 20, 128UL << 20};
	struct gln_workers *workers = NULL;

#if defined(__SANITIZE_ADDRESS__)
	cr_skip("AddressSanitizer needs more address space than is left");
#endif
	cr_assert_eq(setrlimit(RLIMIT_AS, &little), 0);
	cr_expect_eq(gln_workers_create(GLN_WORKERS_MAX, &workers), -EAGAIN);
	cr_expect_null(workers);
}

Test(workers, all_work_at_once_and_the_caller_too)
{
	for (unsigned int nr = 1; nr <= 5; nr++) {
		struct gln_workers *const workers = create(nr);
		struct visits visits = {.wanted = nr};

		workers->run(workers, visit, &visits);
		cr_expect_eq(visits.nr, nr);
		cr_expect_eq(visits.nr_in, 0);
		gln_workers_destroy(workers);
	}
}

Test(workers, nobody_is_at_work_when_a_call_returns)
{
	struct gln_workers *const workers = create(4);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct visits visits = {.wanted = 1};

		workers->run(workers, visit, &visits);
		require(!visits.nr_in && visits.nr >= 1 && visits.nr <= 4,
			"round %u", i);
	}
	gln_workers_destroy(workers);
}

/* Two callers share a pool: each gets what he asked for, alone or not. */
static void *call_often(void *arg)
{
	struct gln_workers *const workers = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct visits visits = {.wanted = 1};

		workers->run(workers, visit, &visits);
		require(!visits.nr_in && visits.nr >= 1, "round %u", i);
	}
	return NULL;
}

Test(workers, serve_callers_side_by_side)
{
	struct gln_workers *const workers = create(3);
	pthread_t other[2];

	for (unsigned int i = 0; i < 2; i++)
		cr_assert_eq(
			pthread_create(&other[i], NULL, call_often, workers),
			0);
	call_often(workers);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(other[i], NULL);
	gln_workers_destroy(workers);
}

static _Atomic uint32_t nr_unblocked, nr_deaf;

static void look_at_signals(void *arg)
{
	struct visits *const visits = arg;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (sigismember(&blocked, SIGSEGV) || sigismember(&blocked, SIGBUS))
		atomic_fetch_add(&nr_deaf, 1);
	if (!sigismember(&blocked, SIGUSR1))
		atomic_fetch_add(&nr_unblocked, 1);
	visit(visits);
}

Test(workers, leave_signals_to_threads_of_the_process)
{
	struct gln_workers *const workers = create(3);
	struct visits visits = {.wanted = 3};

	workers->run(workers, look_at_signals, &visits);
	cr_expect_eq(nr_unblocked, 1, "that of the caller");
	cr_expect_eq(nr_deaf, 0, "to what they do themselves");
	gln_workers_destroy(workers);
}
