/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * results.h - what benchmarks measured, out of the JSON that Google Benchmark
 * and glean write.
 */
#ifndef BENCH_GLEAN_RESULTS_H
#define BENCH_GLEAN_RESULTS_H

#include <regex.h>
#include <stddef.h>

#include <jansson.h>

/**
 * struct result - of one benchmark.
 *
 * @name:	without the suffix of an aggregate.
 * @ns:		real time of an iteration, of each repetition.
 */
struct result {
	const char *name;
	double *ns;
	size_t nr;
};

/** struct results - in the order in which they were measured. */
struct results {
	struct result *list;
	size_t nr;
	json_t *root;  /* keeps the names */
	json_t *index; /* from a name to its place */
};

/**
 * results_read() - those of a file, after a complaint if it cannot be.
 * @option:	that the file was given with.
 * @filter:	names that match; NULL: all.
 *
 * results_take() - those of an array of benchmarks, which stays the caller's.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int results_read(const char *option, const char *path, const regex_t *filter,
		 struct results *results);
int results_take(json_t *benchmarks, const regex_t *filter,
		 struct results *results);
void results_fini(struct results *results);

/** results_find() - the one of that name, or NULL. */
const struct result *results_find(const struct results *results,
				  const char *name);

/** result_median() - of its repetitions. */
double result_median(const struct result *result);

#endif
