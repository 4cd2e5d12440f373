/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runner.h - measure benchmarks, rivals against each other.
 */
#ifndef BENCH_SUITE_RUNNER_H
#define BENCH_SUITE_RUNNER_H

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/** Repetitions, at most. */
#define RUNNER_REPETITIONS_MAX 1000U

/**
 * struct runner - what to measure, and where to tell of it.
 *
 * @filter:	benchmarks whose full name matches; NULL: all, or to measure,
 *		all but those that are there for who asks for them.
 * @quick:	small cases and short repetitions: to see that they run.
 * @table:	gets a line a benchmark.
 * @benchmarks:	JSON array that gets every repetition and their aggregates.
 */
struct runner {
	const regex_t *filter;
	uint64_t repetitions;
	uint64_t seed;
	bool quick;
	FILE *table;
	json_t *benchmarks;
};

/** runner_list() - print the names that match. Return: how many there are. */
uint64_t runner_list(const struct runner *runner);

/**
 * runner_measure() - measure what matches.
 * @failed:	on failure, the benchmark that failed: SUITE_NAME_BYTES of room.
 *
 * Return: 0; -ENOENT if nothing matches; -EBADMSG if a rival's answer is wrong;
 * -ENOMEM; or what the library said.
 */
int runner_measure(const struct runner *runner, char *failed);

#endif
