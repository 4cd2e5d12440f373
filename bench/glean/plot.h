/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plot.h - curves of results, drawn by gnuplot.
 */
#ifndef BENCH_GLEAN_PLOT_H
#define BENCH_GLEAN_PLOT_H

#include <stdio.h>

#include "bench/glean/results.h"

/**
 * plot_prepare() - make @folder, if it is not there.
 *
 * Return: 0; after a complaint -ENOTSUP if gnuplot is not installed, -EINVAL if
 * there can be no such folder.
 */
int plot_prepare(const char *folder);

/**
 * plot_results() - draw into @folder: time against density, and of what is
 * clean, time against the guest's size, a curve for each method. Beside each
 * NAME.svg is NAME.gp, which gnuplot made it from.
 *
 * Prints what was drawn. Return: 0; -ENOENT if there is nothing to draw: no two
 * densities or sizes; -EINVAL after a complaint.
 */
int plot_results(const struct results *results, const char *folder, FILE *out);

#endif
