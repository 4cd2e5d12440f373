/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pattern.c - which page a vCPU writes next.
 */
#include "bench/glean/pattern.h"

#include "bench/glean/random.h"

/* What key-value benchmarks use: the hottest page of 2^18 gets 1 in 14. */
#define ZIPF_THETA 0.99

/* A hot window is this part of the guest, and is written this often over. */
#define WINDOW_PART   32
#define WINDOW_WRITES 2

const char *const pattern_names[NR_PATTERNS + 1] = {
	[PATTERN_UNIFORM] = "uniform",
	[PATTERN_ZIPF] = "zipf",
	[PATTERN_SEQUENTIAL] = "sequential",
	[PATTERN_PHASES] = "phases",
};

void pattern_init(struct pattern *pattern, enum pattern_kind kind,
		  uint64_t nr_pages, uint64_t seed)
{
	*pattern = (struct pattern){
		.kind = kind,
		.nr_pages = nr_pages,
		.seed = seed,
		.bits = 1,
	};
	while (nr_pages > UINT64_C(1) << pattern->bits)
		pattern->bits++;
	zipf_init(&pattern->zipf, nr_pages, ZIPF_THETA);
	pattern_set_vcpu(pattern, 0, 1);
}

void pattern_set_vcpu(struct pattern *pattern, uint32_t vcpu, uint32_t nr_vcpus)
{
	const uint64_t first = pattern->nr_pages * vcpu / nr_vcpus;
	const uint64_t end = pattern->nr_pages * (vcpu + 1) / nr_vcpus;

	pattern->random = random_mix(pattern->seed) ^ random_mix(vcpu + 1);
	pattern->part_first = first;
	/* With fewer pages than vCPUs, some share one. */
	pattern->part_pages = end > first ? end - first : 1;
}

/*
 * Scatter ranks over the pages, one to one: each step below permutes the
 * numbers of so many bits, and one that is no page goes round again.
 */
static uint64_t scatter(const struct pattern *pattern, uint64_t page)
{
	const uint64_t mask = (UINT64_C(1) << pattern->bits) - 1;
	const unsigned int half = (pattern->bits + 1) / 2;

	do {
		page = (page + pattern->seed) & mask;
		page ^= page >> half;
		page = (page * RANDOM_STEP) & mask;
		page ^= page >> half;
		page = (page * RANDOM_STEP) & mask;
	} while (page >= pattern->nr_pages);

	return page;
}

static uint64_t next_in_window(struct pattern *pattern)
{
	const uint64_t part = pattern->nr_pages / WINDOW_PART;
	const uint64_t window = part ? part : 1;
	const uint64_t phase = pattern->nr_picked / (window * WINDOW_WRITES);
	const uint64_t start = random_mix(pattern->seed + phase * RANDOM_STEP) %
			       pattern->nr_pages;

	return (start + random_below(&pattern->random, window)) %
	       pattern->nr_pages;
}

static uint64_t pick(struct pattern *pattern)
{
	switch (pattern->kind) {
	case PATTERN_ZIPF:
		return scatter(pattern,
			       zipf_next(&pattern->zipf, &pattern->random) - 1);
	case PATTERN_SEQUENTIAL:
		return pattern->part_first +
		       pattern->nr_picked % pattern->part_pages;
	case PATTERN_PHASES:
		return next_in_window(pattern);
	default:
		return random_below(&pattern->random, pattern->nr_pages);
	}
}

uint64_t pattern_next(struct pattern *pattern)
{
	const uint64_t page = pick(pattern);

	pattern->nr_picked++;
	return page;
}
