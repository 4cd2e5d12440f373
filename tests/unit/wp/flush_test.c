/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flush_test.c - the flush plan, up to where it overflows.
 *
 * G8.
 */
#include "core/wp/flush.h"

#include <string.h>

#include "tests/unit/require.h"

/* Ranges that do not touch: two pages in every ten. */
static struct gln_range nth_range(uint64_t n)
{
	return (struct gln_range){.first = 10 * n, .count = 2};
}

static void fill(struct gln_flush *flush, uint64_t nr)
{
	glni_flush_start(flush);
	for (uint64_t i = 0; i < nr; i++)
		glni_flush_add(flush, nth_range(i), GLN_FLUSH_RANGES);
}

Test(flush, an_empty_plan_names_nothing)
{
	struct gln_flush flush;

	memset(&flush, 0xa5, sizeof(flush));
	glni_flush_start(&flush);
	cr_assert_eq(flush.nr_pages, 0);
	cr_assert_eq(flush.nr_ranges, 0);
	cr_assert_not(flush.whole_slot);
}

Test(flush, a_plan_names_its_ranges_in_order_while_they_fit)
{
	struct gln_flush flush;

	for (unsigned int nr = 1; nr <= GLN_FLUSH_RANGES; nr++) {
		fill(&flush, nr);
		cr_assert_not(flush.whole_slot);
		cr_assert_eq(flush.nr_ranges, nr);
		cr_assert_eq(flush.nr_pages, 2 * nr);
		for (unsigned int i = 0; i < nr; i++) {
			require(flush.ranges[i].first == nth_range(i).first &&
					flush.ranges[i].count == 2,
				"range %u of %u", i, nr);
		}
	}
}

Test(flush, one_range_too_many_makes_it_the_whole_slot)
{
	struct gln_flush flush;

	for (unsigned int nr = GLN_FLUSH_RANGES + 1; nr <= 3 * GLN_FLUSH_RANGES;
	     nr++) {
		fill(&flush, nr);
		cr_assert(flush.whole_slot, "%u ranges", nr);
		cr_assert_eq(flush.nr_ranges, 0, "%u ranges", nr);
		cr_assert_eq(flush.nr_pages, 2 * nr, "%u ranges", nr);
	}
}

Test(flush, more_ranges_than_were_allowed_make_it_the_whole_slot)
{
	struct gln_flush flush;

	for (unsigned int max = 0; max <= GLN_FLUSH_RANGES; max++) {
		glni_flush_start(&flush);
		for (unsigned int nr = 1; nr <= GLN_FLUSH_RANGES; nr++) {
			glni_flush_add(&flush, nth_range(nr), max);
			require(flush.whole_slot == (nr > max) &&
					flush.nr_ranges ==
						(nr > max ? 0 : nr) &&
					flush.nr_pages == 2 * nr,
				"%u ranges of %u", nr, max);
		}
	}
}

Test(flush, a_range_that_touches_the_last_needs_no_room)
{
	struct gln_flush flush;

	glni_flush_start(&flush);
	for (uint64_t i = 0; i < 10; i++)
		glni_flush_add_any(
			&flush, (struct gln_range){.first = 5 + i, .count = 1},
			1);
	cr_assert_not(flush.whole_slot);
	cr_assert_eq(flush.nr_ranges, 1);
	cr_assert_eq(flush.ranges[0].count, 10);

	glni_flush_add_any(&flush, (struct gln_range){.first = 17, .count = 1},
			   1);
	cr_assert(flush.whole_slot);
	cr_assert_eq(flush.nr_pages, 11);
}

Test(flush, a_plan_that_overflowed_starts_over)
{
	struct gln_flush flush;

	fill(&flush, GLN_FLUSH_RANGES + 1);
	fill(&flush, 1);
	cr_assert_not(flush.whole_slot);
	cr_assert_eq(flush.nr_ranges, 1);
	cr_assert_eq(flush.nr_pages, 2);
}

Test(flush, pages_are_counted_in_64_bits)
{
	const struct gln_range half = {.count = UINT64_C(1) << 51};
	struct gln_flush flush;

	glni_flush_start(&flush);
	glni_flush_add(&flush, half, GLN_FLUSH_RANGES);
	glni_flush_add(&flush,
		       (struct gln_range){half.count + 1, half.count - 1},
		       GLN_FLUSH_RANGES);
	cr_assert_eq(flush.nr_pages, 2 * half.count - 1);
}
