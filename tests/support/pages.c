/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.c - the model of a dirty log.
 */
#include "tests/support/pages.h"

/* Of 256 pages, how many are dirty where they lie one by one. */
static unsigned int density(enum test_pattern pattern)
{
	switch (pattern) {
	case PATTERN_RARE:
		return 1;
	case PATTERN_FEW:
		return 26;
	case PATTERN_HALF:
		return 128;
	case PATTERN_MOST:
		return 240;
	case PATTERN_ALL:
		return 256;
	default:
		return 0;
	}
}

static void fill_runs(uint8_t *pages, uint64_t nr_pages, uint64_t longest,
		      struct test_random *random)
{
	bool dirty = test_random_chance(random, 128);
	uint64_t page = 0;

	while (page < nr_pages) {
		uint64_t left = test_random_between(random, 1, longest);

		for (; left && page < nr_pages; left--)
			pages[page++] = dirty;
		dirty = !dirty;
	}
}

void test_pages_fill(uint8_t *pages, uint64_t nr_pages, uint64_t pattern,
		     struct test_random *random)
{
	const enum test_pattern which =
		(enum test_pattern)(pattern % NR_PATTERNS);
	const uint64_t short_run = 8, long_run = 300;

	if (which == PATTERN_SHORT_RUNS || which == PATTERN_LONG_RUNS) {
		fill_runs(pages, nr_pages,
			  which == PATTERN_SHORT_RUNS ? short_run : long_run,
			  random);
		return;
	}
	for (uint64_t i = 0; i < nr_pages; i++)
		pages[i] = test_random_chance(random, density(which));
}

uint64_t test_pages_set(uint8_t *pages, uint64_t first, uint64_t end)
{
	uint64_t nr = 0;

	for (; first < end; first++) {
		nr += !pages[first];
		pages[first] = 1;
	}

	return nr;
}

uint64_t test_pages_count(const uint8_t *pages, uint64_t first, uint64_t end)
{
	uint64_t nr = 0;

	for (; first < end; first++)
		nr += pages[first];

	return nr;
}

size_t test_pages_runs(const uint8_t *pages, uint64_t nr_pages, gln_gfn base,
		       struct gln_range *runs)
{
	size_t nr = 0;

	for (uint64_t i = 0; i < nr_pages; i++) {
		if (!pages[i])
			continue;
		if (i == 0 || !pages[i - 1])
			runs[nr++] = (struct gln_range){.first = base + i};
		runs[nr - 1].count++;
	}

	return nr;
}
