/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate_test.c - who is inside is counted, and nobody is where somebody changes.
 */
#include "core/sync/gate.h"

#include <pthread.h>
#include <sched.h>

#include "tests/unit/require.h"

enum { NR_VCPUS = 2, NR_CHANGES = 2000, NR_ENTRIES = 50000 };

Test(gate, is_closed_and_empty_at_first)
{
	struct gate gate = {0};

	cr_assert_not(gate_is_ready(&gate));
	cr_assert_eq(gate_nr_running(&gate), 0);
}

Test(gate, who_is_refused_is_counted_until_he_leaves)
{
	struct gate gate = {0};

	cr_assert_not(gate_enter(&gate));
	cr_assert_eq(gate_nr_running(&gate), 1);
	gate_leave(&gate);
	cr_assert_eq(gate_nr_running(&gate), 0);
}

Test(gate, closing_says_how_many_are_inside_and_lets_no_more_in)
{
	struct gate gate = {0};

	gate_open(&gate);
	cr_assert(gate_enter(&gate));
	cr_assert(gate_enter(&gate));
	cr_assert(gate_is_ready(&gate));
	cr_assert_eq(gate_close(&gate), 2);
	cr_assert_not(gate_is_ready(&gate));
	cr_assert_not(gate_enter(&gate));
	gate_leave(&gate);
	gate_leave(&gate);
	cr_assert_eq(gate_nr_running(&gate), 1);
	gate_leave(&gate);
	cr_assert_eq(gate_close(&gate), 0);
	gate_open(&gate);
	cr_assert(gate_enter(&gate));
}

static struct gate shared;
static uint64_t table; /* plain: the gate is its only protection */
static gln_word nr_entered, nr_changed, nr_broken;

static bool is_over(void)
{
	return gln_load_relaxed(&nr_changed) >= NR_CHANGES &&
	       gln_load_relaxed(&nr_entered) >= NR_ENTRIES;
}

/* Outside it rests now and then, so that the changer finds nobody. */
static void *vcpu_main(void *arg)
{
	for (unsigned int i = 0; !is_over(); i++) {
		if (gate_enter(&shared)) {
			if (table & 1)
				gln_fetch_add_relaxed(&nr_broken, 1);
			gln_fetch_add_relaxed(&nr_entered, 1);
		}
		gate_leave(&shared);
		if (i % 16 == 0)
			sched_yield();
	}
	return arg;
}

/* The table is odd while it is being changed. */
static void *changer_main(void *arg)
{
	while (!is_over()) {
		if (!gate_close(&shared)) {
			table++;
			gln_fence_compiler();
			table++;
			gln_fetch_add_relaxed(&nr_changed, 1);
		}
		gate_open(&shared);
		sched_yield();
	}
	return arg;
}

Test(gate, nobody_is_inside_while_the_table_changes)
{
	pthread_t threads[NR_VCPUS + 1];

	for (size_t i = 0; i <= NR_VCPUS; i++)
		cr_assert_eq(
			pthread_create(&threads[i], NULL,
				       i < NR_VCPUS ? vcpu_main : changer_main,
				       NULL),
			0);
	for (size_t i = 0; i <= NR_VCPUS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(gln_load_relaxed(&nr_broken), 0);
}
