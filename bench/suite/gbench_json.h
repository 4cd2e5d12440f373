/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gbench_json.h - results in the JSON that Google Benchmark writes, for the
 * many tools that read it.
 */
#ifndef BENCH_SUITE_GBENCH_JSON_H
#define BENCH_SUITE_GBENCH_JSON_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "bench/suite/stats.h"

/** struct gbench_sample - a repetition; times are of one iteration. */
struct gbench_sample {
	uint64_t iterations;
	double real_ns;
	double cpu_ns;
	uint64_t answer;
};

/** gbench_stats() - of the samples' real time. */
struct stats gbench_stats(const struct gbench_sample *samples, size_t nr);

/**
 * gbench_add() - append the repetitions of one benchmark, and their mean,
 * median, stddev and cv.
 * @counter:	name of the counter that holds the answer.
 */
void gbench_add(json_t *benchmarks, const char *name, const char *counter,
		const struct gbench_sample *samples, uint64_t nr);

/**
 * gbench_print() - write the whole file: this machine, and @benchmarks, which
 * is taken.
 *
 * Return: 0, -ENOMEM or -EIO.
 */
int gbench_print(json_t *benchmarks, FILE *file);

#endif
