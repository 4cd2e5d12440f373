/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.h - the model of a dirty log: one byte a page, 1 for dirty.
 *
 * Slow and plain, so that it can be seen to be right.
 */
#ifndef GLN_TESTS_SUPPORT_PAGES_H
#define GLN_TESTS_SUPPORT_PAGES_H

#include <glean/types.h>

#include "tests/support/random.h"

/** enum test_pattern - how dirty pages lie among clean ones. */
enum test_pattern {
	PATTERN_NONE,
	PATTERN_RARE,
	PATTERN_FEW,
	PATTERN_HALF,
	PATTERN_MOST,
	PATTERN_ALL,
	PATTERN_SHORT_RUNS,
	PATTERN_LONG_RUNS,
	NR_PATTERNS,
};

/**
 * test_pages_fill() - make @pages of the pattern, every byte 0 or 1.
 * @pattern:	enum test_pattern, modulo their number: a seed will do.
 */
void test_pages_fill(uint8_t *pages, uint64_t nr_pages, uint64_t pattern,
		     struct test_random *random);

/** test_pages_set() - set [first, end). Returns how many were not set. */
uint64_t test_pages_set(uint8_t *pages, uint64_t first, uint64_t end);

/** test_pages_count() - how many of [first, end) are set. */
uint64_t test_pages_count(const uint8_t *pages, uint64_t first, uint64_t end);

/**
 * test_pages_runs() - maximal runs, page 0 being frame @base.
 * @runs:	room for (@nr_pages + 1) / 2 of them.
 *
 * Returns how many there are.
 */
size_t test_pages_runs(const uint8_t *pages, uint64_t nr_pages, gln_gfn base,
		       struct gln_range *runs);

#endif
