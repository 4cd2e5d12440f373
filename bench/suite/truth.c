/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * truth.c - which pages are dirty.
 */
#include "bench/suite/truth.h"

#include <errno.h>
#include <string.h>

#include "bench/glean/random.h"
#include "bench/suite/memory.h"

static size_t words_bytes(const struct truth *truth)
{
	return (size_t)(truth->nr_pages / 64) * sizeof(*truth->words);
}

int truth_init(struct truth *truth, uint64_t nr_pages)
{
	*truth = (struct truth){.nr_pages = nr_pages};
	truth->words = suite_alloc(words_bytes(truth));
	return truth->words ? 0 : -ENOMEM;
}

void truth_fini(struct truth *truth)
{
	suite_free(truth->words, words_bytes(truth));
}

static void fill(struct truth *truth, bool dirty)
{
	memset(truth->words, dirty ? 0xff : 0, words_bytes(truth));
	truth->nr_dirty = dirty ? truth->nr_pages : 0;
}

void truth_clear(struct truth *truth)
{
	fill(truth, false);
}

/* Flip the bits of @nr pages, no page twice. All are @dirty so far. */
static void flip_random_pages(struct truth *truth, bool dirty, uint64_t nr,
			      uint64_t random)
{
	while (nr) {
		const uint64_t page = random_below(&random, truth->nr_pages);

		if (truth_has(truth, page) == dirty) {
			truth->words[page / 64] ^= UINT64_C(1) << page % 64;
			nr--;
		}
	}
}

/* From half on, place the clean ones. */
void truth_uniform(struct truth *truth, uint64_t nr, uint64_t seed)
{
	const bool mostly = nr > truth->nr_pages / 2;

	fill(truth, mostly);
	flip_random_pages(truth, mostly, mostly ? truth->nr_pages - nr : nr,
			  seed);
	truth->nr_dirty = nr;
}

void truth_clusters(struct truth *truth, uint64_t nr, uint64_t seed)
{
	const uint64_t nr_clusters = truth->nr_pages / TRUTH_CLUSTER;
	uint64_t random = seed;

	fill(truth, false);
	while (truth->nr_dirty < nr) {
		const uint64_t left = nr - truth->nr_dirty;
		const struct gln_range cluster = {
			random_below(&random, nr_clusters) * TRUTH_CLUSTER,
			left < TRUTH_CLUSTER ? left : TRUTH_CLUSTER,
		};

		/* False, and nothing done, where one is already. */
		truth_set_range(truth, cluster);
	}
}

void truth_runs(struct truth *truth, uint64_t first, uint64_t run,
		uint64_t period)
{
	truth_clear(truth);
	for (uint64_t start = first; start < truth->nr_pages; start += period)
		for (uint64_t i = 0; i < run; i++)
			if (start + i < truth->nr_pages)
				truth_set(truth, start + i);
}

bool truth_set(struct truth *truth, uint64_t page)
{
	if (page >= truth->nr_pages || truth_has(truth, page))
		return false;
	truth->words[page / 64] |= UINT64_C(1) << page % 64;
	truth->nr_dirty++;
	return true;
}

/* Set so many bits of a word, if none of them is. */
static bool set_bits(struct truth *truth, uint64_t page, uint64_t nr)
{
	const uint64_t bits = UINT64_MAX >> (64 - nr) % 64 << page % 64;
	uint64_t *const word = &truth->words[page / 64];

	if (*word & bits)
		return false;
	*word |= bits;
	truth->nr_dirty += nr;
	return true;
}

bool truth_set_range(struct truth *truth, struct gln_range range)
{
	uint64_t page = range.first;
	uint64_t left = range.count;

	if (page >= truth->nr_pages || left > truth->nr_pages - page)
		return false;
	while (left) {
		const uint64_t room = 64 - page % 64;
		const uint64_t nr = left < room ? left : room;

		if (!set_bits(truth, page, nr))
			return false;
		page += nr;
		left -= nr;
	}
	return true;
}

uint64_t truth_sum(const struct truth *truth)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < truth->nr_pages / 64; i++)
		sum += truth->words[i];
	return sum;
}

bool truth_same(const struct truth *a, const struct truth *b)
{
	return a->nr_pages == b->nr_pages &&
	       !memcmp(a->words, b->words, words_bytes(a));
}

/* The first page from @page on that is @dirty, or nr_pages. */
static uint64_t next_page(const struct truth *truth, uint64_t page, bool dirty)
{
	const uint64_t none = dirty ? 0 : UINT64_MAX;

	while (page < truth->nr_pages) {
		if (page % 64 == 0 && truth->words[page / 64] == none)
			page += 64;
		else if (truth_has(truth, page) == dirty)
			break;
		else
			page++;
	}
	return page;
}

struct gln_range truth_next_run(const struct truth *truth, uint64_t page)
{
	const uint64_t first = next_page(truth, page, true);

	return (struct gln_range){
		.first = first,
		.count = next_page(truth, first, false) - first,
	};
}
