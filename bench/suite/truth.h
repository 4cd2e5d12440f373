/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * truth.h - which pages are dirty: one bit a page, bit 0 of word 0 first.
 */
#ifndef BENCH_SUITE_TRUTH_H
#define BENCH_SUITE_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glean/types.h>

/** Pages of a cluster, as many as a block of 2 MiB has of 4 KiB. */
#define TRUTH_CLUSTER UINT64_C(512)

/** struct truth - @nr_pages is a multiple of 64; @nr_dirty of them are set. */
struct truth {
	uint64_t nr_pages;
	uint64_t nr_dirty;
	uint64_t *words;
};

/** truth_init() - no page is dirty. Return: 0 or -ENOMEM. */
int truth_init(struct truth *truth, uint64_t nr_pages);
void truth_fini(struct truth *truth);

/** truth_clear() - no page is dirty any more. */
void truth_clear(struct truth *truth);
/** truth_uniform() - exactly @nr pages, uniformly, are. */
void truth_uniform(struct truth *truth, uint64_t nr, uint64_t seed);
/** truth_clusters() - exactly @nr pages are, in whole words: TRUTH_CLUSTER
 * pages together, at random places; the last cluster may be smaller.
 */
void truth_clusters(struct truth *truth, uint64_t nr, uint64_t seed);
/** truth_runs() - runs of @run pages are, the first one @first pages in, each
 * @period after the one before; what leaves the slot is cut off.
 */
void truth_runs(struct truth *truth, uint64_t first, uint64_t run,
		uint64_t period);

/** truth_share() - so many pages are a @density of @nr_pages. */
static inline uint64_t truth_share(double density, uint64_t nr_pages)
{
	return (uint64_t)(density * (double)nr_pages + 0.5);
}

/** truth_has() - is @page dirty? */
static inline bool truth_has(const struct truth *truth, uint64_t page)
{
	return truth->words[page / 64] >> page % 64 & 1;
}

/** truth_set() - it is; truth_set_range() - so are all of @range. False, and
 * nothing done, if some of them are not pages or were set before.
 */
bool truth_set(struct truth *truth, uint64_t page);
bool truth_set_range(struct truth *truth, struct gln_range range);

/** truth_sum() - of its words, for who reads them all. */
uint64_t truth_sum(const struct truth *truth);

/** truth_same() - are the same pages dirty in both? */
bool truth_same(const struct truth *a, const struct truth *b);

/** truth_next_run() - the first maximal run from @page on; its count is 0 if
 * there is none.
 */
struct gln_range truth_next_run(const struct truth *truth, uint64_t page);

#endif
