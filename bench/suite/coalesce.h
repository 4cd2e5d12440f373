/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coalesce.h - the suite that measures handing out runs: coalesce.c.
 */
#ifndef BENCH_SUITE_COALESCE_H
#define BENCH_SUITE_COALESCE_H

#include "bench/suite/suite.h"

extern const struct suite coalesce_suite;

#endif
