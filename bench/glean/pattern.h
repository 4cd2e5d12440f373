/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pattern.h - which page a vCPU writes next.
 *
 *   uniform	any page, all as likely
 *   zipf	few pages often, most seldom, the hot ones scattered
 *   sequential	each vCPU sweeps its own part of the guest, over and over
 *   phases	a hot window, uniform inside; after a while it is elsewhere
 */
#ifndef BENCH_GLEAN_PATTERN_H
#define BENCH_GLEAN_PATTERN_H

#include <stdint.h>

#include "bench/glean/zipf.h"

enum pattern_kind {
	PATTERN_UNIFORM,
	PATTERN_ZIPF,
	PATTERN_SEQUENTIAL,
	PATTERN_PHASES,
	NR_PATTERNS
};

/** Their names, and NULL after the last. */
extern const char *const pattern_names[NR_PATTERNS + 1];

/** struct pattern - one vCPU's sequence of pages. */
struct pattern {
	enum pattern_kind kind;
	uint64_t nr_pages;
	uint64_t seed;
	uint64_t random;
	uint64_t nr_picked;
	uint64_t part_first;
	uint64_t part_pages;
	unsigned int bits; /* nr_pages <= 2^bits */
	struct zipf zipf;
};

/**
 * pattern_init() - start the sequence of vCPU @vcpu out of @nr_vcpus.
 * @nr_pages:	size of the guest, at least 1.
 */
void pattern_init(struct pattern *pattern, enum pattern_kind kind,
		  uint64_t nr_pages, uint64_t seed);
void pattern_set_vcpu(struct pattern *pattern, uint32_t vcpu,
		      uint32_t nr_vcpus);

/** pattern_next() - the next page to write, below nr_pages. */
uint64_t pattern_next(struct pattern *pattern);

#endif
