/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernels.h - the library's scan kernels, for options and reports.
 */
#ifndef BENCH_GLEAN_KERNELS_H
#define BENCH_GLEAN_KERNELS_H

#include <glean/kernel.h>

#include "bench/glean/options.h"

/* More scan kernels than there are. */
#define KERNELS_MAX 16

/** kernels_list() - as gln_scan_kernels(), of KERNELS_MAX at most. */
size_t kernels_list(struct gln_kernel_info *kernels);

/** kernels_chosen() - the name of the one that is used. */
const char *kernels_chosen(void);

/**
 * kernels_use() - use the one that an option names.
 *
 * Return: false after a complaint that says which there are.
 */
bool kernels_use(const struct option_value *value);

#endif
