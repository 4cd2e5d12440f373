/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare.h - is it slower than it was?
 */
#ifndef BENCH_GLEAN_COMPARE_H
#define BENCH_GLEAN_COMPARE_H

#include <stdint.h>
#include <stdio.h>

#include "bench/glean/results.h"

/**
 * compare_results() - print a line for each benchmark that both have.
 * @percent:	differences of medians up to so much are none.
 *
 * Return: how many benchmarks are slower now; -ENOENT if both have none.
 */
int compare_results(const struct results *before, const struct results *now,
		    uint64_t percent, FILE *table);

#endif
