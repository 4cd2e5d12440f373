/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_health.h - how a hashed page table is filled, and how it would be if it
 * were larger or smaller.
 */
#ifndef BENCH_GLEAN_HPT_HEALTH_H
#define BENCH_GLEAN_HPT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include <glean/hpte.h>

#include "bench/glean/hpt_stream.h"

/** Orders looked at: this many below the table's own, it, and as many above. */
#define HPT_HEALTH_AROUND 3U
#define HPT_HEALTH_ORDERS (2 * HPT_HEALTH_AROUND + 1)

/** Chains of this many entries and more are counted together. */
#define HPT_HEALTH_CHAINS 8U

/** Cells of the map of the table: each is the mean of so many groups. */
#define HPT_HEALTH_CELLS 1024U

/**
 * struct hpt_prediction - of a table of another order with the same entries.
 *
 * @order:	0: no table has that order, or it is too large to look at.
 * @failures:	entries that would have found both groups full: the same
 *		whatever the order in which they came, see hpt_size.h.
 * @random:	the part of entries for which that is to be expected with random
 *		hashes.
 */
struct hpt_prediction {
	unsigned int order;
	uint64_t failures;
	double random;
};

/**
 * struct hpt_health - of a table.
 *
 * @fill:	groups with 0 to 8 entries.
 * @pages:	different guest pages that entries map; @chains: of these, with
 *		1, 2, ... entries, and in the last with more.
 * @longest:	chain.
 * @unknown:	entries with a page size that there is not: not in predictions.
 * @cells:	part of entries in use, from 0 to 1, along the table.
 */
struct hpt_health {
	unsigned int order;
	uint64_t entries;
	uint64_t used;
	uint64_t secondary;
	uint64_t bolted;
	uint64_t unknown;
	uint64_t fill[GLN_HPT_GROUP_ENTRIES + 1];
	uint64_t pages;
	uint64_t chains[HPT_HEALTH_CHAINS];
	uint64_t longest;
	struct hpt_prediction at[HPT_HEALTH_ORDERS];
	unsigned int nr_cells;
	double cells[HPT_HEALTH_CELLS];
};

/**
 * hpt_health_of() - look at a table.
 * @order:	of it; 0: by where its last record ends.
 * @why:	of -EINVAL, in words.
 *
 * Return: 0; -EINVAL for a stream that is not one pass over a table; -ENOMEM.
 */
int hpt_health_of(const struct hpt_stream *stream, unsigned int order,
		  struct hpt_health *health, const char **why);

#endif
