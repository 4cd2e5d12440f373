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
#include "bench/suite/suite.h"

/**
 * struct gbench_sample - a repetition; times are of one iteration.
 *
 * @cpu_ns:	of the thread that started the run.
 * @threads:	that ran.
 * @counters:	see struct suite_fixture.
 */
struct gbench_sample {
	uint64_t iterations;
	double real_ns;
	double cpu_ns;
	uint64_t answer;
	unsigned int threads;
	uint64_t counters[SUITE_COUNTERS_MAX];
};

/** gbench_stats() - of the samples' real time. */
struct stats gbench_stats(const struct gbench_sample *samples, size_t nr);

/**
 * gbench_add() - append the repetitions of one benchmark, and their mean,
 * median, stddev and cv.
 * @suite:	has the names of the answer and of the other counters.
 */
void gbench_add(json_t *benchmarks, const struct suite *suite, const char *name,
		const struct gbench_sample *samples, uint64_t nr);

/**
 * gbench_print() - write the whole file: this machine, and @benchmarks, which
 * is taken.
 *
 * Return: 0, -ENOMEM or -EIO.
 */
int gbench_print(json_t *benchmarks, FILE *file);

#endif
