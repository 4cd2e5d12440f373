/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * round.h - a round of a migration, in figures.
 */
#ifndef BENCH_GLEAN_ROUND_H
#define BENCH_GLEAN_ROUND_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct round - dirty pages are taken, and what was taken is copied.
 *
 * @take_ns, @protect_ns, @flush_ns: as a harvest reports them; a log that
 *		protects and flushes in one call has both in @protect_ns.
 * @begun_ns:	when its take began.
 * @interval_ns: since the round before began: its pages were dirtied in this
 *		time; 0 for round 0, where every page counts as dirty.
 * @stopped:	the vCPUs stood still: the last round.
 */
struct round {
	uint64_t number;
	uint64_t dirty_pages;
	uint64_t runs;
	uint64_t take_ns;
	uint64_t protect_ns;
	uint64_t flush_ns;
	uint64_t copy_ns;
	uint64_t begun_ns;
	uint64_t interval_ns;
	bool stopped;
};

/** round_log_ns() - what its pages cost to find and to protect. */
static inline uint64_t round_log_ns(const struct round *round)
{
	return round->take_ns + round->protect_ns + round->flush_ns;
}

#endif
