/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rcu_test.c - a grace period waits for the sections entered before it.
 */
#include "core/sync/rcu.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "tests/unit/require.h"

/* struct reader - a thread that stays in a section for a while. */
struct reader {
	_Atomic bool inside;
	_Atomic bool left;
	unsigned int depth;
};

static void *read_for_a_while(void *ctx)
{
	const struct timespec a_while = {.tv_nsec = 50 * 1000 * 1000};
	struct reader *const reader = ctx;

	for (unsigned int i = 0; i < reader->depth; i++)
		glni_read_lock();
	for (unsigned int i = 1; i < reader->depth; i++)
		glni_read_unlock();
	reader->inside = true;
	nanosleep(&a_while, NULL);
	reader->left = true;
	glni_read_unlock();

	return NULL;
}

static void expect_wait(unsigned int depth)
{
	struct reader reader = {.depth = depth};
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, read_for_a_while, &reader),
		     0);
	while (!reader.inside)
		sched_yield();
	glni_synchronize();
	cr_assert(reader.left, "a section of depth %u was not waited for",
		  depth);
	pthread_join(thread, NULL);
}

Test(rcu, a_grace_period_waits_for_a_section)
{
	expect_wait(1);
}

Test(rcu, an_inner_unlock_does_not_end_a_nested_section)
{
	expect_wait(3);
}

static void *read_shortly(void *ctx)
{
	const struct timespec a_while = {.tv_nsec = 50 * 1000 * 1000};
	struct reader *const reader = ctx;
	struct short_section section;

	glni_read_lock();
	glni_read_unlock();
	if (glni_short_lock(&section)) {
		reader->inside = true;
		nanosleep(&a_while, NULL);
		reader->left = true;
		glni_short_unlock(&section);
	}
	reader->inside = true;
	reader->left = true;

	return NULL;
}

Test(rcu, a_grace_period_waits_for_a_short_section)
{
	struct reader reader = {0};
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, read_shortly, &reader), 0);
	while (!reader.inside)
		sched_yield();
	glni_synchronize();
	cr_assert(reader.left, "a short section was not waited for");
	pthread_join(thread, NULL);
}

#ifdef URCU_BP_GP_COUNT
static void *lock_shortly_unregistered(void *ctx)
{
	struct short_section section;

	return glni_short_lock(&section) ? ctx : NULL;
}

/* A pointer that nobody has set is a thread's that is in no registry. */
Test(rcu, a_short_section_is_refused_to_a_thread_that_is_not_registered)
{
	pthread_t thread;
	void *got;

	cr_assert_eq(
		pthread_create(&thread, NULL, lock_shortly_unregistered, &got),
		0);
	pthread_join(thread, &got);
	cr_assert_null(got);
}

Test(rcu, a_short_section_is_refused_within_another)
{
	struct short_section outer, inner;

	glni_read_lock();
	cr_assert_not(glni_short_lock(&inner));
	glni_read_unlock();
	if (!glni_short_lock(&outer))
		return; /* a kernel without membarrier(2) */
	cr_assert_not(glni_short_lock(&inner));
	glni_read_lock();
	glni_read_unlock();
	cr_assert_not(glni_short_lock(&inner));
	glni_short_unlock(&outer);
	cr_assert(glni_short_lock(&outer));
	glni_short_unlock(&outer);
	glni_synchronize();
}
#endif

Test(rcu, a_grace_period_without_readers_ends)
{
	for (unsigned int i = 0; i < 100; i++)
		glni_synchronize();
}

Test(rcu, the_platform_functions_are_the_same_thing)
{
	gln_plat_read_lock();
	glni_read_lock();
	gln_plat_read_unlock();
	glni_read_unlock();
	gln_plat_synchronize();
}
