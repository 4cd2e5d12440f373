/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram_test.c - each value has its bucket, and percentiles are what a
 * sorted list of the values says, but for an eighth.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/histogram.h"
#include "tests/support/random.h"
#include "tests/unit/require.h"

enum { MAX_VALUES = 2000 };

static struct histogram histogram;

Test(histogram, has_a_bucket_for_every_value_and_no_two)
{
	cr_assert_eq(histogram_first(0), 0);
	for (unsigned int i = 0; i + 1 < HISTOGRAM_BUCKETS; i++)
		cr_assert_eq(histogram_last(i) + 1, histogram_first(i + 1),
			     "bucket %u", i);
	cr_assert_eq(histogram_last(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
}

Test(histogram, keeps_small_values_apart)
{
	for (unsigned int value = 0; value < 16; value++) {
		cr_assert_eq(histogram_bucket(value), value);
		cr_assert_eq(histogram_first(value), value);
		cr_assert_eq(histogram_last(value), value);
	}
}

/* As likely to have any number of bits as any other. */
static uint64_t any_size(struct test_random *random)
{
	return test_random_next(random) >> test_random_below(random, 64);
}

Test(histogram, finds_the_bucket_that_holds_a_value)
{
	static const uint64_t corners[] = {
		0,
		15,
		16,
		17,
		31,
		32,
		UINT32_MAX,
		(uint64_t)UINT32_MAX + 1,
		UINT64_MAX - 1,
		UINT64_MAX,
	};
	struct test_random random = {.state = 1};

	for (const uint64_t *v = corners; v < ARRAY_END(corners); v++) {
		const unsigned int bucket = histogram_bucket(*v);

		cr_assert_leq(histogram_first(bucket), *v);
		cr_assert_geq(histogram_last(bucket), *v);
	}
	for (unsigned int i = 0; i < 1000000; i++) {
		const uint64_t value = any_size(&random);
		const unsigned int bucket = histogram_bucket(value);

		require(bucket < HISTOGRAM_BUCKETS &&
				histogram_first(bucket) <= value &&
				histogram_last(bucket) >= value,
			"%" PRIu64 " is not in bucket %u", value, bucket);
		require(histogram_last(bucket) - value <= value / 8,
			"%" PRIu64 " is too far from the end of bucket %u",
			value, bucket);
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Values of many sizes, or all of a few. */
static size_t draw_values(struct test_random *random, uint64_t *values)
{
	const size_t nr = (size_t)test_random_between(random, 1, MAX_VALUES);
	const bool is_narrow = test_random_chance(random, 128);
	const uint64_t middle = any_size(random) / 2;

	for (size_t i = 0; i < nr; i++)
		values[i] = is_narrow ? middle + test_random_below(random, 100)
				      : any_size(random);

	return nr;
}

/* The value that @percent of @nr sorted ones reach, without our arithmetic. */
static uint64_t true_value(const uint64_t *sorted, size_t nr,
			   unsigned int percent)
{
	size_t below = 0;

	while ((below + 1) * 100 < nr * (size_t)percent)
		below++;

	return sorted[below];
}

static void expect_percentiles(uint64_t seed, const uint64_t *sorted, size_t nr)
{
	static const unsigned int percents[] = {1, 50, 90, 99, 100};
	enum { NR = sizeof(percents) / sizeof(percents[0]) };
	uint64_t ranks[NR], got[NR];

	for (size_t i = 0; i < NR; i++)
		ranks[i] = histogram_rank(histogram_count(&histogram),
					  percents[i]);
	histogram_values(&histogram, ranks, NR, got);
	for (size_t i = 0; i < NR; i++) {
		const uint64_t truth = true_value(sorted, nr, percents[i]);

		require(got[i] >= truth && got[i] - truth <= truth / 8,
			"seed %" PRIu64 ": %u %% of %zu are up to %" PRIu64
			", not %" PRIu64,
			seed, percents[i], nr, truth, got[i]);
	}
	require(got[NR - 1] == sorted[nr - 1],
		"seed %" PRIu64 ": the highest is not exact", seed);
}

Test(histogram, tells_percentiles_as_a_sorted_list_would)
{
	static uint64_t values[MAX_VALUES];

	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct test_random random = {.state = seed};
		const size_t nr = draw_values(&random, values);
		uint64_t sum = 0;

		memset(&histogram, 0, sizeof(histogram));
		for (size_t i = 0; i < nr; i++) {
			histogram_add(&histogram, values[i]);
			sum += values[i];
		}
		qsort(values, nr, sizeof(values[0]), compare);

		require(histogram_count(&histogram) == nr,
			"seed %" PRIu64 ": the count is wrong", seed);
		require(gln_load_relaxed(&histogram.sum) == sum,
			"seed %" PRIu64 ": the sum is wrong", seed);
		require(gln_load_relaxed(&histogram.max) == values[nr - 1],
			"seed %" PRIu64 ": the highest is wrong", seed);
		expect_percentiles(seed, values, nr);
	}
}

Test(histogram, ranks_do_not_overflow)
{
	cr_assert_eq(histogram_rank(1, 1), 1);
	cr_assert_eq(histogram_rank(1, 100), 1);
	cr_assert_eq(histogram_rank(2, 50), 1);
	cr_assert_eq(histogram_rank(3, 50), 2);
	cr_assert_eq(histogram_rank(100, 99), 99);
	cr_assert_eq(histogram_rank(101, 99), 100);
	cr_assert_eq(histogram_rank(UINT64_MAX, 100), UINT64_MAX);
	cr_assert_eq(histogram_rank(UINT64_MAX, 50), UINT64_C(1) << 63);
}
