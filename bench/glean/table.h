/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - a run as a person watches it: a header, a line a round, a verdict.
 *
 * Colour and the progress bar appear on a terminal only.
 */
#ifndef BENCH_GLEAN_TABLE_H
#define BENCH_GLEAN_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct precopy;
struct round;
struct run_options;
struct run_result;

/** struct table - where it goes, and what of it. */
struct table {
	FILE *out;
	bool quiet;
	bool colour;
	bool bar;
	uint64_t page_bytes;
	uint64_t bar_round;
	uint64_t bar_pages;
	uint64_t bar_start_ns;
	uint64_t bar_drawn_ns;
};

/** table_init() - @options say where to, and how plain. */
void table_init(struct table *table, const struct run_options *options);

/** table_header() - the guest, the tracker, and the names of the columns. */
void table_header(struct table *table, const struct run_options *options,
		  const struct run_result *result);

/**
 * table_round_begin() - copying begins; table_progress() - so many pages of it
 * are done; table_round_end() - the round is over: its line.
 */
void table_round_begin(struct table *table, const struct round *round);
void table_progress(struct table *table, uint64_t nr_pages);
void table_round_end(struct table *table, const struct round *round);

/** table_abandon() - no more lines come; take the bar away. */
void table_abandon(struct table *table);

/** table_verdict() - total, downtime, verified. */
void table_verdict(struct table *table, const struct run_options *options,
		   const struct run_result *result);

#endif
