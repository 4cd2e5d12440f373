/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.h - the suite that measures taking a slot's marks: harvest.c.
 */
#ifndef BENCH_SUITE_HARVEST_H
#define BENCH_SUITE_HARVEST_H

#include "bench/suite/suite.h"

extern const struct suite harvest_suite;

#endif
