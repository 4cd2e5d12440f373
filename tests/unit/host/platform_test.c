/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_test.c - the platform of the hosted library: copies that cannot
 * crash, a clock, a mutex.
 *
 * H-05 (an edge that fails says so).
 */
#include <glean/platform.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/require.h"

static size_t page_bytes;
/* Two pages, of which the second cannot be touched. */
static uint8_t *two_pages;

static void setup(void)
{
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	two_pages = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(two_pages, MAP_FAILED);
	cr_assert_eq(mprotect(two_pages + page_bytes, page_bytes, PROT_NONE),
		     0);
}

static void teardown(void)
{
	munmap(two_pages, 2 * page_bytes);
}

FixtureTest(copy, moves_every_byte)
{
	static const size_t sizes[] = {0, 1, 7, 8, 100, 4096};
	uint8_t here[4096], there[4097];

	for (size_t i = 0; i < sizeof(here); i++)
		here[i] = (uint8_t)(i * 7);
	for (const size_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		memset(there, 0xa5, sizeof(there));
		cr_assert_eq(gln_plat_copy_out(there, here, *nr), 0);
		cr_assert_eq(memcmp(there, here, *nr), 0);
		cr_assert_eq(there[*nr], 0xa5);
		memset(there, 0xa5, sizeof(there));
		cr_assert_eq(gln_plat_copy_in(there, here, *nr), 0);
		cr_assert_eq(memcmp(there, here, *nr), 0);
		cr_assert_eq(there[*nr], 0xa5);
	}
}

FixtureTest(copy, to_or_from_memory_that_is_not_there_is_an_error)
{
	uint8_t buffer[64] = {0};

	cr_assert_eq(gln_plat_copy_out(NULL, buffer, 8), -EFAULT);
	cr_assert_eq(gln_plat_copy_in(buffer, NULL, 8), -EFAULT);
	cr_assert_eq(gln_plat_copy_out(two_pages + page_bytes, buffer, 1),
		     -EFAULT);
	cr_assert_eq(gln_plat_copy_in(buffer, two_pages + page_bytes, 1),
		     -EFAULT);
	cr_assert_eq(gln_plat_copy_out((void *)(uintptr_t)8, buffer, 8),
		     -EFAULT);
	cr_assert_eq(gln_plat_copy_in(buffer, (void *)UINTPTR_MAX, 8), -EFAULT);
}

FixtureTest(copy, that_gets_half_way_is_an_error)
{
	uint8_t buffer[64] = {0};

	for (size_t good = 1; good < sizeof(buffer); good++) {
		uint8_t *const edge = two_pages + page_bytes - good;

		cr_assert_eq(gln_plat_copy_out(edge, buffer, sizeof(buffer)),
			     -EFAULT);
		cr_assert_eq(gln_plat_copy_in(buffer, edge, sizeof(buffer)),
			     -EFAULT);
		cr_assert_eq(gln_plat_copy_out(edge, buffer, good), 0);
		cr_assert_eq(gln_plat_copy_in(buffer, edge, good), 0);
	}
}

FixtureTest(copy, to_memory_that_can_only_be_read_is_an_error)
{
	uint8_t buffer[8] = {0};

	cr_assert_eq(mprotect(two_pages, page_bytes, PROT_READ), 0);
	cr_assert_eq(gln_plat_copy_out(two_pages, buffer, 8), -EFAULT);
	cr_assert_eq(gln_plat_copy_in(buffer, two_pages, 8), 0);
}

Test(clock, never_goes_back)
{
	uint64_t last = gln_plat_now_ns();

	for (unsigned int i = 0; i < 100000; i++) {
		const uint64_t now = gln_plat_now_ns();

		require(now >= last, "call %u", i);
		last = now;
	}
}

Test(clock, counts_nanoseconds)
{
	const uint64_t before = gln_plat_now_ns();
	uint64_t passed;

	usleep(20 * 1000);
	passed = gln_plat_now_ns() - before;
	cr_assert_geq(passed, 20 * 1000 * 1000);
	cr_assert_lt(passed, UINT64_C(20) * 1000 * 1000 * 1000);
}

enum { NR_THREADS = 4, NR_ROUNDS = 20000 };

static struct gln_plat_mutex mutex;
static volatile uint64_t counter;

static void *count(void *ctx)
{
	(void)ctx;
	for (unsigned int i = 0; i < NR_ROUNDS; i++) {
		gln_plat_mutex_lock(&mutex);
		counter = counter + 1;
		gln_plat_mutex_unlock(&mutex);
	}

	return NULL;
}

Test(mutex, lets_one_in_at_a_time)
{
	pthread_t threads[NR_THREADS];

	cr_assert_eq(gln_plat_mutex_init(&mutex), 0);
	for (size_t i = 0; i < NR_THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(counter, NR_THREADS * NR_ROUNDS);
	gln_plat_mutex_fini(&mutex);
}
