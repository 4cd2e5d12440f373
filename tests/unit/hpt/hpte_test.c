/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpte_test.c - lock, publish, unlock; and that two who lock do not both have
 * it.
 */
#include "core/hpt/hpte.h"

#include <pthread.h>
#include <string.h>

#include "tests/unit/require.h"

enum { NR_THREADS = 3, NR_ROUNDS = 30000 };

#define SOME_V (UINT64_C(0x40000abcde123400) | GLN_HPTE_V_VALID)
#define SOME_R UINT64_C(0x0000000012345190)

Test(hpte, publishing_writes_both_words_big_endian)
{
	static const uint8_t want[16] = {0x40, 0x00, 0x0a, 0xbc, 0xde, 0x12,
					 0x34, 0x01, 0x00, 0x00, 0x00, 0x00,
					 0x12, 0x34, 0x51, 0x90};
	struct hpte entry = {0, 0};

	hpte_lock(&entry);
	hpte_publish(&entry, (struct gln_hpte){SOME_V, SOME_R});
	cr_assert_eq(memcmp(&entry, want, sizeof(want)), 0);
	cr_assert_eq(hpte_v(&entry), SOME_V);
	cr_assert_eq(hpte_r(&entry), SOME_R);
}

Test(hpte, locking_returns_v_and_sets_one_bit)
{
	struct hpte entry = {0, 0};

	hpte_publish(&entry, (struct gln_hpte){SOME_V, SOME_R});
	cr_assert_eq(hpte_lock(&entry), SOME_V);
	cr_assert_eq(hpte_v(&entry), SOME_V | GLN_HPTE_V_HVLOCK);
	hpte_set_v(&entry, SOME_V & ~GLN_HPTE_V_VALID);
	cr_assert_eq(hpte_v(&entry),
		     (SOME_V & ~GLN_HPTE_V_VALID) | GLN_HPTE_V_HVLOCK);
	hpte_unlock(&entry, SOME_V);
	cr_assert_eq(hpte_v(&entry), SOME_V);
}

static bool try_until_certain(struct hpte *entry, uint64_t bits, uint64_t *v)
{
	/* An attempt may fail for nothing, but not so often. */
	for (unsigned int i = 0; i < 100; i++)
		if (hpte_try_lock(entry, bits, v))
			return true;
	return false;
}

Test(hpte, a_try_fails_if_it_is_locked_or_has_a_bit)
{
	const uint64_t if_empty =
		GLN_HPTE_V_HVLOCK | GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT;
	struct hpte entry = {0, 0};
	uint64_t v = 1;

	cr_assert(try_until_certain(&entry, if_empty, &v));
	cr_assert_eq(v, 0);
	cr_assert_not(try_until_certain(&entry, GLN_HPTE_V_HVLOCK, &v));
	hpte_unlock(&entry, SOME_V);
	cr_assert_not(try_until_certain(&entry, if_empty, &v));
	cr_assert_eq(hpte_v(&entry), SOME_V);
	cr_assert(try_until_certain(&entry, GLN_HPTE_V_HVLOCK, &v));
	cr_assert_eq(v, SOME_V);
	hpte_unlock(&entry, GLN_HPTE_V_ABSENT);
	cr_assert_not(try_until_certain(&entry, if_empty, &v));
}

static struct {
	struct hpte entry;
	uint64_t counter; /* whose lock it is */
} shared;

static void *lock_and_count(void *arg)
{
	for (unsigned int i = 0; i < NR_ROUNDS; i++) {
		const uint64_t v = hpte_lock(&shared.entry);

		shared.counter++;
		hpte_set_r(&shared.entry, shared.counter);
		hpte_unlock(&shared.entry, v + GLN_HPTE_V_SECONDARY * 0x80);
	}
	return arg;
}

Test(hpte, one_at_a_time_has_it)
{
	pthread_t threads[NR_THREADS];

	for (size_t i = 0; i < NR_THREADS; i++)
		cr_assert_eq(
			pthread_create(&threads[i], NULL, lock_and_count, NULL),
			0);
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(shared.counter, NR_THREADS * NR_ROUNDS);
	cr_assert_eq(hpte_r(&shared.entry), NR_THREADS * NR_ROUNDS);
	cr_assert_eq(hpte_v(&shared.entry),
		     UINT64_C(0x100) * NR_THREADS * NR_ROUNDS);
}
