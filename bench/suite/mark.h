/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark.h - the suites that measure marking: mark.c, mark_range.c.
 */
#ifndef BENCH_SUITE_MARK_H
#define BENCH_SUITE_MARK_H

#include "bench/suite/suite.h"

extern const struct suite mark_suite;
extern const struct suite mark_range_suite;

#endif
