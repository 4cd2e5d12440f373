/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.h - the suite that measures merging other logs into a slot's: merge.c.
 */
#ifndef BENCH_SUITE_MERGE_H
#define BENCH_SUITE_MERGE_H

#include "bench/suite/suite.h"

extern const struct suite merge_suite;

#endif
