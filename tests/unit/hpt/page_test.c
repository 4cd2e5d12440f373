/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page_test.c - the head of a page's chain is locked, changed and unlocked.
 */
#include "core/hpt/page.h"

#include <glean/hpte.h>
#include <pthread.h>

#include "tests/unit/require.h"

enum { NR_THREADS = 3, NR_ROUNDS = 30000 };

Test(page, has_room_for_any_index_and_its_bits)
{
	cr_assert_eq(
		PAGE_HEAD,
		(UINT64_C(1) << (GLN_HPT_ORDER_MAX - GLN_HPT_ENTRY_SHIFT)) - 1);
	cr_assert_eq(PAGE_HEAD & PAGE_PRESENT, 0);
	cr_assert_eq((PAGE_HEAD | PAGE_PRESENT) & (PAGE_R | PAGE_C), 0);
	cr_assert_eq((PAGE_HEAD | PAGE_PRESENT | PAGE_R | PAGE_C) & PAGE_LOCK,
		     0);
}

Test(page, locking_returns_the_head_and_keeps_others_out)
{
	gln_word page = PAGE_HEAD | PAGE_PRESENT | PAGE_C;
	uint64_t head = 0;

	cr_assert_eq(page_lock(&page), PAGE_HEAD | PAGE_PRESENT | PAGE_C);
	for (unsigned int i = 0; i < 100; i++)
		cr_assert_not(page_try_lock(&page, &head));
	cr_assert_eq(head, 0);
	page_unlock(&page, 5 | PAGE_PRESENT);
	while (!page_try_lock(&page, &head))
		;
	cr_assert_eq(head, 5 | PAGE_PRESENT);
	cr_assert_eq(gln_load_relaxed(&page), 5 | PAGE_PRESENT | PAGE_LOCK);
}

static gln_word shared_page;
static uint64_t counter; /* whose lock it is */

static void *lock_and_count(void *arg)
{
	for (unsigned int i = 0; i < NR_ROUNDS; i++) {
		const uint64_t head = page_lock(&shared_page);

		counter++;
		page_unlock(&shared_page, head + 1);
	}
	return arg;
}

Test(page, one_at_a_time_has_it)
{
	pthread_t threads[NR_THREADS];

	for (size_t i = 0; i < NR_THREADS; i++)
		cr_assert_eq(
			pthread_create(&threads[i], NULL, lock_and_count, NULL),
			0);
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(counter, NR_THREADS * NR_ROUNDS);
	cr_assert_eq(gln_load_relaxed(&shared_page), NR_THREADS * NR_ROUNDS);
}
