/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parallel.h - the suite that measures harvests shared by workers: parallel.c.
 */
#ifndef BENCH_SUITE_PARALLEL_H
#define BENCH_SUITE_PARALLEL_H

#include "bench/suite/suite.h"

extern const struct suite parallel_suite;

#endif
